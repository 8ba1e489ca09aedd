"""The sign path. The steps below have the same numbers as the comments in the code.

    1. Load the request. What is decided already stays as it is.
    2. Check the CSR against its profile; refuse it with a reason. A node's request is left alone until it is attested.
    3. Commit the intent: serial, subject and validity, with the audit line "signing". The same CSR of the same
       requester within ten minutes meets the intent or the certificate of the first time.
    4. Open the authority's key, prepare, spend the token: the certificate follows from intent and CSR alone.
    5. Commit the certificate with the audit line "issued", and the request as signed.

A process that dies between 3 and 5 leaves an intent; whoever takes the request up next (the message again, the sweep,
the same CSR again) continues at 4 with the same serial and makes the same bytes. No transaction is open during 2 and 4.

Requests that wait at the same moment go through 1 to 3 together, and again through the signature of 4 and 5: one
commit each for up to 32 of them (`shared/runtime/batches.py`). What is slow for one is nobody else's
business, as a Barbican that does not answer or a row that another replica holds: the others go on, and the one waits
for a moment and is then left to the sweep.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.certs.authority import Authority
from services.certs.authority import Intent as Recorded
from services.certs.client_policy import ClientPolicy
from services.certs.figures import count
from services.certs.intents import Verdicts, judge
from services.certs.key_cache import KeyCache
from services.certs.key_store import KeyGone, Keys
from services.certs.left_over import OLDEST, tell
from services.certs.planner import Plan, Planned, Planner
from services.certs.profiles import LeafPlan, Refused
from shared.db.repositories import authorities, signing
from shared.db.repositories.sign_requests import SignRequest, SignState
from shared.db.repositories.signing import Certificate, Decision, Intent, Issued
from shared.domain.errors import CloudError, Unavailable
from shared.drivers import registry
from shared.drivers.contract import Driver
from shared.runtime import failpoint
from shared.runtime.batches import Batches
from shared.runtime.telemetry import SIGN_BATCH

_SWEEP_BATCH: Final = 100
_PRUNE_BATCH: Final = 500
_LANES: Final = 1
"""Batches of a stage under way at once. While one waits for the disk the next gathers, and the other stage works."""
_LINGER: Final = 0.01
"""Seconds that a first batch waits: what one commit of the gateway wrote comes as so many messages."""


_AGAIN: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds until another try at what another replica holds: usually for one commit, which takes milliseconds."""


class HeldElsewhere(Unavailable):
    """Another replica holds the request, or one for the same certificate, or somebody its bay."""

    def __init__(self, request_id: UUID) -> None:
        super().__init__(f"Somebody else holds sign request {request_id}, the same wish, or its bay.")


def too_slow(authority_id: UUID) -> CloudError:
    """What to raise for a key that takes too long to come."""
    message = f"The key of authority {authority_id} does not come out of its place in time."
    return CloudError(message, service="key-manager", retryable=True)


@dataclass(frozen=True)
class Todo:
    """A request as it was found, and what is recorded and still to be signed for it, if anything."""

    request: SignRequest
    found_at: float
    certificate: Certificate | None = None
    leaf: LeafPlan | None = None

    def ends(self, state: SignState) -> None:
        """Count it."""
        count(self.request, state, time.monotonic() - self.found_at)


@dataclass(frozen=True)
class Ready:
    """All that a signature takes."""

    todo: Todo
    certificate: Certificate
    leaf: LeafPlan
    authority: Authority

    def sign(self) -> str:
        """The certificate, PEM. Uses the CPU. Raises Refused when the lint finds fault with it."""
        intent = Recorded(int(self.certificate.serial, 16), self.certificate.not_before, self.certificate.not_after)
        return self.authority.sign(self.authority.prepare(self.leaf, intent))


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
    patience: float = 3.0
    """Seconds for a key to be opened: whoever waits for it holds one of the process's places for messages."""
    clients: ClientPolicy = field(default_factory=ClientPolicy)

    async def decide(self, request_id: UUID) -> SignRequest | None:
        """Bring a request to its end: signed, refused or expired. Safe to repeat and to run twice at once.

        Returns the request as it was found, None when it (or its bay) is gone.

        Raises:
            EnvelopeError: the authority's key cannot be opened with this process's master key, or is lost.
            CloudError: it lies in Barbican, which cannot be asked now.
            HeldElsewhere: another replica has the request, or one for the same, and does not come to an end.
        """
        for pause in _AGAIN:
            try:
                return await self._decide(request_id)
            except HeldElsewhere:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        return await self._decide(request_id)

    async def _decide(self, request_id: UUID) -> SignRequest | None:
        todo = await self._intending.submit(request_id)
        if todo is None or todo.certificate is None or todo.leaf is None:
            return None if todo is None else todo.request
        try:
            authority = await self._authority(todo.certificate.authority_id)  # 4
            await self._issuing.submit(Ready(todo, todo.certificate, todo.leaf, authority))
        except Refused as refused:
            async with signing.transaction(self.engine) as conn:
                await signing.decide(conn, [Decision(request_id, SignState.REFUSED, refused.message)])
            todo.ends(SignState.REFUSED)
        return todo.request

    async def sweep(self, grace: timedelta = timedelta(0), *, thorough: bool = False) -> int:
        """Take up what a lost message or a dead process left behind; how many requests were taken up.

        Requests younger than `grace` are left to their message, those older than an hour to a `thorough` sweep: what
        could not be signed for so long will hardly be now. What was decided a day ago is removed.
        Those that cannot be decided now are logged and do not keep the others from it.
        """
        async with signing.transaction(self.engine) as conn:
            await signing.expire_overdue(conn, _PRUNE_BATCH)
        async with signing.transaction(self.engine) as conn:
            await signing.prune(conn, _PRUNE_BATCH)
            ids = await signing.unfinished(conn, grace, _SWEEP_BATCH, None if thorough else OLDEST)
        tell("sign requests", ids, await asyncio.gather(*map(self.decide, ids), return_exceptions=True))
        return len(ids)

    async def close(self) -> None:
        """Wait a moment for what is under way."""
        await asyncio.gather(self._intending.close(), self._issuing.close())

    @cached_property
    def _intending(self) -> Batches[UUID, Todo | None]:
        return Batches(self._intend, lanes=_LANES, linger=_LINGER)

    @cached_property
    def _issuing(self) -> Batches[Ready, None]:
        return Batches(self._issue, lanes=_LANES)

    @cached_property
    def _looking(self) -> AsyncEngine:
        """For a single look, which needs no transaction: two round trips less."""
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @cached_property
    def _planner(self) -> Planner:
        return Planner(self.engine, self.cpu, self.validity, self.node_validity, self.drivers, self.clients)

    async def _intend(self, ids: Sequence[UUID]) -> list[Todo | Exception | None]:
        """Steps 1 to 3 of a batch."""
        elsewhere: Collection[UUID] = ()
        SIGN_BATCH.observe(len(ids))
        async with self._looking.connect() as conn:  # 1
            found = await signing.load(conn, ids)
        todos = {one.id: Todo(one, time.monotonic()) for one in found.values()}
        pending = [one for one in found.values() if one.state is SignState.PENDING]
        if pending:
            plans = await self._planner.plan(pending)  # 2
            async with signing.transaction(self.engine) as conn:  # 3
                held = await signing.lock(conn, pending)
                verdicts, certificates = await self._record(conn, pending, plans, held.overdue)
            elsewhere = held.elsewhere
            for ended in verdicts.ended:
                todos[ended.request_id].ends(ended.state)
            for request_id, certificate in certificates.items():
                todos[request_id] = _with(todos[request_id], certificate, plans[request_id])
            if certificates:
                failpoint.hit("certs:sign_intended")
        return [HeldElsewhere(one) if one in elsewhere else todos.get(one) for one in ids]

    async def _record(
        self,
        conn: AsyncConnection,
        requests: Sequence[SignRequest],
        plans: Mapping[UUID, Plan],
        overdue: Mapping[UUID, bool],
    ) -> tuple[Verdicts, dict[UUID, Certificate]]:
        """Judge those that are held and write it down; with the certificates to be signed, by request."""
        held = [one for one in requests if one.id in overdue]  # somebody else decided the rest meanwhile
        asked = {(one.bay_id, one.authority_kind) for one in held if one.authority_kind in authorities.KINDS}
        signers = await authorities.for_signing(conn, asked)
        known = await signing.known(conn, held, [one.id for one in signers.values()])
        verdicts = judge(held, plans, signers, known, overdue)
        made = await signing.intend(conn, verdicts.new)
        await signing.decide(conn, verdicts.ended)
        return verdicts, {
            request_id: made[one.id] if isinstance(one, Intent) else one for request_id, one in verdicts.to_sign.items()
        }

    async def _issue(self, batch: Sequence[Ready]) -> list[Exception | None]:
        """The signatures of step 4, and step 5, of a batch."""
        once = {one.certificate.id: one for one in batch}
        signed = await asyncio.get_running_loop().run_in_executor(self.cpu, _sign_all, once)
        issued = [
            Issued(one.todo.request.id, one.certificate, pem)
            for one in batch
            if isinstance(pem := signed[one.certificate.id], str)
        ]
        results: dict[UUID, Exception | None] = {
            one.todo.request.id: error if isinstance(error := signed[one.certificate.id], Exception) else None
            for one in batch
        }
        if issued:
            async with signing.transaction(self.engine) as conn:  # 5
                ended = await signing.complete(conn, issued)
            failpoint.hit("certs:sign_issued")
            results |= {request_id: HeldElsewhere(request_id) for request_id in ended.elsewhere}
            for one in batch:
                if one.todo.request.id in ended.signed:
                    one.todo.ends(SignState.SIGNED)
        return [results[one.todo.request.id] for one in batch]

    async def _authority(self, authority_id: UUID) -> Authority:
        """The authority with its key in memory. Raises Refused when the key was destroyed, and as `decide`.

        Who has lost patience leaves the opening to go on for the next one.
        """
        if (found := self.cache.get(authority_id)) is not None:
            return found
        try:
            async with asyncio.timeout(self.patience):
                return await self.cache.opened(authority_id, self._open)
        except TimeoutError:
            raise too_slow(authority_id) from None

    async def _open(self, authority_id: UUID) -> Authority:
        async with self.engine.connect() as conn:
            public = await authorities.get(conn, authority_id)
            stored = await authorities.stored_key(conn, authority_id)
        if public is None or stored is None:
            raise Refused("The key of the bay's certificate authority was destroyed.")
        try:
            key = await self.keys.open(stored, public)
        except KeyGone as gone:
            raise Refused(str(gone)) from None
        return await asyncio.get_running_loop().run_in_executor(self.cpu, Authority, public.certificate, key)


def _with(todo: Todo, certificate: Certificate, plan: Plan) -> Todo:
    return replace(todo, certificate=certificate, leaf=plan.leaf) if isinstance(plan, Planned) else todo


def _sign_all(ready: Mapping[UUID, Ready]) -> dict[UUID, str | Exception]:
    """What each comes to: one that cannot be signed does not keep the others from it."""
    return {certificate_id: _sign(one) for certificate_id, one in ready.items()}


def _sign(one: Ready) -> str | Exception:
    try:
        return one.sign()
    except Exception as error:
        return error
