"""Messages that are not about operations: a CSR waits, a node is attested. And the sweep for what was lost of them."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import Final

from services.certs.factory import Deps
from services.certs.left_over import OLDEST
from shared.contracts import encode
from shared.contracts.certificate import CertificateSigned, CertificateSignRequested
from shared.contracts.node import NodeAttestDecided, NodeAttested
from shared.domain.errors import CloudError, Unavailable

log = logging.getLogger(__name__)

# A key lies in Barbican, which does not answer now, or another replica holds the row: five quick tries more would end
# as a dead letter, while the sweep takes the row up every few seconds until whoever asked has gone.
_GRACE: Final = timedelta(seconds=2)
"""A request so young has its message still under way; with the sweep's 5 s it is taken up within the asker's 10 s."""


async def sign_requested(deps: Deps, message: CertificateSignRequested) -> None:
    """Decide the request, then tell the gateway that asked. The message only says which row: authority is in it."""
    try:
        request = await deps.signer.decide(message.sign_request_id)
    except (CloudError, Unavailable) as error:
        if isinstance(error, CloudError) and not error.retryable:
            raise
        log.warning("sign request %s waits for the sweep: %s", message.sign_request_id, error.message)
        return
    if request is not None:
        reply = CertificateSigned(bay_id=request.bay_id, sign_request_id=request.id)
        await deps.bus.reply(message.reply_to, encode(reply))


async def node_attested(deps: Deps, message: NodeAttested) -> None:
    """Sign what the node may have, then tell the gateway that asked. Whether it is attested is in the row."""
    try:
        attestation = await deps.nodes.decide(message.attestation_id)
    except (CloudError, Unavailable) as error:
        if isinstance(error, CloudError) and not error.retryable:
            raise
        log.warning("attestation %s waits for the sweep: %s", message.attestation_id, error.message)
        return
    if attestation is not None:
        reply = NodeAttestDecided(bay_id=attestation.bay_id, attestation_id=attestation.id)
        await deps.bus.reply(message.reply_to, encode(reply))


async def sweep_forever(deps: Deps) -> None:
    """Take up requests that were left behind, now and then every `sweep_seconds`, until cancelled; old ones now,
    because this process may have the master key that was missing, and every hour.
    Keys whose time is over go from memory."""
    thorough_from = time.monotonic()
    while True:
        if thorough := time.monotonic() >= thorough_from:
            thorough_from += OLDEST.total_seconds()
        await deps.signer.sweep(_GRACE, thorough=thorough)
        await deps.nodes.sweep(_GRACE, thorough=thorough)
        deps.cache.drop_old()
        await asyncio.sleep(deps.sweep_seconds)
