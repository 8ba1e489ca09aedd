"""One queue that this process reads from the table."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from shared.bus import postgres_queries as sql
from shared.bus.delivery import Courier, Done, Later, attempts_of
from shared.bus.port import Handler, RawEnvelope
from shared.bus.postgres_wire import ERRORS, Pool, Record
from shared.bus.topology import DELIVERY_LIMIT

log = logging.getLogger(__name__)

_BACKOFF: Final = 0.3
_FETCH_LIMIT: Final = 2.0


class Consumer:
    """Fetches messages into free slots and runs the handler. `service_queue` is None for a reply queue."""

    def __init__(
        self,
        queue: str,
        service_queue: str | None,
        handler: Handler,
        courier: Courier,
        *,
        concurrency: int,
        redelivery_seconds: float,
        poll_seconds: float,
    ) -> None:
        self.queue = queue
        self._service_queue = service_queue
        self._handler = handler
        self._courier = courier
        self._concurrency = concurrency
        self._lease = timedelta(seconds=redelivery_seconds)
        self._poll = poll_seconds
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], tuple[int, UUID]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self, pool: Pool) -> None:
        """Begin to fetch."""
        self._loops = [
            asyncio.create_task(self._fetch_for_ever(pool), name=f"fetch {self.queue}"),
            asyncio.create_task(self._renew_for_ever(pool), name=f"renew {self.queue}"),
        ]

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def close(self, grace: float) -> None:
        """Fetch no more, wait `grace` seconds for handlers, then cancel them: each releases its message."""
        if not self._loops:
            return
        # The fetch that is under way ends by itself: cancelled, it could leave rows leased that nobody knows of.
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._loops[0]], timeout=_FETCH_LIMIT)
        await _stop(self._loops[0])
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        await asyncio.gather(*(_stop(task) for task in list(self._running)))
        await _stop(self._loops[1])

    async def _fetch_for_ever(self, pool: Pool) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                more = await self._fetch(pool)
            except ERRORS as error:
                log.warning("queue %s cannot be read: %s", self.queue, type(error).__name__)
                await asyncio.sleep(_BACKOFF)
                continue
            if not more and not self._closing:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._poll)

    async def _fetch(self, pool: Pool) -> bool:
        """Fill the free slots; True when there may be more and there is room for it.

        A finished handler wakes the loop, so a full house waits for a slot as it waits for a message.
        """
        free = self._concurrency - len(self._running)
        if free <= 0:
            return False
        token = uuid4()
        rows = await pool.fetch(sql.TAKE, self.queue, free, self._lease, token)
        for row in rows:
            task = asyncio.create_task(self._handle(pool, row, token))
            self._running[task] = (row["seq"], token)
            task.add_done_callback(self._forget)
        return len(rows) == free and len(self._running) < self._concurrency

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    async def _handle(self, pool: Pool, row: Record, token: UUID) -> None:
        if self._closing:
            await self._release(pool, row["seq"], token)
            return
        settled = False
        try:
            outcome = await self._settle(_raw_envelope(row), row["deliveries"])
            settled = True
            await self._finish(pool, row["seq"], token, outcome)
        except ERRORS as error:
            # The effect is done and the row stays: it is handed out again when its lease ends.
            log.warning("message %s not acknowledged: %s", row["id"], type(error).__name__)
        except asyncio.CancelledError:
            if not settled:
                await self._release(pool, row["seq"], token)
            raise
        except Exception:
            log.exception("delivery on %s failed", self.queue)

    async def _settle(self, raw: RawEnvelope, deliveries: int) -> Done | Later:
        if self._service_queue is None:
            await self._courier.deliver_reply(raw, self._handler)
            return Done()
        if deliveries > DELIVERY_LIMIT:
            reason = f"delivered {DELIVERY_LIMIT} times without an outcome"
            return await self._courier.bury(
                self._service_queue, raw, reason, attempts=attempts_of(raw), kind="delivery-limit"
            )
        return await self._courier.settle(self._service_queue, raw, self._handler)

    async def _finish(self, pool: Pool, seq: int, token: UUID, outcome: Done | Later) -> None:
        """Delete the row, or put it off in one statement: there is no moment without a copy."""
        if isinstance(outcome, Later):
            delay, headers = timedelta(seconds=outcome.delay), json.dumps(outcome.headers)
            await pool.execute(sql.POSTPONE, seq, token, delay, headers)
            asyncio.get_running_loop().call_later(outcome.delay, self._wake.set)
        else:
            await pool.execute(sql.ACK, seq, token)

    async def _release(self, pool: Pool, seq: int, token: UUID) -> None:
        with suppress(*ERRORS):
            await asyncio.wait_for(pool.execute(sql.RELEASE, seq, token), 2.0)

    async def _renew_for_ever(self, pool: Pool) -> None:
        """Extend the leases of running handlers, so that a slow one is not doubled; a dead process renews nothing."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            if not self._running:
                continue
            seqs, tokens = zip(*self._running.values(), strict=True)
            try:
                await pool.execute(sql.RENEW, list(seqs), list(set(tokens)), self._lease)
            except ERRORS as error:
                log.warning("leases on %s not renewed: %s", self.queue, type(error).__name__)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _raw_envelope(row: Record) -> RawEnvelope:
    """Read a row without trusting its contents."""
    headers = json.loads(row["headers"])
    texts = {str(key): str(value) for key, value in headers.items()} if isinstance(headers, dict) else {}
    return RawEnvelope(str(row["id"]), row["name"], str(row["version"]), row["body"], texts)
