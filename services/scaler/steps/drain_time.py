"""How long a drain may take: what its label says, as far as the operation's own time goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scaler.factory import Deps
from shared.db.repositories import drained
from shared.domain.scaling_labels import DRAIN_TIMEOUT
from shared.worker.outcome import StepContext

RESERVE: Final = 300.0
"""Seconds that Heat is left at least, of an operation that has twice as many."""
_QUARTER, _HALF = 0.25, 0.5


@dataclass(frozen=True)
class Hours:
    """The time of a drain, in seconds since its first pass, by Postgres's clock."""

    elapsed: float
    asked: float
    """What the owner allows."""
    latest: float = inf
    """When the rest of the operation's time is needed for its stack."""

    @property
    def limit(self) -> float:
        """When the drain is over."""
        return max(min(self.asked, self.latest), 0.0)

    @property
    def over(self) -> bool:
        """Whether it is."""
        return self.elapsed >= self.limit

    def after(self) -> str:
        """For people: after how long it ended."""
        return f"After {self.limit:.0f} s"

    def cut(self) -> str:
        """For people, as a sentence with a space before it: that the label's time is not had; empty when it is."""
        if self.asked <= self.latest:
            return ""
        return (
            f" The drain gets {self.limit:.0f} of the {self.asked:.0f} s of label {DRAIN_TIMEOUT}: the rest of the "
            "operation's time is for its stack."
        )


async def hours(conn: AsyncConnection, ctx: StepContext[Deps], elapsed: float, asked: float) -> Hours:
    """The time of a drain that has been going on for `elapsed` seconds."""
    if ctx.operation.deadline is None:
        return Hours(elapsed, asked)
    left = await drained.seconds_until(conn, ctx.operation.deadline)
    return Hours(elapsed, asked, elapsed + left - reserve(ctx.bay.create_timeout * 60.0))


def reserve(seconds: float) -> float:
    """How much of an operation's time Heat is left: a quarter, but 5 min where that is no more than half."""
    return max(_QUARTER * seconds, min(RESERVE, _HALF * seconds))


def going_on(ctx: StepContext[Deps]) -> dict[str, object]:
    """For the memo: an operation without a deadline has not stalled while its drain waits (shared.worker.settle)."""
    return {"changed_at": datetime.now(UTC).timestamp()} if ctx.operation.deadline is None else {}
