"""Choosing the nodes that leave."""

from __future__ import annotations

from services.scaler.factory import Deps
from shared.db.repositories import stacks
from shared.domain.queue import named_of, node_count_of
from shared.domain.scaling import leaving
from shared.worker.outcome import Broke, Done, Outcome, StepContext


async def plan_resize(ctx: StepContext[Deps]) -> Outcome:
    """Choose which nodes leave, and write that down for the provisioner and for the check afterwards."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    workers = [node for node in nodes if node.role == "worker"]
    request = ctx.operation.request
    try:
        chosen = leaving(workers, node_count_of(request), named_of(request))
    except ValueError as error:
        return Broke(f"The nodes that leave could not be chosen: {error}")
    return Done(memo={"remove": chosen})
