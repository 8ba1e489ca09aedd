"""The outbox relay: publishes what was committed, forgets it once the broker has confirmed (libraries §4).

The rows are held while they are published, so two relays of one service never publish the same row at the same time.
A crash between the broker's confirmation and our delete publishes it once more, which is harmless: it only says "look".
"""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.port import Bus, Envelope, PublishFailed
from shared.db.repositories import outbox
from shared.runtime import failpoint

_log = structlog.get_logger()

BATCH = 100


class OutboxRelay:
    """One loop that empties the outbox of one service, woken after each commit and at least every `poll` seconds."""

    def __init__(self, engine: AsyncEngine, bus: Bus, *, service: str, poll: float = 1.0) -> None:
        self._engine = engine
        self._bus = bus
        self._service = service
        self._poll = poll
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Something was committed."""
        self._news.set()

    async def run(self) -> None:
        """Relay until cancelled. A broker or database that is away is waited for, never given up on."""
        pause = self._poll
        while True:
            try:
                while await self._relay_batch() == BATCH:
                    continue
                pause = self._poll
            except Exception as error:
                _log.warning("relay pauses", service=self._service, error=f"{type(error).__name__}: {error}"[:200])
                pause = min(pause * 2, 10.0)
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()

    async def _relay_batch(self) -> int:
        async with self._engine.begin() as conn:
            rows = await outbox.take(conn, self._service, BATCH)
            if not rows:
                return 0
            envelopes = [Envelope(row.id, row.name, row.version, row.body.encode()) for row in rows]
            try:
                await self._bus.publish(envelopes, timeout=5.0)
                unconfirmed: set[object] = set()
            except PublishFailed as failure:
                unconfirmed = set(failure.failed)
                _log.warning("not confirmed", service=self._service, count=len(unconfirmed), reason=str(failure))
            failpoint.hit(f"{self._service}:relay_confirmed")
            await outbox.remove(conn, [row.id for row in rows if row.id not in unconfirmed])
        if unconfirmed:
            raise ConnectionError(f"{len(unconfirmed)} messages wait for the broker")
        return len(rows)
