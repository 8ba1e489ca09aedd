"""Reading a finished stack: addresses, servers, and whether the right ones left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH, broken_members
from services.provisioner.steps.gone import gone_workers, known_gone, still_there
from services.provisioner.steps.group import Group, group_of, wanted_of
from shared.db.repositories import bays, drift, nodegroups, pools, stacks
from shared.domain import names
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from shared.domain.queue import node_count_of
from shared.domain.shards import FIRST, LARGEST, Place, home, place, position, shard_of, spread, stack_name
from shared.drivers.common.outputs import read_workers
from shared.drivers.contract import BayOutputs, NodeInfo
from shared.openstack.stacks import StackSummary
from shared.worker.outcome import Apply, Broke, Done, Outcome, StepContext

_Read = TypeVar("_Read")
_BAY_PARAMETER: Final = "jeroboam_bay"
"""The parameter of all our stacks that holds the bay's id."""


async def collect_created(ctx: StepContext[Deps]) -> Outcome:
    """Record what was built; a bay without the nodes that were asked for is not complete."""
    outputs, group = await read_outputs(ctx), await group_of(ctx)
    found, wanted = len(workers_in(outputs, group)), node_count_of(ctx.operation.request)
    if found != wanted:
        return Broke(f"Heat is done but shows {found} nodes where {wanted} were asked for.")
    return Done(recording(ctx, outputs))


async def collect_resized(ctx: StepContext[Deps]) -> Outcome:
    """Record what there is now, and compare the servers that left with those that were to leave."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    chosen = ctx.operation.memo.get("remove", [])
    named = {str(server) for server in chosen} if isinstance(chosen, list) else set()
    gone = await gone_workers(ctx, [node for node in nodes if node.server_id not in named])
    group = await group_of(ctx)
    outputs = await _read_with_gone(ctx, group, nodes, gone)
    shown = {node.server_id for node in outputs.nodes}
    stayed = named & shown
    # One that Heat ended in the place of a named one is gone from Nova too: only while all who were named have left is
    # who is gone somebody else's doing.
    left = {node.server_id for node in nodes} - shown - (known_gone(ctx) if stayed else gone)
    others = others_gone(group, nodes, gone)
    outputs = keeping(less(outputs, gone), others)
    record = await whole_record(ctx, group, outputs)
    # A repeat of this step finds the nodes recorded already, so nobody left: that is no fault.
    if stayed or (left and left != named):
        return Broke(f"Other servers left than were named: left {sorted(left)}, named {sorted(named)}.", apply=record)
    found, wanted = len(workers_in(outputs, group)), await wanted_of(ctx)
    if found != wanted:
        mine = sorted(gone - {node.server_id for node in others})
        why = f" Somebody deleted server {', '.join(mine)} meanwhile: resize again." if mine else ""
        return Broke(f"There are {found} nodes where {wanted} were asked for.{why}", apply=record)
    return Done(record)


def with_groups(
    ctx: StepContext[Deps], group: Group, outputs: BayOutputs, record: Apply, stack_ids: Mapping[int, str]
) -> Apply:
    """The same writes, and for a further nodegroup the ids of its pools' stacks. One that its owner deleted goes with
    its last node."""
    standing = bool(workers_in(outputs, group))

    async def write(conn: AsyncConnection) -> None:
        await record(conn)
        for pool in group.pools:
            await pools.set_stack(conn, ctx.bay.id, pool.number, stack_ids.get(pool.number))
        if not standing and not group.default:
            await nodegroups.remove_gone(conn, ctx.bay.id, group.name)

    return write


async def whole_record(ctx: StepContext[Deps], group: Group, outputs: BayOutputs) -> Apply:
    """The writes that make our record equal to what all the stacks show."""
    return with_groups(ctx, group, outputs, recording(ctx, outputs), await _stack_ids(ctx, group))


async def _stack_ids(ctx: StepContext[Deps], group: Group) -> dict[int, str]:
    """The id of the first stack of each of the group's pools; nothing is asked for a group that has none."""
    if not group.pools:
        return {}
    return {pool: one.id for (pool, shard), one in (await shard_stacks(ctx)).items() if not shard}


async def _read_with_gone(
    ctx: StepContext[Deps], group: Group, nodes: Collection[Node], gone: Collection[str]
) -> BayOutputs:
    """The outputs. Heat tells of a server that was deleted in Nova as it was, or else without what a node has; and the
    first stack, which a further group has no part in, may be as a failed change has left it."""
    try:
        return await read_outputs(ctx)
    except CloudError:
        if not gone and group.default:
            raise
        places = [place(node.position) for node in nodes if home(node) == FIRST and node.server_id in gone]
        broken = await _never_made(ctx, ctx.bay.stack_id or "")
        return await read_outputs(ctx, [*(str(index) for _, index in places), *broken])


def less(outputs: BayOutputs, gone: Collection[str]) -> BayOutputs:
    """The outputs without these servers."""
    left = tuple(node for node in outputs.nodes if node.server_id not in gone)
    return replace(
        outputs,
        nodes=left,
        master_addresses=tuple(node.address for node in left if node.role == "master"),
        node_addresses=tuple(node.address for node in left if node.role == "worker"),
    )


def others_gone(group: Group, nodes: Iterable[Node], gone: Collection[str]) -> list[Node]:
    """Those that are gone and of other nodegroups: what to do about them is for an operation of theirs."""
    return [node for node in nodes if node.server_id in gone and node.pool not in group.numbers]


def keeping(outputs: BayOutputs, nodes: Iterable[Node]) -> BayOutputs:
    """The outputs, and these as they were recorded."""
    kept = tuple(map(_info, nodes))
    addresses = (*outputs.node_addresses, *(one.address for one in kept))
    return replace(outputs, nodes=(*outputs.nodes, *kept), node_addresses=addresses)


def workers_in(outputs: BayOutputs, group: Group) -> list[Node]:
    """The nodes of a nodegroup that the stacks show."""
    return group.of(_nodes(outputs))


async def read_outputs(ctx: StepContext[Deps], without: Collection[str] = ()) -> BayOutputs:
    """The outputs of all the bay's stacks as the driver reads them, `without` the first one's workers of these indices.

    Workers whose stack cannot be found, and whose servers are there, are still the bay's: they are told as recorded.
    Raises CloudError, also while one is still empty.
    """
    stack_id, driver = ctx.bay.stack_id or "", ctx.deps.driver(ctx.bay)
    first = await stack_outputs(ctx, stack_id, lambda values: driver.read_outputs(_without(values, without)))
    more: list[NodeInfo] = []
    # Of one that is to go, its outputs tell nothing of who of its nodes has gone: Nova does.
    found = {where: one for where, one in (await _shards(ctx)).items() if one.action != "DELETE"}
    for where, stack in sorted(found.items()):
        gone = () if stack.phase == "COMPLETE" else await _never_made(ctx, stack.id)
        more += await stack_outputs(ctx, stack.id, partial(_workers, where=where, without=gone))
    more += await _unseen(ctx, {FIRST, *found})
    return replace(
        first,
        nodes=(*first.nodes, *more),
        node_addresses=(*first.node_addresses, *(node.address for node in more)),
    )


async def _shards(ctx: StepContext[Deps]) -> Mapping[Place, StackSummary]:
    """The bay's further stacks; a bay that has none, and is to have none, costs no call."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
        further = await pools.of_bay(conn, ctx.bay.id)
    large = max(ctx.bay.node_count, _count(ctx)) > LARGEST
    if not large and not further and all(home(node) == FIRST for node in nodes):
        return {}
    return await shard_stacks(ctx)


def _count(ctx: StepContext[Deps]) -> int:
    """How many nodes the operation is to reach; 0 for one that is not about their number."""
    return node_count_of(ctx.operation.request) if "node_count" in ctx.operation.request else 0


async def _unseen(ctx: StepContext[Deps], seen: Collection[Place]) -> list[NodeInfo]:
    """The recorded workers of other stacks than these, as far as Nova has them."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    lost = [one for one in nodes if one.role == "worker" and home(one) not in seen]
    chosen = ctx.operation.memo.get("remove", [])
    named = {str(server) for server in chosen} if isinstance(chosen, list) else set()
    return [_info(one) for one in await still_there(ctx, lost, named)]


def _info(worker: Node) -> NodeInfo:
    return NodeInfo(
        server_id=worker.server_id,
        name=worker.name,
        role="worker",
        index=worker.position,
        address=worker.address,
        private_address=worker.private_address,
        pool=worker.pool,
    )


async def shard_stacks(
    ctx: StepContext[Deps], listed: Iterable[StackSummary] | None = None
) -> Mapping[Place, StackSummary]:
    """The bay's stacks beside the first, by pool and shard; by their names those whose tags somebody took off.

    `listed` are those with the bay's tag, for who has them.
    """
    heat = ctx.deps.project(ctx.bay).heat
    if listed is None:
        listed = await heat.list_by_tag(names.bay_tag(ctx.bay.id))
    named = {shard_of(stack.name, ctx.bay.stack_name): stack for stack in listed}
    found = {where: stack for where, stack in named.items() if where not in (None, FIRST)}
    for pool, shard in sorted(await _expected(ctx) - {FIRST, *found}):
        untagged = await heat.find_stack(stack_name(ctx.bay.stack_name, shard, pool))
        stack = None if untagged is None else await heat.show(untagged.id)
        # A name proves nothing, but what a stack was given when it was made does.
        if stack is not None and stack.parameters.get(_BAY_PARAMETER) == str(ctx.bay.id):
            found[pool, shard] = stack
    return found


async def _expected(ctx: StepContext[Deps]) -> set[Place]:
    """The stacks that have nodes, and for a resize those that it passes through."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    expected = {home(node) for node in nodes}
    group = await group_of(ctx)
    if ctx.operation.kind is OperationKind.RESIZE and group.newest is not None:
        most = max(ctx.bay.node_count if group.default else 0, node_count_of(ctx.operation.request))
        expected |= {(group.newest, shard) for shard in range(len(spread(most)))}
    return expected


async def _never_made(ctx: StepContext[Deps], stack_id: str) -> Collection[str]:
    """Indices of members of a stack that are no nodes, when it did not come to a good end."""
    listed = await ctx.deps.project(ctx.bay).heat.resources(stack_id, NESTED_DEPTH)
    async with ctx.deps.engine.connect() as conn:
        return broken_members(listed, await stacks.nodes_of(conn, ctx.bay.id)).indices


def _workers(values: Mapping[str, object], where: Place, without: Collection[str]) -> list[NodeInfo]:
    pool, shard = where
    found = read_workers(_without(values, without))
    return [replace(node, index=position(shard, node.index), pool=pool) for node in found]


async def stack_outputs(ctx: StepContext[Deps], stack_id: str, read: Callable[[Mapping[str, object]], _Read]) -> _Read:
    """What `read` makes of a stack's outputs.

    Raises:
        CloudError: Heat does not answer, or its outputs make no sense yet (then it is retryable).
    """
    values = await ctx.deps.project(ctx.bay).heat.outputs(stack_id)
    if values is None:
        raise CloudError(f"Stack with id {stack_id} not found in Heat.", service="orchestration", status=404)
    try:
        return read(values)
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


def recording(ctx: StepContext[Deps], outputs: BayOutputs, seen: str | None = None) -> Apply:
    """The writes that make our record equal to what the stack shows; `seen` is how the stack looked then, where this
    operation did not note it before. What looks otherwise later is somebody else's doing."""
    found, driver = _nodes(outputs), ctx.deps.driver(ctx.bay)
    noted = seen or ctx.operation.memo.get("stack_seen")

    async def record(conn: AsyncConnection) -> None:
        await stacks.replace_nodes(conn, ctx.bay.id, found)
        await bays.set_addresses(
            conn, ctx.bay.id, api=outputs.api_address, masters=outputs.master_addresses, workers=outputs.node_addresses
        )
        await bays.set_versions(conn, ctx.bay.id, coe=driver.coe_version, container=driver.container_version)
        if isinstance(noted, str):
            await drift.remember(conn, ctx.bay.id, noted)

    return record


def _nodes(outputs: BayOutputs) -> list[Node]:
    return [
        Node(node.server_id, node.role, node.index, node.name, node.address, node.private_address, node.pool)
        for node in outputs.nodes
    ]
