"""The simulated cloud's clock: how long a boot, a stack or a fault takes.

One mechanism serves real, scaled and virtual time. Timers wait in a heap ordered by *simulated* seconds; simulated
seconds pass `speed` times as fast as real ones, and not at all at speed 0 (virtual time), where only `advance` moves
them. One loop timer is armed for the earliest entry, so nothing ticks at rest and no thread is needed.

Two notions of time are kept apart on purpose: `sleep` and `call_later` are scaled, but `now()` is the wall clock that
goes into bodies (`created_at`, token `expires_at`), because clients compare those with their own clock. `advance` moves
both.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime

# Loop turns given to woken tasks before virtual time moves on, so that a task that sleeps again is seen in time.
_SETTLE_TURNS = 25
# Cancelled timers are swept out of the heap when it has doubled since the last sweep, from this size on.
_SWEEP_FROM = 256


class Timer:
    """A pending call; `cancel()` makes it a no-op."""

    __slots__ = ("callback", "due", "serial")

    def __init__(self, due: float, serial: int, callback: Callable[[], None] | None) -> None:
        self.due, self.serial, self.callback = due, serial, callback

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.serial) < (other.due, other.serial)

    def cancel(self) -> None:
        """Forget the call; it stays in the heap as an empty entry until due."""
        self.callback = None


class Clock:
    """Simulated time with a speed factor; speed 0 is virtual time."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed < 0:
            raise ValueError(f"speed must be 0 (virtual) or more, not {speed}")
        self._speed = speed
        self._elapsed = 0.0
        self._anchor = time.monotonic()
        self._frozen_at = time.time()
        self._advanced = 0.0
        self._heap: list[Timer] = []
        self._sweep_at = _SWEEP_FROM
        self._serial = 0
        self._sleepers: set[asyncio.Future[None]] = set()
        self._armed: asyncio.TimerHandle | None = None

    @property
    def speed(self) -> float:
        """Simulated seconds per real second; 0 in virtual time."""
        return self._speed

    @property
    def virtual(self) -> bool:
        """True when only `advance` moves time."""
        return self._speed == 0

    @property
    def pending(self) -> int:
        """Timers that have not fired and are not cancelled."""
        return sum(1 for timer in self._heap if timer.callback is not None)

    def now(self) -> float:
        """Unix seconds for bodies: the wall clock (in virtual time the start) plus what was advanced."""
        return (self._frozen_at if self.virtual else time.time()) + self._advanced

    def iso(self, at: float | None = None, *, micros: bool = False) -> str:
        """`at` (default: now) as OpenStack writes it: `2026-11-22T15:51:00Z`, or Keystone's form with microseconds."""
        moment = datetime.fromtimestamp(self.now() if at is None else at, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micros else "%Y-%m-%dT%H:%M:%SZ")

    def elapsed(self) -> float:
        """Simulated seconds since the clock was made."""
        return self._elapsed + (time.monotonic() - self._anchor) * self._speed

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` after that many simulated seconds. Needs a running event loop unless time is virtual."""
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        self._serial += 1
        timer = Timer(self.elapsed() + max(0.0, seconds), self._serial, callback)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._arm()
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait that many simulated seconds; a sleep of 0 or less only yields."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if woken.done() else woken.set_result(None))
        self._sleepers.add(woken)
        try:
            await woken
        finally:
            self._sleepers.discard(woken)
            timer.cancel()

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers in order; tasks that sleep again inside the window are woken in it too."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds}")
        await self._settle()
        target = self.elapsed() + seconds
        while (due := self._next_due()) is not None and due <= target:
            self._shift(due)
            self._fire()
            await self._settle()
        self._shift(target)
        self._arm()

    def set_speed(self, speed: float) -> None:
        """Change the speed from here on; what is left of pending timers runs at the new speed."""
        if speed < 0:
            raise ValueError(f"speed must be 0 (virtual) or more, not {speed}")
        now = self.now()
        self._elapsed, self._anchor = self.elapsed(), time.monotonic()
        self._speed = speed
        self._frozen_at = now
        self._advanced = 0.0 if speed == 0 else now - time.time()
        self._arm()

    def reset(self) -> None:
        """Drop every timer and wake every sleeper now; time itself goes on."""
        self._heap.clear()
        for woken in self._sleepers:
            if not woken.done():
                woken.set_result(None)
        self._arm()

    def _sweep(self) -> None:
        """Let go of cancelled timers, which can be long from due."""
        self._heap = [timer for timer in self._heap if timer.callback is not None]
        heapq.heapify(self._heap)
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))

    def _next_due(self) -> float | None:
        """When the earliest timer that still matters is due."""
        while self._heap and self._heap[0].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0].due if self._heap else None

    def _shift(self, elapsed: float) -> None:
        """Jump to a point in simulated time that is not behind us."""
        step = max(0.0, elapsed - self.elapsed())
        self._elapsed += step
        self._advanced += step

    async def _settle(self) -> None:
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)

    def _fire(self) -> None:
        limit = self.elapsed()
        while self._heap and self._heap[0].due <= limit:
            timer = heapq.heappop(self._heap)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def _on_loop_timer(self) -> None:
        self._armed = None
        self._fire()
        self._arm()

    def _arm(self) -> None:
        """Have exactly one loop timer, for the earliest entry that still matters."""
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        due = self._next_due()
        if self.virtual or due is None:
            return
        delay = max(0.0, due - self.elapsed()) / self._speed
        self._armed = asyncio.get_running_loop().call_later(delay, self._on_loop_timer)
