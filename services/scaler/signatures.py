"""The scaler's certificates by the ordinary sign path: a row, a message, and a look at what became of the row.

1. The row is committed: profile `scaler`, requester `service:scaler`, bay and authority. It is the truth.
2. The message says which row. A bus that does not take it is no matter: the sweep of certs finds the row.
3. The reply wakes us, or we look about once a second; the row's state is the answer. Ten seconds for all of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.port import Bus, BusUnavailable, PublishFailed
from shared.contracts import encode
from shared.contracts.base import Message
from shared.contracts.certificate import CertificateSigned, CertificateSignRequested
from shared.db.health import is_away
from shared.db.repositories import documents, sign_asking
from shared.db.repositories.sign_asking import Asking, NewRequest
from shared.db.repositories.sign_requests import PATIENCE, SignOutcome, SignState
from shared.domain import client_profiles
from shared.domain.errors import CloudError

_log = structlog.get_logger(__name__)

SERVICE: Final = "certs"
"""`CloudError.service` of what goes wrong here."""

_LOOK_EVERY: Final = 0.9
_TELL_WITHIN: Final = 1.0
"""Seconds for the bus; what it takes longer for, the sweep does."""


class Signatures:
    """Of one process."""

    def __init__(self, engine: AsyncEngine, bus: Bus, *, patience: timedelta = PATIENCE) -> None:
        self._engine = engine
        self._bus = bus
        self._patience = patience
        self._address: asyncio.Future[str] | None = None
        self._waiting: dict[UUID, asyncio.Event] = {}

    async def sign(self, bay_id: UUID, csr: str) -> str:
        """The certificate (PEM) of our profile for this CSR.

        Raises:
            CloudError: refused; or, retryable, not in time.
        """
        # No validity is asked for, so that it is the profile's hour or the operator's shorter one.
        asking = Asking("kubernetes", client_profiles.SCALER_REQUESTER, csr, client_profiles.SCALER, None)
        request = NewRequest(uuid4(), bay_id, asking)
        arrived = self._waiting[request.id] = asyncio.Event()
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                async with self._engine.begin() as conn:
                    await sign_asking.add_all(conn, [request])  # 1
                await self._tell(request)  # 2
                return _certificate(await self._decided(request.id, arrived))  # 3
        except TimeoutError:
            raise _late("nobody signed it in time") from None
        except Exception as error:
            if not is_away(error):
                raise
            raise _late(f"the database does not answer ({type(error).__name__})") from None
        finally:
            del self._waiting[request.id]

    async def _tell(self, request: NewRequest) -> None:
        try:
            async with asyncio.timeout(_TELL_WITHIN):
                message = CertificateSignRequested(
                    bay_id=request.bay_id, sign_request_id=request.id, reply_to=await self._replies()
                )
                await self._bus.publish([encode(message)], timeout=_TELL_WITHIN)
        except (BusUnavailable, PublishFailed, TimeoutError) as error:
            _log.warning("sign request not told", bay=str(request.bay_id), reason=str(error) or "the bus hangs")

    async def _replies(self) -> str:
        """The address of our reply queue, opened by whoever needs it first: the bus starts after us."""
        if self._address is None or (self._address.done() and self._address.exception() is not None):
            self._address = asyncio.ensure_future(self._bus.open_reply_queue(self._replied))
        return await asyncio.shield(self._address)

    async def _replied(self, message: Message) -> None:
        if isinstance(message, CertificateSigned) and (arrived := self._waiting.get(message.sign_request_id)):
            arrived.set()

    async def _decided(self, request_id: UUID, arrived: asyncio.Event) -> SignOutcome:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await arrived.wait()
            arrived.clear()
            async with self._engine.connect() as conn:
                found = await sign_asking.outcomes(await documents.within(conn), [request_id])
            outcome = found.get(request_id)
            if outcome is None:
                raise CloudError("The bay is gone.", service=SERVICE)
            if outcome.state is not SignState.PENDING:
                return outcome


def _certificate(outcome: SignOutcome) -> str:
    if outcome.pem is not None:
        return outcome.pem
    if outcome.state is SignState.REFUSED:
        raise CloudError(
            f"The bay's authority refused our client certificate: {outcome.reason or 'no reason given'}",
            service=SERVICE,
        )
    raise _late(f"the request is {outcome.state.value}")


def _late(why: str) -> CloudError:
    return CloudError(
        f"There is no client certificate for the bay's API yet: {why}. Is the service certs running?",
        service=SERVICE,
        retryable=True,
    )
