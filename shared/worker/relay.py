"""The outbox relay: publishes what was committed, forgets it once the broker has confirmed (libraries §4).

The rows are held while they are published, so two relays of one service never publish the same row at the same time.
A crash between the broker's confirmation and our delete publishes it once more, which is harmless: a message only says
"look", and a notification keeps its id.
Notifications have a loop of their own: their broker may be away for days while messages go on.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typing_extensions import override

from shared.bus.notifications import Notifier, Outgoing
from shared.bus.port import Bus, Envelope, PublishFailed
from shared.db.repositories import outbox
from shared.runtime import failpoint

_log = structlog.get_logger()

BATCH = 100


class OutboxRelay:
    """Empties the outbox of one service, woken after each commit and at least every `poll` seconds.

    With a `notifier` it also sends the service's notifications.
    """

    def __init__(
        self, engine: AsyncEngine, bus: Bus, *, service: str, poll: float = 1.0, notifier: Notifier | None = None
    ) -> None:
        self._loops: list[_Loop] = [_Messages(engine, bus, service, poll)]
        if notifier is not None:
            self._loops.append(_Notifications(engine, notifier, outbox.notifications_of(service), poll))

    def wake(self) -> None:
        """Something was committed."""
        for loop in self._loops:
            loop.news.set()

    async def run(self) -> None:
        """Relay until cancelled. A broker or database that is away is waited for, never given up on."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())


class _Loop(ABC):
    """Batch after batch from one queue of the outbox."""

    def __init__(self, engine: AsyncEngine, queue: str, poll: float) -> None:
        self.news = asyncio.Event()
        self._engine = engine
        self._queue = queue
        self._poll = poll

    async def run(self) -> None:
        """Relay until cancelled."""
        pause = self._poll
        while True:
            try:
                while await self._relay_batch() == BATCH:
                    continue
                pause = self._poll
            except Exception as error:
                _log.warning("relay pauses", service=self._queue, error=f"{type(error).__name__}: {error}"[:200])
                pause = min(pause * 2, 10.0)
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.news.wait()
        except TimeoutError:
            return
        finally:
            self.news.clear()

    async def _relay_batch(self) -> int:
        async with self._engine.begin() as conn:
            rows = await self._take(conn)
            if not rows:
                return 0
            waiting = await self._publish(conn, rows)
        if waiting:
            raise ConnectionError(f"{waiting} wait for the broker")
        return len(rows)

    async def _take(self, conn: AsyncConnection) -> list[outbox.OutboxRow]:
        return await outbox.take(conn, self._queue, BATCH)

    @abstractmethod
    async def _publish(self, conn: AsyncConnection, rows: list[outbox.OutboxRow]) -> int:
        """Publish the rows and remove those that the broker has; how many it would not take."""


class _Messages(_Loop):
    """The service's own messages, in no order."""

    def __init__(self, engine: AsyncEngine, bus: Bus, service: str, poll: float) -> None:
        super().__init__(engine, service, poll)
        self._bus = bus

    @override
    async def _publish(self, conn: AsyncConnection, rows: list[outbox.OutboxRow]) -> int:
        unconfirmed: set[object] = set()
        try:
            await self._bus.publish([Envelope(row.id, row.name, row.version, row.body.encode()) for row in rows])
        except PublishFailed as failure:
            unconfirmed = set(failure.failed)
            _log.warning("not confirmed", service=self._queue, count=len(unconfirmed), reason=str(failure))
        failpoint.hit(f"{self._queue}:relay_confirmed")
        await outbox.remove(conn, [row.id for row in rows if row.id not in unconfirmed])
        return len(unconfirmed)


class _Notifications(_Loop):
    """Notifications, in the order in which they were written; one process of the service at a time."""

    def __init__(self, engine: AsyncEngine, notifier: Notifier, queue: str, poll: float) -> None:
        super().__init__(engine, queue, poll)
        self._notifier = notifier

    @override
    async def _relay_batch(self) -> int:
        await self._notifier.wait_up()  # without the broker no row is held and no database connection taken
        return await super()._relay_batch()

    @override
    async def _take(self, conn: AsyncConnection) -> list[outbox.OutboxRow]:
        return await super()._take(conn) if await outbox.hold_alone(conn, self._queue) else []

    @override
    async def _publish(self, conn: AsyncConnection, rows: list[outbox.OutboxRow]) -> int:
        sent = await self._notifier.send([Outgoing(row.id, row.headers[outbox.NOTIFICATION], row.body) for row in rows])
        await outbox.remove(conn, sent.ids)
        if sent.trouble is None:
            return 0
        waiting = len(rows) - len(sent.ids)
        _log.warning("notifications wait", service=self._queue, count=waiting, reason=sent.trouble)
        return waiting
