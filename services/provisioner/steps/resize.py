"""Changing the number of nodes of a stack, and nothing else (rule 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import Broken
from services.provisioner.steps.collect import others_gone, recording, shard_stacks, workers_in
from services.provisioner.steps.create import rotated
from services.provisioner.steps.follow import lost
from services.provisioner.steps.gone import MEMO, gone_workers
from services.provisioner.steps.group import HEALED, LOST, Group, generation_of, group_of, lost_places, wanted_of
from services.provisioner.steps.members import Found, look
from services.provisioner.steps.orphans import remove_orphans
from services.provisioner.steps.pool_render import pool_render
from services.provisioner.steps.rehearsal import harm
from services.provisioner.steps.revive import may_revive, others_work
from services.provisioner.steps.room import Growth, shortage_of_growth
from services.provisioner.steps.shards import shares_of, stay_and_absent
from services.provisioner.steps.stall import anew, listen
from shared.db.repositories import drift, nodegroups, past, stacks
from shared.db.repositories.stacks import Render
from shared.domain import names
from shared.domain.bay import Node
from shared.domain.operation import OperationKind, OperationState
from shared.domain.queue import named_of, node_count_of
from shared.domain.scaling import leaving
from shared.domain.shards import FIRST, Share, home
from shared.drivers.contract import MARK_PARAMETER
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import Stack, StackSummary
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait

_UNDRAINED: Final = "undrained"
"""In the memo: whether nodes were chosen to leave after the drain."""


async def resize_stack(ctx: StepContext[Deps]) -> Outcome:
    """Update the stack's count and removal list, unless our mark shows that this was done already."""
    bay, heat = ctx.bay, ctx.deps.project(ctx.bay).heat
    if bay.stack_id is None:
        return Broke("The bay has no Heat stack to resize.")
    if ctx.operation.memo.get(_UNDRAINED) is True:
        note = "More nodes leave than were drained, so they are drained first."
        return Back(f"{ctx.operation.kind.value}.drain", 0, memo={_UNDRAINED: False}, note=note)
    stack = await heat.show(bay.stack_id)
    if stack is None or stack.action == "DELETE":
        return await _deleted(ctx, stack)
    group = await group_of(ctx)
    if not group.default:
        return await _beside(ctx, heat, stack, group)
    if stack.operation == str(ctx.operation.id):
        ctx.deps.cloud.stacks.forget(bay.project_id)
        return Done()
    if stack.phase == "IN_PROGRESS" and (waiting := await _busy(ctx, heat, stack)):
        return waiting
    broken = await _broken(ctx, heat, await _settled(ctx, stack))
    if not isinstance(broken, Broken):
        return broken
    if refusal := await _refusal(ctx, heat, group, stack, broken):
        return Broke(f"{refusal} Nothing was changed.")
    await _update(ctx, heat, stack, broken)
    return Done(memo={**anew(), "seen_before": stack.seen})


async def _busy(ctx: StepContext[Deps], heat: HeatClient, stack: Stack) -> Outcome | None:
    """The wait for what an earlier change left under way; None: nobody works on it, and our update takes it up."""
    busy = await _under_way(ctx, stack)
    if len(busy) > 1 or ctx.operation.overdue:
        return await others_work(ctx, heat, busy)
    silence = await listen(ctx, heat, [stack.id])
    if may_revive(ctx, stack, silence):
        return None
    note = f"Heat is still busy with something else: {stack.status}"
    return Wait(ctx.deps.settings.poll_seconds, note=note, memo=silence.memo)


async def _beside(ctx: StepContext[Deps], heat: HeatClient, first: Stack, group: Group) -> Outcome:
    """A further nodegroup has stacks of its own: the bay's first, whose network they use, is only looked at. What they
    are made of is kept before the first of them is made (rule 6)."""
    if first.phase == "IN_PROGRESS":
        return await others_work(ctx, heat, await _under_way(ctx, first))
    async with ctx.deps.engine.connect() as conn:
        settled = await past.left_whole(conn, ctx.bay.id, ctx.operation.id)
    broken = await _broken(ctx, heat, settled)
    if not isinstance(broken, Broken):
        return broken
    wanted = await wanted_of(ctx)
    if group.newest is None or not wanted:
        return Done(memo=anew(), note=_BESIDE)
    render = await pool_render(ctx, group)
    if isinstance(render, Broke):
        return render
    if missing := await _shortage(ctx, group):
        return Broke(f"{missing} Nothing was changed.")
    born, pool, generation = render, group.newest, await generation_of(ctx, group.newest)

    async def keep(conn: AsyncConnection) -> None:
        await stacks.keep_render(conn, ctx.bay.id, generation, born, pool=pool)

    return Done(keep, memo=anew(), note=_BESIDE)


_BESIDE: Final = "The nodegroup has stacks of its own"


async def _under_way(ctx: StepContext[Deps], *first: Stack) -> list[StackSummary]:
    """The bay's stacks that Heat is at: these, and of the further ones whichever are."""
    return [*first, *(one for one in (await shard_stacks(ctx)).values() if one.phase == "IN_PROGRESS")]


async def _broken(ctx: StepContext[Deps], heat: HeatClient, settled: bool) -> Broken | Outcome:
    """What is to be removed besides those who leave; or what is to be done first, where the stacks are not as we left
    them (not `settled`) or servers are gone."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    gone = await gone_workers(ctx, nodes)
    others = others_gone(await group_of(ctx), nodes, gone)
    gone -= {node.server_id for node in others}
    if not gone and settled:
        return Broken()
    if busy := await _under_way(ctx):  # a living engine may be about to note what it has just made there
        return await others_work(ctx, heat, busy)
    if orphans := await remove_orphans(ctx, heat):
        return Wait(ctx.deps.settings.poll_seconds, note=orphans)
    found = await look(ctx, heat, gone=gone, others=others)
    return await _catch_up(ctx, found, gone) or found.broken


async def _deleted(ctx: StepContext[Deps], stack: Stack | None) -> Outcome:
    """Somebody deletes the stack, or has done it: the end is told when it has come."""
    if stack is not None and stack.phase == "IN_PROGRESS":
        return Wait(ctx.deps.settings.poll_seconds, note="Somebody else is deleting the stack")
    if stack is not None and stack.phase == "FAILED":
        return Broke(f"Somebody else wanted to delete stack {stack.name}, and Heat could not: {stack.reason}")
    return Broke(lost(ctx))


async def _refusal(ctx: StepContext[Deps], heat: HeatClient, group: Group, stack: Stack, broken: Broken) -> str | None:
    """Why the update must not happen, or cannot."""
    async with ctx.deps.engine.connect() as conn:
        workers = group.of(await stacks.nodes_of(conn, ctx.bay.id))
    share = await _share(ctx)
    here = [node for node in workers if home(node) == FIRST]
    stay, absent = stay_and_absent(here, share.remove)
    absent = sorted({*absent, *broken.indices}, key=int)
    changes = await heat.preview_update(stack.id, parameters=await _parameters(ctx, stay, absent))
    return harm(changes, len(share.remove), broken) or await _shortage(ctx, group)


async def _shortage(ctx: StepContext[Deps], group: Group) -> str | None:
    """What the nodes that come lack, each made of what its pool is made of: who is replaced comes back to its own."""
    leave, then = set(_to_remove(ctx)), Counter[int]()
    async with ctx.deps.engine.connect() as conn:
        nodes = group.of(await stacks.nodes_of(conn, ctx.bay.id))
    stay = Counter(node.pool for node in nodes if node.server_id not in leave)
    for (pool, _), share in (await shares_of(ctx)).items():
        then[pool] += share.count
    growths = []
    for pool in (one for one in sorted(then) if then[one] > stay[one]):
        born = await _born(ctx, group, pool)
        if isinstance(born, Broke):
            return born.reason
        if born is not None:
            growths.append(Growth(born, pool > 0, stay[pool], then[pool]))
    return await shortage_of_growth(ctx, growths)


async def _born(ctx: StepContext[Deps], group: Group, pool: int) -> Render | Broke | None:
    """What a pool is made of, as far as it is known."""
    if pool and pool == group.newest:
        return await pool_render(ctx, group)
    async with ctx.deps.engine.connect() as conn:
        return await stacks.render_of(conn, ctx.bay.id, await generation_of(ctx, pool), pool=pool)


async def _update(ctx: StepContext[Deps], heat: HeatClient, stack: Stack, broken: Broken) -> None:
    share = await _share(ctx)
    parameters = await _parameters(ctx, share.count, [*share.remove, *broken.indices])
    rollback = ctx.operation.request.get("rollback") is True
    timeout = ctx.bay.create_timeout or None
    await ctx.guard()
    await heat.update(
        stack.id,
        parameters=parameters,
        tags=(names.TAG, names.bay_tag(ctx.bay.id)),  # somebody may have taken them off
        timeout_mins=timeout,
        disable_rollback=not rollback,
    )
    ctx.deps.cloud.stacks.forget(ctx.bay.project_id)


async def _share(ctx: StepContext[Deps]) -> Share:
    """What the first stack is to have; nothing where all the group's nodes are elsewhere."""
    return (await shares_of(ctx)).get(FIRST, Share(0, changed=False))


async def _settled(ctx: StepContext[Deps], stack: Stack) -> bool:
    """Whether the operation that the stack bears the mark of came to its end, so that our record is of the stack; and
    the last one of the others."""
    if stack.action == "ROLLBACK":
        return False  # its mark is of the operation before the one that failed, which may have been recorded
    try:
        marked = UUID(stack.operation or "")
    except ValueError:
        return False  # somebody else's doing
    async with ctx.deps.engine.connect() as conn:
        if await drift.seen(conn, ctx.bay.id) not in (None, stack.seen):
            return False  # somebody else has changed it since
        return await past.state_of(conn, marked) in (OperationState.DONE, None) and await past.left_whole(
            conn, ctx.bay.id, ctx.operation.id
        )


async def _catch_up(ctx: StepContext[Deps], found: Found, gone: frozenset[str]) -> Outcome | None:
    """Bring our record up to the stack, when an earlier operation could not, and choose anew who leaves.

    None when the record is right. Else the step is run again with the new choice in its memo, so that the choice is
    written before Heat hears of it.
    """
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    known = {node.server_id for node in nodes}
    standing = {node.server_id for node in found.outputs.nodes}
    if known == standing:
        return None
    record, request = recording(ctx, found.outputs), ctx.operation.request
    group = await group_of(ctx)
    workers = workers_in(found.outputs, group)
    lost = {**lost_places(ctx), **{one.server_id: home(one) for one in group.of(nodes) if one.server_id in gone}}
    memo: dict[str, object] = {MEMO: sorted(gone), LOST: lost}
    named = [server for server in named_of(request) if server in standing or server not in known]  # less who left
    if ctx.operation.kind is OperationKind.HEAL:
        remove = [node.server_id for node in workers if node.server_id in named]
        memo[HEALED] = await _healed(ctx, group, workers, len(lost))
    else:
        try:
            remove = leaving(workers, node_count_of(request), named, _to_remove(ctx))
        except ValueError as error:
            return Broke(f"The nodes that leave could not be chosen: {error}", apply=record)
    memo |= {"remove": remove, _UNDRAINED: not set(remove) <= set(_to_remove(ctx))}
    return Wait(0, note="The stack is not as we left it: looking again.", memo=memo, apply=record)


async def _healed(ctx: StepContext[Deps], group: Group, workers: Sequence[Node], lost: int) -> int:
    """How many nodes a group has when it is healed: those that stand, and those that are gone as far as its owner wants
    so many. One that left by a shrinking that was not recorded does not come back."""
    async with ctx.deps.engine.connect() as conn:
        row = None if group.default else await nodegroups.get(conn, ctx.bay.id, group.name)
    owners = ctx.bay.node_count if row is None else row.node_count
    return min(len(workers) + lost, max(len(workers), owners))


def _to_remove(ctx: StepContext[Deps]) -> list[str]:
    chosen = ctx.operation.memo.get("remove", [])
    return [str(server) for server in chosen] if isinstance(chosen, list) else []


async def _parameters(ctx: StepContext[Deps], count: int, remove: Sequence[str]) -> dict[str, str]:
    changed = ctx.deps.driver(ctx.bay).resize_parameters(count, remove)
    return changed | await rotated(ctx) | {MARK_PARAMETER: str(ctx.operation.id)}
