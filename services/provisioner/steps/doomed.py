"""Which stacks a deletion has to do with."""

from __future__ import annotations

from services.provisioner.factory import Deps
from services.provisioner.steps.collect import shard_stacks
from shared.domain import names
from shared.openstack.stacks import StackSummary
from shared.worker.outcome import StepContext


async def doomed_stacks(ctx: StepContext[Deps]) -> list[StackSummary]:
    """Those with the bay's tag, and those that we made and somebody took the tag from."""
    heat, ours = ctx.deps.project(ctx.bay).heat, ctx.bay.stack_id
    listed = await heat.list_by_tag(names.bay_tag(ctx.bay.id))
    if ours is not None and all(one.id != ours for one in listed):
        stack = await heat.show(ours)
        if stack is not None and stack.status != "DELETE_COMPLETE":
            listed.append(stack)
    known = {one.id for one in listed}
    return listed + [one for one in (await shard_stacks(ctx, listed)).values() if one.id not in known]
