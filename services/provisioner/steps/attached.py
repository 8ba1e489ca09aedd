"""What a bay's own services made in the cloud, beside its stacks: removed before the stacks, whose deletion it blocks."""

from __future__ import annotations

from services.provisioner.factory import Deps
from shared.worker.outcome import Done, Outcome, StepContext


async def remove_attached(ctx: StepContext[Deps]) -> Outcome:
    """Remove them."""
    return Done()
