"""The scaler's part of an upgrade."""

from __future__ import annotations

from services.scaler.factory import Deps
from shared.worker.outcome import Broke, Outcome, StepContext


async def settle_new(ctx: StepContext[Deps]) -> Outcome:
    """Wait for the new nodes to be well."""
    return Broke("Upgrades are not supported yet.")


async def drain_replaced(ctx: StepContext[Deps]) -> Outcome:
    """Move the work away from the nodes that are replaced."""
    return Broke("Upgrades are not supported yet.")
