"""Reading a finished stack: addresses, servers, and whether the right ones left."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from shared.db.repositories import bays, stacks
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from shared.drivers.contract import BayOutputs
from shared.worker.outcome import Apply, Broke, Done, Outcome, StepContext


async def collect_created(ctx: StepContext[Deps]) -> Outcome:
    """Record what was built; a bay without the nodes that were asked for is not complete."""
    outputs = await read_outputs(ctx)
    found = [node for node in outputs.nodes if node.role == "worker"]
    if len(found) != ctx.bay.node_count:
        return Broke(f"Heat is done but shows {len(found)} nodes where {ctx.bay.node_count} were asked for.")
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
    wanted = int(str(ctx.operation.request["node_count"]))
    workers = [node for node in outputs.nodes if node.role == "worker"]
    if len(workers) != wanted:
        return Broke(f"Heat is done but shows {len(workers)} nodes where {wanted} were asked for.", apply=record)
    return Done(record)


async def read_outputs(ctx: StepContext[Deps]) -> BayOutputs:
    """The stack's outputs as the driver reads them. Raises CloudError, also while one is still empty."""
    stack_id = ctx.bay.stack_id or ""
    values = await ctx.deps.project(ctx.bay).heat.outputs(stack_id)
    if values is None:
        raise CloudError(f"Stack with id {stack_id} not found in Heat.", service="orchestration", status=404)
    try:
        return ctx.deps.driver(ctx.bay).read_outputs(values)
    except ValueError as error:
        # Heat evaluates outputs lazily; right after an update one may still be empty.
        raise CloudError(
            f"The outputs of stack {ctx.bay.stack_name} cannot be read: {error}",
            service="orchestration",
            retryable=True,
            resource=stack_id,
        ) from error


def recording(ctx: StepContext[Deps], outputs: BayOutputs) -> Apply:
    """The writes that make our record equal to what the stack shows."""
    found = [
        Node(node.server_id, node.role, node.index, node.name, node.address, node.private_address)
        for node in outputs.nodes
    ]
    driver = ctx.deps.driver(ctx.bay)

    async def record(conn: AsyncConnection) -> None:
        await stacks.replace_nodes(conn, ctx.bay.id, found)
        await bays.set_addresses(
            conn, ctx.bay.id, api=outputs.api_address, masters=outputs.master_addresses, workers=outputs.node_addresses
        )
        await bays.set_versions(conn, ctx.bay.id, coe=driver.coe_version, container=driver.container_version)

    return record
