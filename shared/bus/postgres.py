"""The bus in the Postgres that is there anyway: one queue table, SKIP LOCKED, NOTIFY as a mere hint.

A reader leases rows (`visible_at` moves into the future) and renews the lease while a handler runs; a row is deleted
after its handler, so a process that dies lets go when the lease ends. NOTIFY is sent outside transactions (inside, it
serialises all commits) and at most every 5 ms; a poll every second finds what a lost hint would have announced.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from shared.bus import postgres_queries as sql
from shared.bus.delivery import Courier, label
from shared.bus.port import BusUnavailable, Handler, PublishFailed
from shared.bus.postgres_consumer import Consumer
from shared.bus.postgres_wire import ERRORS, Listener, Notifier, Pool, open_pool
from shared.bus.topology import Names
from shared.contracts import MAX_BODY_BYTES, Envelope
from shared.contracts.envelope import EXPIRES_AT
from shared.contracts.registry import BY_NAME, CONSUMERS, queues_of
from shared.runtime.telemetry import MESSAGES

log = logging.getLogger(__name__)

START_LIMIT: Final = 60.0
POOL_SIZE: Final = 4
"""Connections of the bus itself. Handlers have their own pool, so they cannot starve acknowledgements."""
SWEEP_SECONDS: Final = 10.0
_CLOSE_LIMIT: Final = 3.0
_REPLY_CONCURRENCY: Final = 100


class PostgresBus:
    """`Bus` on Postgres. `redelivery_seconds`: lease after which a dead reader's message is handed out again."""

    def __init__(
        self,
        database_url: str,
        *,
        service: str,
        courier: Courier,
        prefix: str = "jeroboam",
        redelivery_seconds: float = 30.0,
        poll_seconds: float = 1.0,
        heartbeat: float = 10.0,
        close_grace: float = 5.0,
    ) -> None:
        self._url = database_url
        self._service = service
        self._grace = close_grace
        self._courier = courier
        self._names = Names(prefix)
        self._redelivery = redelivery_seconds
        self._poll = poll_seconds
        self._heartbeat = heartbeat
        self._consumers: dict[str, Consumer] = {}
        self._pool: Pool | None = None
        self._sweeper: asyncio.Task[None] | None = None
        channel = f"{prefix}.bus"
        self._listener = Listener(database_url, channel, heartbeat, self._wake)
        self._notifier = Notifier(channel)

    async def start(self) -> None:
        """See `Bus.start`."""
        deadline = asyncio.get_running_loop().time() + START_LIMIT
        try:
            self._pool = await self._connect(deadline)
            await self._listener.start()
        except BaseException:
            await self.close()
            raise
        self._notifier.start(self._pool)
        self._sweeper = asyncio.create_task(self._sweep_for_ever(self._pool))
        for consumer in self._consumers.values():
            consumer.start(self._pool)

    async def close(self) -> None:
        """See `Bus.close`. What is not handled is released at once."""
        await asyncio.gather(*(consumer.close(self._grace) for consumer in self._consumers.values()))
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
        await self._notifier.close()
        await self._listener.close()
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), _CLOSE_LIMIT)
            except ERRORS:
                self._pool.terminate()

    def healthy(self) -> bool:
        """See `Bus.healthy`."""
        return self._listener.healthy()

    async def publish(self, envelopes: Sequence[Envelope], *, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """See `Bus.publish`. What can be sent is committed in one statement."""
        failed = {envelope.id: reason for envelope in envelopes if (reason := _why_not(envelope)) is not None}
        good = [envelope for envelope in envelopes if envelope.id not in failed]
        reason = await self._insert(good, timeout)
        if reason is not None:
            failed |= {envelope.id: reason for envelope in good}
        else:
            for envelope in good:
                MESSAGES.labels(label(envelope.name), "published").inc()
        if failed:
            raise PublishFailed(failed)

    async def consume(self, queue: str, handler: Handler, *, concurrency: int) -> None:
        """See `Bus.consume`."""
        if queue not in CONSUMERS:
            raise ValueError(f"no queue {queue!r}; there are {', '.join(sorted(CONSUMERS))}")
        if self._names.queue(queue) in self._consumers:
            raise ValueError(f"queue {queue!r} has its handler already")
        self._add(
            Consumer(
                self._names.queue(queue),
                queue,
                handler,
                self._courier,
                concurrency=concurrency,
                redelivery_seconds=self._redelivery,
                poll_seconds=self._poll,
            )
        )

    async def open_reply_queue(self, handler: Handler) -> str:
        """See `Bus.open_reply_queue`. An address is a queue name that only this process reads."""
        address = self._names.new_reply(self._service)
        self._add(
            Consumer(
                address,
                None,
                handler,
                self._courier,
                concurrency=_REPLY_CONCURRENCY,
                redelivery_seconds=self._redelivery,
                poll_seconds=self._poll,
            )
        )
        return address

    async def reply(self, address: str, envelope: Envelope) -> None:
        """See `Bus.reply`. A reply that nobody fetches is swept away after 60 s."""
        if not self._names.is_reply(address):
            log.warning("reply to %r refused: not a reply queue", address[:100])
            return
        try:
            async with asyncio.timeout(5.0):
                await self._require_pool().execute(
                    sql.REPLY,
                    envelope.id,
                    address,
                    envelope.name,
                    envelope.version,
                    envelope.body,
                    json.dumps(envelope.headers),
                )
        except (*ERRORS, BusUnavailable) as error:
            log.info("reply %s not delivered: %s", envelope.id, type(error).__name__)
            MESSAGES.labels(label(envelope.name), "dropped").inc()
        else:
            self._notifier.announce({address})

    async def _insert(self, envelopes: Sequence[Envelope], limit: float) -> str | None:
        """Write one row per message and bound queue. Returns why nothing is confirmed, or None.

        A message that no queue receives yet is accepted and leaves no row: nobody would ever remove it.
        """
        rows = [(envelope, self._names.queue(queue)) for envelope in envelopes for queue in queues_of(envelope.name)]
        if not rows:
            return None
        try:
            async with asyncio.timeout(limit):
                await self._require_pool().execute(
                    sql.PUBLISH,
                    [envelope.id for envelope, _ in rows],
                    [queue for _, queue in rows],
                    [envelope.name for envelope, _ in rows],
                    [envelope.version for envelope, _ in rows],
                    [envelope.body for envelope, _ in rows],
                    [json.dumps(envelope.headers) for envelope, _ in rows],
                    [_expires_at(envelope) for envelope, _ in rows],
                )
        except TimeoutError:
            return "no confirmation in time"
        except (*ERRORS, BusUnavailable) as error:
            return f"database lost: {type(error).__name__}"
        self._notifier.announce({queue for _, queue in rows})
        return None

    def _add(self, consumer: Consumer) -> None:
        self._consumers[consumer.queue] = consumer
        if self._pool is not None:
            consumer.start(self._pool)

    def _wake(self, queue: str | None) -> None:
        """A hint came for a queue; None: hints may have been missed."""
        for name, consumer in self._consumers.items():
            if queue in (None, name):
                consumer.wake()

    def _require_pool(self) -> Pool:
        if self._pool is None:
            raise BusUnavailable("the bus is not started")
        return self._pool

    async def _connect(self, deadline: float) -> Pool:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await open_pool(self._url, POOL_SIZE, self._heartbeat)
            except ERRORS as error:
                if loop.time() > deadline:
                    raise BusUnavailable(f"Postgres not reached in {START_LIMIT:g} s: {error}") from None
            await asyncio.sleep(0.3)

    async def _sweep_for_ever(self, pool: Pool) -> None:
        while True:
            with suppress(*ERRORS):
                for row in await pool.fetch(sql.SWEEP):
                    MESSAGES.labels(label(row["name"]), "expired").inc()
            await asyncio.sleep(SWEEP_SECONDS)


def _why_not(envelope: Envelope) -> str | None:
    """Why a message cannot be sent at all, or None."""
    if len(envelope.body) > MAX_BODY_BYTES:
        return f"body has {len(envelope.body)} bytes, allowed are {MAX_BODY_BYTES}"
    classes = BY_NAME.get(envelope.name, {})
    if not classes or all(cls.reply for cls in classes.values()):
        return f"no queue receives {envelope.name[:100]!r}"
    return None


def _expires_at(envelope: Envelope) -> datetime | None:
    """When the row may be swept; the reader judges by the header, which may be nonsense."""
    try:
        expires_at = datetime.fromisoformat(envelope.headers[EXPIRES_AT])
    except (KeyError, ValueError):
        return None
    return expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=UTC)
