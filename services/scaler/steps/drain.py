"""Moving the work away from nodes that leave."""

from __future__ import annotations

from services.scaler.factory import Deps
from shared.worker.outcome import Done, Outcome, StepContext


async def drain_leaving(ctx: StepContext[Deps]) -> Outcome:
    """Close the nodes that leave for new work, and move away what runs on them."""
    return Done(note="")
