"""Reading a finished stack: addresses, servers, and whether the right ones left."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from shared.db.repositories import bays, stacks
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from shared.domain.queue import node_count_of
from shared.drivers.contract import BayOutputs
from shared.worker.outcome import Apply, Broke, Done, Outcome, StepContext


async def collect_created(ctx: StepContext[Deps]) -> Outcome:
    """Record what was built; a bay without the nodes that were asked for is not complete."""
    outputs = await read_outputs(ctx)
    found, wanted = len(workers_in(outputs)), node_count_of(ctx.operation.request)
    if found != wanted:
        return Broke(f"Heat is done but shows {found} nodes where {wanted} were asked for.")
    return Done(recording(ctx, outputs))


async def collect_resized(ctx: StepContext[Deps]) -> Outcome:
    """Record what there is now, and compare the servers that left with those that were to leave."""
    outputs = await read_outputs(ctx)
    async with ctx.deps.engine.connect() as conn:
        before = {node.server_id for node in await stacks.nodes_of(conn, ctx.bay.id)}
    left = before - {node.server_id for node in outputs.nodes}
    chosen = ctx.operation.memo.get("remove", [])
    named = {str(server) for server in chosen} if isinstance(chosen, list) else set()
    record = recording(ctx, outputs)
    # A repeat of this step finds the nodes recorded already, so nobody left: that is no fault.
    if left and left != named:
        return Broke(f"Other servers left than were named: left {sorted(left)}, named {sorted(named)}.", apply=record)
    found, wanted = len(workers_in(outputs)), node_count_of(ctx.operation.request)
    if found != wanted:
        return Broke(f"Heat is done but shows {found} nodes where {wanted} were asked for.", apply=record)
    return Done(record)


def workers_in(outputs: BayOutputs) -> list[Node]:
    """The worker nodes that the stack shows."""
    return [node for node in _nodes(outputs) if node.role == "worker"]


async def read_outputs(ctx: StepContext[Deps], without: Collection[str] = ()) -> BayOutputs:
    """The stack's outputs as the driver reads them, `without` the workers of these indices.

    Raises CloudError, also while one is still empty.
    """
    stack_id = ctx.bay.stack_id or ""
    values = await ctx.deps.project(ctx.bay).heat.outputs(stack_id)
    if values is None:
        raise CloudError(f"Stack with id {stack_id} not found in Heat.", service="orchestration", status=404)
    try:
        return ctx.deps.driver(ctx.bay).read_outputs(_without(values, without))
    except ValueError as error:
        # Heat evaluates outputs lazily; right after an update one may still be empty.
        raise CloudError(
            f"The outputs of stack {ctx.bay.stack_name} cannot be read: {error}",
            service="orchestration",
            retryable=True,
            resource=stack_id,
        ) from error


def _without(values: Mapping[str, object], indices: Collection[str]) -> dict[str, object]:
    """The outputs (rule 15 of docs/driver-contract.md) less some workers, who may lack what a node has."""
    return {
        name: {index: one for index, one in value.items() if index not in indices}
        if name in ("nodes", "node_details") and isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }


def recording(ctx: StepContext[Deps], outputs: BayOutputs) -> Apply:
    """The writes that make our record equal to what the stack shows."""
    found, driver = _nodes(outputs), ctx.deps.driver(ctx.bay)

    async def record(conn: AsyncConnection) -> None:
        await stacks.replace_nodes(conn, ctx.bay.id, found)
        await bays.set_addresses(
            conn, ctx.bay.id, api=outputs.api_address, masters=outputs.master_addresses, workers=outputs.node_addresses
        )
        await bays.set_versions(conn, ctx.bay.id, coe=driver.coe_version, container=driver.container_version)

    return record


def _nodes(outputs: BayOutputs) -> list[Node]:
    return [
        Node(node.server_id, node.role, node.index, node.name, node.address, node.private_address)
        for node in outputs.nodes
    ]
