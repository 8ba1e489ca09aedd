"""A deadline travels with the work: one moment, asked for what remains wherever a time limit is needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock of this process (seconds); never stored, never sent to another process."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return time.monotonic() >= self.at

    def sub(self, seconds: float) -> Deadline:
        """A nearer deadline: `seconds` from now, but never later than this one."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    @asynccontextmanager
    async def limit(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Cancel the body at this deadline, or after `seconds` when that is sooner.

        Raises:
            TimeoutError: the time ran out.
        """
        until = self if seconds is None else self.sub(seconds)
        async with asyncio.timeout(until.remaining()):
            yield
