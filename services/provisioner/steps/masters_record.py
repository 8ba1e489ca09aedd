"""The record of a bay's masters: what the stack shows, and what is written of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.collect import stack_outputs
from services.provisioner.steps.gone import is_gone
from shared.db.repositories import drift, masters
from shared.db.repositories.masters import Master
from shared.domain.bay import Node
from shared.drivers.contract import MASTERS_PARAMETER, BayOutputs
from shared.openstack.stacks import Stack
from shared.worker.outcome import Apply, StepContext

_WORKERS: Final = ("nodes", "node_details")


async def unrecorded(
    ctx: StepContext[Deps], stack: Stack, standing: Sequence[Master], target: int
) -> BayOutputs | None:
    """What is to be recorded where servers of masters beyond `target` run that nobody recorded; None: there are none.

    Their making failed late, so that each may be a member of the bay's store. It has to take leave like any other.
    """
    if count_of(stack, target) <= target:
        return None
    outputs, known = await outputs_of(ctx), {one.server_id for one in standing}
    nova = ctx.deps.project(ctx.bay).nova
    nodes = [one for one in outputs.nodes if one.server_id in known or not await is_gone(nova, one.server_id)]
    if not any(one.index >= target and one.server_id not in known for one in nodes):
        return None
    return replace(outputs, nodes=tuple(nodes), master_addresses=tuple(one.address for one in nodes))


def count_of(stack: Stack, otherwise: int) -> int:
    """How many masters the stack was asked for last."""
    return int(stack.parameters.get(MASTERS_PARAMETER) or otherwise)


async def outputs_of(ctx: StepContext[Deps]) -> BayOutputs:
    """The stack's outputs without the workers, who are not looked at here, and without masters that have no server.

    Raises:
        CloudError: Heat does not answer, or its outputs make no sense yet (then it is retryable).
    """

    def read(values: Mapping[str, object]) -> BayOutputs:
        refs = values.get("masters")
        made = {index: ref for index, ref in refs.items() if ref} if isinstance(refs, Mapping) else refs
        return ctx.deps.driver(ctx.bay).read_outputs({**values, "masters": made, **{name: {} for name in _WORKERS}})

    return await stack_outputs(ctx, ctx.bay.stack_id or "", read)


def recorded(ctx: StepContext[Deps], outputs: BayOutputs) -> Apply:
    """The writes that make our record of the masters equal to what the stack shows."""
    found = [
        Node(one.server_id, one.role, one.index, one.name, one.address, one.private_address) for one in outputs.nodes
    ]
    seen = ctx.operation.memo.get("stack_seen")

    async def record(conn: AsyncConnection) -> None:
        await masters.replace(conn, ctx.bay.id, found, outputs.master_addresses, outputs.api_address)
        if isinstance(seen, str):
            await drift.remember(conn, ctx.bay.id, seen)

    return record


def masters_settled(ctx: StepContext[Deps], outputs: BayOutputs | None = None) -> Apply:
    """What is written at the end: the masters that the stack shows, if it was asked, and their number as the bay's."""
    record = None if outputs is None else recorded(ctx, outputs)

    async def settle(conn: AsyncConnection) -> None:
        if record is not None:
            await record(conn)
        await masters.settle_count(conn, ctx.bay.id)

    return settle
