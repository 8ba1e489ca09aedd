"""A node asks for certificates: judge it, and tell the authority or the gateway. And the sweep for lost messages.

The verdict is one update of the row, so a message that comes twice, two replicas, and the sweep beside them do no harm.
What the cloud cannot answer now is left pending: the node asks again, and the gateway sends another message.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from services.provisioner.attest.examine import Asked, Mismatch, NotYet, examine
from services.provisioner.factory import Deps
from shared.bus.port import BusUnavailable, PublishFailed
from shared.contracts import Message, encode
from shared.contracts.node import NodeAttestDecided, NodeAttested, NodeAttestRequested
from shared.db.repositories import attestations, bays
from shared.db.repositories.attestations import Attestation, AttestState
from shared.domain.errors import CloudError
from shared.runtime import failpoint
from shared.runtime.sealing import SealError, unseal

_log = structlog.get_logger(__name__)

_GRACE: Final = timedelta(seconds=2)
"""A question so young has its message still under way."""

_WITHIN: Final = timedelta(minutes=1)
"""For so long somebody may still wait for it; who asks again sends a message of their own."""

_BATCH: Final = 50
_TWICE: Final = "The server has had its first certificates, for another request."


async def attest_requested(deps: Deps, message: NodeAttestRequested) -> None:
    """Judge, then send the question on: to the authority, or back. The message only says which row."""
    attestation = await attest(deps, message.attestation_id)
    if attestation is None:
        return
    about = {"bay_id": attestation.bay_id, "attestation_id": attestation.id}
    match attestation.state:
        case AttestState.ATTESTED:
            await _tell_certs(deps, NodeAttested(**about, reply_to=message.reply_to))
        case AttestState.REFUSED:
            await deps.bus.reply(message.reply_to, encode(NodeAttestDecided(**about)))
        case _:
            return  # not now


async def attest_forever(deps: Deps) -> None:
    """Judge what lost messages left behind, and tidy up, every sweep time until cancelled."""
    while True:
        async with deps.engine.begin() as conn:
            await attestations.tidy(conn)
            waiting = await attestations.waiting(conn, grace=_GRACE, within=_WITHIN, limit=_BATCH)
        for attestation_id in waiting:
            try:
                await attest(deps, attestation_id)  # certs finds what is attested by a sweep of its own
            except Exception:
                _log.exception("attestation failed", attestation=str(attestation_id))
        await asyncio.sleep(deps.settings.timing.sweep)


async def attest(deps: Deps, attestation_id: UUID) -> Attestation | None:
    """Judge a question that is pending; as it is afterwards, None when it (or its bay) is gone."""
    async with deps.engine.connect() as conn:
        attestation = await attestations.get(conn, attestation_id)
        bay = None if attestation is None else await bays.get(conn, attestation.bay_id)
        sealed = await attestations.sealed_secret(conn, attestation_id)
    if attestation is None or bay is None or attestation.state is not AttestState.PENDING:
        return attestation
    log = _log.bind(bay=str(bay.id), server=attestation.server_id)
    try:
        name = await examine(deps, Asked(attestation, bay, _opened(deps, attestation, sealed)))
    except Mismatch as mismatch:
        await _refuse(deps, attestation, mismatch)
    except (NotYet, CloudError, SealError) as error:
        log.warning("node not attested now", reason=str(error))
    else:
        await _approve(deps, attestation, name)
    async with deps.engine.connect() as conn:
        return await attestations.get(conn, attestation_id)


def _opened(deps: Deps, attestation: Attestation, sealed: bytes | None) -> str | None:
    """The secret that the node showed; None for a renewal. Raises SealError when this process cannot open it."""
    if attestation.serial is not None:
        return None
    if deps.seal_private_key is None or sealed is None:
        raise SealError("A node's secret cannot be opened: JEROBOAM_SEAL_PRIVATE_KEY_FILE is not set here.")
    return unseal(deps.seal_private_key, sealed, attestation.id.bytes).decode()


async def _approve(deps: Deps, attestation: Attestation, name: str) -> None:
    failpoint.hit("provisioner:attest_examined")
    async with deps.engine.begin() as conn:
        approved = await attestations.approve(conn, attestation, name)
    if not approved:
        await _refuse(deps, attestation, Mismatch(_TWICE, proven=True))
    failpoint.hit("provisioner:attested")


async def _refuse(deps: Deps, attestation: Attestation, mismatch: Mismatch) -> None:
    async with deps.engine.begin() as conn:
        await attestations.refuse(conn, attestation, mismatch.reason, proven=mismatch.proven)
    _log.warning(
        attestations.REFUSED, bay=str(attestation.bay_id), server=attestation.server_id, reason=mismatch.reason
    )


async def _tell_certs(deps: Deps, message: Message) -> None:
    try:
        await deps.bus.publish([encode(message)])
    except (PublishFailed, BusUnavailable) as error:
        _log.warning("attested node not told", reason=str(error))  # the sweep of certs finds the row
