"""Servers and floating IPs of a bay that none of its stacks knows.

An engine that dies between the cloud's answer and its own note leaves one behind. A server holds its member's port:
Heat cannot make the server again ("Port … is still in use"), and Neutron lets nobody delete the port of a server that
lives. A floating IP holds its port's address in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from services.provisioner.factory import Deps
from services.provisioner.leftovers import MARK
from services.provisioner.steps.broken import NESTED_DEPTH
from services.provisioner.steps.collect import shard_stacks
from shared.db.repositories import stacks
from shared.domain import names
from shared.domain.shards import FIRST, Place, stack_of
from shared.openstack.heat import HeatClient
from shared.openstack.nova import Server
from shared.openstack.stacks import StackResource
from shared.worker.outcome import StepContext

_log = structlog.get_logger()


async def remove_orphans(ctx: StepContext[Deps], heat: HeatClient) -> str | None:
    """Delete them; what people read while some are still there, None when there are none.

    Only for stacks on which nobody works: a living engine is about to note what it has just made.
    """
    listed, shards = await _resources(ctx, heat)
    if not listed:
        return None  # a stack of which Heat tells nothing says nothing about servers either
    async with ctx.deps.engine.connect() as conn:
        nodes = {node.server_id for node in await stacks.nodes_of(conn, ctx.bay.id)}
    held = nodes.union(one.physical_id for one in listed)
    strange = [one for one in await _marked(ctx) if one.id not in held]
    servers = [one for one in strange if stack_of(one.name, ctx.bay.stack_name) in shards]
    await _delete(ctx, servers)
    lost = [one.name for one in servers] + await _floating_ips(ctx, listed, held)
    return f"Removing what Heat lost: {', '.join(lost)}" if lost else None


async def end_servers(ctx: StepContext[Deps]) -> None:
    """Delete every server with the bay's mark, for a bay that is to go and whose stack does not: Heat takes a server
    that is gone for deleted."""
    await _delete(ctx, await _marked(ctx))


async def _resources(ctx: StepContext[Deps], heat: HeatClient) -> tuple[list[StackResource], set[Place]]:
    """Those of all the bay's stacks, none when there are none in the first, and which stacks could be seen.

    A stack may be there though nothing shows it: its servers are let alone.
    """
    first = ctx.bay.stack_id
    listed = await heat.resources(first, NESTED_DEPTH) if first else []
    seen = {FIRST}
    if listed:
        shards = await shard_stacks(ctx)
        for shard, stack in shards.items():
            inside = await heat.resources(stack.id, NESTED_DEPTH)
            seen |= {shard} if inside else set()
            listed += inside
        for stack in await heat.list_by_tag(names.bay_tag(ctx.bay.id)):
            if stack.id != first and stack.id not in {one.id for one in shards.values()}:
                listed += await heat.resources(stack.id, NESTED_DEPTH)
    return listed, seen


async def _floating_ips(ctx: StepContext[Deps], listed: Iterable[StackResource], held: set[str]) -> list[str]:
    """Delete those on ports whose stack has not finished its own; their addresses. Others may be their owner's."""
    listed = list(listed)
    unfinished = {one.stack_id for one in listed if one.type == "OS::Neutron::FloatingIP" and _being_made(one)}
    ports = {one.physical_id for one in listed if one.type == "OS::Neutron::Port" and one.stack_id in unfinished}
    if not ports:
        return []
    neutron = ctx.deps.project(ctx.bay).neutron
    found = await neutron.items("floatingips", project_id=ctx.bay.project_id)
    lost = [one for one in found if one.port_id in ports and one.id not in held]
    for one in lost:
        _log.warning("floating IP deleted", bay=str(ctx.bay.id), floating_ip=one.id)
        await ctx.guard()
        await neutron.delete("floatingips", one.id)
    return [one.address for one in lost]


def _being_made(one: StackResource) -> bool:
    """Whether Heat has begun to make it and noted nothing of it. One that failed later has an address, noted or not."""
    begun = one.status.startswith(("INIT", "CREATE_")) and not one.status.endswith("COMPLETE")
    return begun and not one.physical_id and bool(one.stack_id)


async def _marked(ctx: StepContext[Deps]) -> list[Server]:
    return await ctx.deps.project(ctx.bay).nova.servers(metadata={MARK: str(ctx.bay.id)})


async def _delete(ctx: StepContext[Deps], servers: Iterable[Server]) -> None:
    nova = ctx.deps.project(ctx.bay).nova
    for server in servers:
        _log.warning("server deleted", bay=str(ctx.bay.id), server=server.id, name=server.name)
        await ctx.guard()
        await nova.delete(server.id)
