"""The sweeper: finds what is due without being told (rule 2).

Timers and retries are rows, so this loop is also the clock of every wait. Nothing ticks for bays at rest: the loop asks
when the next operation is due and sleeps until then, or for the sweep time, or until this process has committed.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from shared.domain.bay import Operation
from shared.runtime.settings import Timing
from shared.worker.dispatch import Dispatcher

_log = structlog.get_logger()

GRACE = 8.0
"""Seconds that running steps get to end when the process is asked to stop. One that does not end keeps its lease."""


class Sweeper:
    """Claims due operations of one service and runs up to `concurrency` of them at once."""

    def __init__(self, *, timing: Timing, concurrency: int) -> None:
        self._timing = timing
        self._concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Something was committed here, so something may be due sooner than was thought."""
        self._news.set()

    async def run(self, dispatcher: Dispatcher[Any]) -> None:
        """Claim and run until cancelled."""
        while not self._stopping:
            if len(self._running) < self._concurrency and (operation := await dispatcher.claim()) is not None:
                self._start(dispatcher, operation)
            else:
                await self._rest(await dispatcher.seconds_to_next())

    async def drain(self) -> None:
        """Claim no more and give what runs some seconds to end."""
        self._stopping = True
        self._news.set()
        if self._running:
            await asyncio.wait(self._running, timeout=GRACE)

    def _start(self, dispatcher: Dispatcher[Any], operation: Operation) -> None:
        task = asyncio.create_task(dispatcher.run(operation))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._news.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("operation not settled; its lease will end", error=f"{type(error).__name__}: {error}"[:200])

    async def _rest(self, until_due: float | None) -> None:
        full = len(self._running) >= self._concurrency
        seconds = self._timing.sweep if until_due is None or full else min(max(until_due, 0.02), self._timing.sweep)
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()
