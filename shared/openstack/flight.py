"""Single flight: any number of callers who want the same thing at once cause one piece of work.

The race, step by step: caller A finds no flight and starts one; B joins it; A is cancelled (its own time limit). The
work goes on for B, because nobody awaits the task itself, only a shield around it. The entry leaves the table when
the task ends, before any waiter wakes, so a caller who comes later starts afresh.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """A table of the work that is under way, by key."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Task[V]] = {}

    async def do(self, key: K, work: Callable[[], Awaitable[V]]) -> V:
        """The result, or the exception, of the work under way for `key`; begun now if there is none."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(_run(work))
            self._under_way[key] = task
            task.add_done_callback(lambda ended: self._ended(key, ended))
        return await asyncio.shield(task)

    def _ended(self, key: K, task: asyncio.Task[V]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # marks it as seen, also when every waiter has gone away

    async def close(self) -> None:
        """Cancel what is under way and wait until it has ended."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(work: Callable[[], Awaitable[V]]) -> V:
    return await work()
