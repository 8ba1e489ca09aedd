"""Moving a bay to another baymodel, node by node."""

from __future__ import annotations

from services.provisioner.factory import Deps
from shared.worker.outcome import Broke, Outcome, StepContext


async def render_upgrade(ctx: StepContext[Deps]) -> Outcome:
    """Render the new stack and keep it."""
    return Broke("Upgrades are not supported yet.")


async def upgrade_masters(ctx: StepContext[Deps]) -> Outcome:
    """Replace the masters, one after the other."""
    return Broke("Upgrades are not supported yet.")


async def grow_new(ctx: StepContext[Deps]) -> Outcome:
    """Build the next new nodes."""
    return Broke("Upgrades are not supported yet.")


async def shrink_old(ctx: StepContext[Deps]) -> Outcome:
    """Remove the nodes that were replaced."""
    return Broke("Upgrades are not supported yet.")


async def collect_upgraded(ctx: StepContext[Deps]) -> Outcome:
    """Record what there is."""
    return Broke("Upgrades are not supported yet.")
