"""The way of sign requests through this process, for all who wait at once: rows, messages, and what became of them.

Each stage takes what waits for it together (`shared/runtime/batches.py`): one commit, one publish, one look for up to
32 requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.replies import Replies
from shared.bus.port import Bus, BusUnavailable, PublishFailed
from shared.contracts import encode
from shared.contracts.certificate import CertificateSignRequested
from shared.db.reader import Reader
from shared.db.repositories import sign_asking
from shared.db.repositories.sign_asking import NewRequest
from shared.db.repositories.sign_requests import SignOutcome
from shared.runtime import failpoint
from shared.runtime.batches import Batches

_log = structlog.get_logger(__name__)

PUBLISH_WITHIN: Final = 0.7
"""Seconds for the bus. A broker that needs longer is away as far as somebody who waits is concerned (issue 6: 503
within a second); the sweep of certs finds the row."""

_LANES: Final = 4
"""Publishes and looks under way at a time; commits are one at a time, because each waits for the disk anyway."""
_LINGER: Final = 0.02
"""Seconds that a first commit waits for company: at 100 requests a second that saves a third of all CPU."""


class SignPath:
    """Of one process."""

    def __init__(self, engine: AsyncEngine, reader: Reader, bus: Bus, replies: Replies) -> None:
        self._engine = engine
        self._reader = reader
        self._bus = bus
        self._replies = replies
        self._rows: Batches[NewRequest, None] = Batches(self._write, linger=_LINGER)
        self._messages: Batches[NewRequest, bool] = Batches(self._publish, lanes=_LANES)
        self._outcomes: Batches[UUID, SignOutcome | None] = Batches(self._look, lanes=_LANES)

    def ask(self, request: NewRequest) -> asyncio.Future[None]:
        """Commit the row. Fails with the database's own errors; without a word if the bay is gone, as `look` tells."""
        return self._rows.submit(request)

    def tell(self, request: NewRequest) -> asyncio.Future[bool]:
        """Send its message; whether the bus has it for certain."""
        return self._messages.submit(request)

    def look(self, request_id: UUID) -> asyncio.Future[SignOutcome | None]:
        """What has become of it, None when it (or its bay) is gone."""
        return self._outcomes.submit(request_id)

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(self._rows.close(), self._messages.close(), self._outcomes.close())

    async def _write(self, requests: Sequence[NewRequest]) -> list[None]:
        async with self._engine.begin() as conn:
            await sign_asking.add_all(conn, requests)
        failpoint.hit("api:sign_asked")
        return [None] * len(requests)

    async def _publish(self, requests: Sequence[NewRequest]) -> list[bool]:
        envelopes = [
            encode(CertificateSignRequested(bay_id=one.bay_id, sign_request_id=one.id, reply_to=self._replies.address))
            for one in requests
        ]
        try:
            await self._bus.publish(envelopes, timeout=PUBLISH_WITHIN)
        except PublishFailed as error:
            _log.warning("sign requests not told", reason=str(error))
            return [envelope.id not in error.failed for envelope in envelopes]
        except BusUnavailable as error:
            _log.warning("sign requests not told", reason=str(error))
            return [False] * len(requests)
        return [True] * len(requests)

    async def _look(self, ids: Sequence[UUID]) -> list[SignOutcome | None]:
        found = await sign_asking.outcomes(self._reader, ids)
        return [found.get(one) for one in ids]
