"""What of a stack's workers an update that failed has left: those that stand, and those that never came to be.

Where an operation of ours did not reach its end, our record of the nodes is behind the stack. So it is brought up to
date, and the members that are broken are named with those that leave: Heat would count them as members and take whole
ones away in their stead, and the rehearsal would take their servers for nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH, Broken, broken_members
from services.provisioner.steps.collect import keeping, less, read_outputs
from shared.db.repositories import past, stacks
from shared.domain.bay import Node
from shared.drivers.contract import BayOutputs
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import StackResource
from shared.worker.outcome import StepContext


@dataclass(frozen=True)
class Found:
    """The stack as it is."""

    outputs: BayOutputs
    """Without the broken members."""
    broken: Broken = field(default_factory=Broken)


async def look(
    ctx: StepContext[Deps],
    heat: HeatClient,
    resources: Sequence[StackResource] | None = None,
    gone: Collection[str] = frozenset(),
    others: Collection[Node] = (),
) -> Found:
    """What stands and what is broken; `resources` is a listing of `NESTED_DEPTH` for those who have one.

    `gone` are servers that Nova does not have any more, though Heat thinks so: their members are broken. `others` are
    gone too, and of nodegroups that this operation is not about: they stay in the record, and nothing is done to them.

    Raises:
        CloudError: Heat does not answer, or its outputs make no sense yet (then it is retryable).
    """
    stack_id = ctx.bay.stack_id or ""
    if resources is None:
        resources = await heat.resources(stack_id, NESTED_DEPTH)
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
        chosen = await past.chosen_in_vain(conn, ctx.bay.id)
    elsewhere = {node.server_id for node in others}
    read = await read_outputs(ctx, broken_members(resources, nodes, {*gone, *elsewhere}).indices)
    outputs = keeping(less(read, {*gone, *elsewhere}), others)
    leaving = chosen - {node.server_id for node in outputs.nodes} | set(gone)
    return Found(outputs, broken_members(resources, nodes, leaving))
