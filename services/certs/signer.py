"""The sign path. The steps below have the same numbers as the comments in the code.

    1. Load the request. What is decided already stays as it is.
    2. Check the CSR against its profile; refuse it with a reason. A node's request is left alone until it is attested.
    3. Commit the intent: serial, subject and validity, with the audit line "signing". The same CSR of the same
       requester within ten minutes meets the intent or the certificate of the first time.
    4. Open the authority's key, prepare, spend the token: the certificate follows from intent and CSR alone.
    5. Commit the certificate with the audit line "issued", and the request as signed.

A process that dies between 3 and 5 leaves an intent; whoever takes the request up next (the message again, the sweep,
the same CSR again) continues at 4 with the same serial and makes the same bytes. No transaction is open during 2 and 4.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.certs.authority import Authority, Intent
from services.certs.key_cache import KeyCache
from services.certs.key_store import KeyGone, Keys
from services.certs.node_plans import profile_of
from services.certs.profiles import LeafPlan, Refused, plan_leaf, plan_node
from shared.db.repositories import attestations, authorities, bays, sign_requests
from shared.db.repositories.attestations import AttestState
from shared.db.repositories.sign_requests import Certificate, CertificateState, SignRequest, SignState
from shared.drivers import registry
from shared.drivers.contract import Driver
from shared.runtime import failpoint

log = logging.getLogger(__name__)

_SWEEP_BATCH: Final = 100
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Signer:
    """Decides sign requests. `cpu` runs what takes CPU, so that the event loop stays free."""

    engine: AsyncEngine
    keys: Keys
    cache: KeyCache
    cpu: Executor
    validity: timedelta
    node_validity: timedelta = timedelta(days=365)
    drivers: Callable[[str], Driver] = registry.by_name

    async def decide(self, request_id: UUID) -> SignRequest | None:
        """Bring a request to its end: signed, refused or expired. Safe to repeat and to run twice at once.

        Returns the request as it was found, None when it (or its bay) is gone.

        Raises:
            EnvelopeError: the authority's key cannot be opened with this process's master key, or is lost.
            CloudError: it lies in Barbican, which cannot be asked now.
        """
        async with self.engine.connect() as conn:  # 1
            request = await sign_requests.get(conn, request_id)
        if request is None or request.state is not SignState.PENDING:
            return request
        try:
            await self._sign(request)
        except Refused as refusal:
            async with self.engine.begin() as conn:
                await sign_requests.refuse(conn, request, refusal.message)
        return request

    async def sweep(self, grace: timedelta = timedelta(0)) -> int:
        """Take up what a lost message or a dead process left behind; how many requests were taken up.

        Requests younger than `grace` are left to their message.
        One that cannot be decided now is logged and does not keep the others from it.
        """
        async with self.engine.begin() as conn:
            await sign_requests.expire_overdue(conn)
            ids = await sign_requests.unfinished(conn, grace, _SWEEP_BATCH)
        for request_id in ids:
            try:
                await self.decide(request_id)
            except Exception:
                log.exception("sign request %s cannot be decided now", request_id)
        return len(ids)

    async def _sign(self, request: SignRequest) -> None:
        plan = await self._plan(request)  # 2
        if plan is None:
            return
        async with self.engine.begin() as conn:  # 3
            certificate = await self._record_intent(conn, request, plan)
        if certificate is None:
            return
        failpoint.hit("certs:sign_intended")
        authority = await self._open(certificate.authority_id)  # 4
        pem = await self._compute(_issue, authority, plan, certificate)
        async with self.engine.begin() as conn:  # 5
            await sign_requests.complete(conn, request, certificate, pem)
        failpoint.hit("certs:sign_issued")

    async def _plan(self, request: SignRequest) -> LeafPlan | None:
        """What is to be signed; None: the node that asks is not attested (yet). Raises Refused."""
        if request.attestation_id is None:
            return await self._compute(plan_leaf, request.csr, request.profile)
        async with self.engine.connect() as conn:
            attested = await attestations.get(conn, request.attestation_id)
            bay = await bays.get(conn, request.bay_id)
        if attested is None or bay is None or attested.state is not AttestState.ATTESTED:
            return None
        profile = profile_of(request, attested, self.drivers(bay.driver))
        return await self._compute(plan_node, attested.csr, profile, attested.node_name or "")

    async def _record_intent(self, conn: AsyncConnection, request: SignRequest, plan: LeafPlan) -> Certificate | None:
        """The intent to carry out, or None when the request is decided. Raises Refused."""
        locked = await sign_requests.lock(conn, request.id)
        if locked is None or locked.state is not SignState.PENDING:
            return None  # somebody else decided it meanwhile
        authority = None
        if request.authority_kind in authorities.KINDS:
            authority = await authorities.for_signing(conn, request.bay_id, request.authority_kind)
        if authority is None:
            raise Refused(f"The bay has no {request.authority_kind} certificate authority that can sign.")
        known = await sign_requests.known_certificate(conn, request, authority.id)
        if known is not None and known.state is CertificateState.ISSUED:
            await sign_requests.answer_with(conn, request, known)
            return None
        if known is not None and known.sign_request_id == request.id:
            return known  # our own intent is carried out even when nobody waits any more
        if locked.overdue:
            await sign_requests.expire(conn, request.id)
            return None
        if known is not None:
            return known
        serial, subject = f"{secrets.randbits(128):032x}", plan.subject_text
        validity = self.validity if request.attestation_id is None else self.node_validity
        return await sign_requests.intend(conn, request, authority, serial=serial, subject=subject, validity=validity)

    async def _open(self, authority_id: UUID) -> Authority:
        """The authority with its key in memory. Raises Refused when the key was destroyed, and as `decide`."""
        cached = self.cache.get(authority_id)
        if cached is not None:
            return cached
        async with self.engine.connect() as conn:
            public = await authorities.get(conn, authority_id)
            stored = await authorities.stored_key(conn, authority_id)
        if public is None or stored is None:
            raise Refused("The key of the bay's certificate authority was destroyed.")
        try:
            key = await self.keys.open(stored, public)
        except KeyGone as gone:
            raise Refused(str(gone)) from None
        authority = await self._compute(Authority, public.certificate, key)
        self.cache.put(authority_id, authority)
        return authority

    async def _compute(self, work: Callable[_P, _R], *args: _P.args, **_: _P.kwargs) -> _R:
        return await asyncio.get_running_loop().run_in_executor(self.cpu, work, *args)


def _issue(authority: Authority, plan: LeafPlan, certificate: Certificate) -> str:
    intent = Intent(int(certificate.serial, 16), certificate.not_before, certificate.not_after)
    return authority.sign(authority.prepare(plan, intent))
