"""A node's certificates: signed together once it is attested, with what the masters of a bay share.

    1. Load the attestation; one that is not attested, or finished, stays as it is.
    2. Sign its requests together, each as any other (`signer.py`). One that is refused refuses the node.
    3. For a master whose driver says so: encrypt the bay's service-account key to the certificate just issued.
    4. Commit that it is finished. A process that dies before leaves it to the message again, the sweep, or the node.

What is shared is CMS EnvelopedData of a JSON object, file name to content.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from services.certs.key_store import KeyGone
from services.certs.left_over import OLDEST, tell
from services.certs.node_plans import MASTER, role_of
from services.certs.profiles import Refused
from services.certs.signer import Signer, too_slow
from shared.db.repositories import attestations, authorities, bays
from shared.db.repositories.attestations import Attestation, AttestState
from shared.db.repositories.authorities import SERVICE_ACCOUNT
from shared.db.repositories.sign_requests import NODE_PREFIX, SignState
from shared.domain.node_profiles import NODE
from shared.pki_client import sealed_for
from shared.runtime import failpoint

_SWEEP_BATCH: Final = 50
_FILE: Final = "service-account.key"


@dataclass(frozen=True)
class NodeCertificates:
    """Finishes attestations by means of a signer."""

    signer: Signer

    async def decide(self, attestation_id: UUID) -> Attestation | None:
        """Bring an attested node to its certificates, or to a refusal. Safe to repeat and to run twice at once.

        Returns the attestation as it was found, None when it (or its bay) is gone.

        Raises:
            EnvelopeError, CloudError, HeldElsewhere: not now (see `Signer.decide`).
        """
        async with self.signer.engine.connect() as conn:  # 1
            attestation = await attestations.get(conn, attestation_id)
        if attestation is None or attestation.state is not AttestState.ATTESTED or attestation.finished:
            return attestation
        try:
            await self._finish(attestation)
        except Refused as refusal:
            async with self.signer.engine.begin() as conn:
                await attestations.cannot_sign(conn, attestation, refusal.message)
        return attestation

    async def sweep(self, grace: timedelta, *, thorough: bool = False) -> None:
        """Finish what a lost message or a dead process left behind; one that cannot be now does not keep the others.
        Those older than an hour are left to a `thorough` sweep, as by `Signer.sweep`."""
        async with self.signer.engine.connect() as conn:
            ids = await attestations.unfinished(conn, grace, _SWEEP_BATCH, None if thorough else OLDEST)
        tell("attestations", ids, await asyncio.gather(*map(self.decide, ids), return_exceptions=True))

    async def _finish(self, attestation: Attestation) -> None:
        async with self.signer.engine.connect() as conn:
            requests = await attestations.requests_of(conn, attestation.id)
        await _all(*(self.signer.decide(one) for one in requests))  # 2
        async with self.signer.engine.connect() as conn:
            states = set((await attestations.requests_of(conn, attestation.id)).values())
            reason = await attestations.reason_of(conn, attestation.id)
        if SignState.REFUSED in states:
            raise Refused(reason or "A certificate was refused.")
        if SignState.EXPIRED in states:
            async with self.signer.engine.begin() as conn:
                await attestations.expire(conn, attestation.id)
        if states != {SignState.SIGNED}:
            return
        failpoint.hit("certs:node_signed")
        shared = await self._shared(attestation)  # 3
        async with self.signer.engine.begin() as conn:  # 4
            await attestations.finish(conn, attestation.id, shared)
        failpoint.hit("certs:node_finished")

    async def _shared(self, attestation: Attestation) -> str | None:
        """The CMS for a master, None for whom nothing is shared with. Raises Refused, EnvelopeError, CloudError."""
        bay_id = attestation.bay_id
        async with self.signer.engine.connect() as conn:
            bay = await bays.get(conn, bay_id)
            if bay is None or role_of(attestation) != MASTER:
                return None
            if not self.signer.drivers(bay.driver).shares_service_account:
                return None
            public = await authorities.current(conn, bay_id, SERVICE_ACCOUNT)
            stored = None if public is None else await authorities.stored_key(conn, public.id)
            certificate = await attestations.certificate_of(conn, attestation.id, NODE_PREFIX + NODE)
        if public is None or stored is None or certificate is None:
            raise Refused("The bay has no service-account key.")
        try:
            async with asyncio.timeout(self.signer.patience):
                key = await self.signer.keys.open(stored, public)
        except KeyGone as gone:
            raise Refused(str(gone)) from None
        except TimeoutError:
            raise too_slow(public.id) from None
        return await asyncio.get_running_loop().run_in_executor(self.signer.cpu, _enveloped, key, certificate)


async def _all(*work: Awaitable[object]) -> None:
    """Wait for all of it, also when some fails; then raise what the first one raised."""
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _enveloped(key_der: bytes, certificate_pem: str) -> str:
    key = load_der_private_key(key_der, password=None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return sealed_for(certificate_pem, json.dumps({_FILE: pem}).encode())
