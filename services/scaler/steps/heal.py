"""The scaler's part of healing a node."""

from __future__ import annotations

from services.scaler.factory import Deps
from shared.worker.outcome import Broke, Outcome, StepContext


async def watch_rebooted(ctx: StepContext[Deps]) -> Outcome:
    """Wait whether the restarted node recovers."""
    return Broke("Healing is not supported yet.")


async def drain_unhealthy(ctx: StepContext[Deps]) -> Outcome:
    """Move away what can be moved from a node that did not recover."""
    return Broke("Healing is not supported yet.")
