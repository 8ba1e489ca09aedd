"""Doing for many at once what many ask for: a batch is what waits when the one before has ended.

While one is under way the next ones gather. A batch may also `linger` before it begins, because at a moderate rate most
would have one item, and each costs a transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

LARGEST: Final = 32
"""Items of a batch: more would make the first of them wait for the last (issue 6: commits of up to 32)."""

Asked = TypeVar("Asked")
Got = TypeVar("Got")

Work = Callable[[Sequence[Asked]], Awaitable[Sequence[Got | Exception]]]


class Batches(Generic[Asked, Got]):
    """`work` does a batch and returns what each item gets, in their order; `lanes` batches at a time. One that begins
    when nothing is under way waits `linger` seconds for company.

    An exception among what it returns goes to that item alone. A batch whose work raises is done again one by one, so
    that an item fails for its own fault alone. Hence `work` must be harmless to repeat. One event loop only.
    """

    def __init__(self, work: Work[Asked, Got], *, lanes: int = 1, linger: float = 0.0) -> None:
        self._work = work
        self._linger = linger
        self._lanes = lanes
        self._waiting: deque[tuple[Asked, asyncio.Future[Got]]] = deque()
        self._busy = 0
        self._running: set[asyncio.Task[None]] = set()

    def submit(self, item: Asked) -> asyncio.Future[Got]:
        """What the item gets, or the error of its own. Who stops waiting does not stop the batch."""
        future: asyncio.Future[Got] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._busy < self._lanes:
            self._busy += 1  # not the tasks: one that has seen that nothing waits is still there for a moment
            task = asyncio.create_task(self._run())  # it begins after all who ask in the same moment
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return future

    async def close(self, grace: float = 5.0) -> None:
        """Wait `grace` seconds for what is under way, then cancel it and what waits."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        _cancel(self._waiting)

    async def _run(self) -> None:
        try:
            if self._linger and len(self._waiting) < LARGEST:
                await asyncio.sleep(self._linger)
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(LARGEST, len(self._waiting)))]
                try:
                    if not await self._done(batch):
                        for one in batch:
                            await self._done([one])
                finally:
                    _cancel(batch)  # those that have no answer, because we are cancelled
        finally:
            self._busy -= 1

    async def _done(self, batch: Sequence[tuple[Asked, asyncio.Future[Got]]]) -> bool:
        """Whether everyone got an answer; False: it failed, and may do better one by one."""
        wanted = [(item, future) for item, future in batch if not future.done()]
        if not wanted:
            return True
        try:
            results = await self._work([item for item, _ in wanted])
        except Exception as error:
            if len(wanted) > 1:
                log.warning("a batch of %d is done again one by one: %s", len(wanted), type(error).__name__)
                return False
            results = [error]
        for (_, future), result in zip(wanted, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        return True


def _cancel(batch: Iterable[tuple[object, asyncio.Future[Got]]]) -> None:
    for _, future in batch:
        future.cancel()
