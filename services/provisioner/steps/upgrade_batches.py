"""A batch of an upgrade: new nodes in the new pool, and later the removal of exactly those that they replace.

Both are what a resize does, done by its functions, under a mark of the batch's own (rule 4): Heat's stacks are changed
many times in one upgrade, and each change must be told from the one before. The batch is written down before anything
is done, and when it is finished the next one follows from what stands then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid5

from services.provisioner.factory import Deps
from services.provisioner.steps.collect import collect_resized, shard_stacks, whole_record, workers_in
from services.provisioner.steps.follow import follow_stack, lost
from services.provisioner.steps.gone import MEMO as GONE
from services.provisioner.steps.gone import gone_workers, known_gone
from services.provisioner.steps.group import Group, group_of
from services.provisioner.steps.members import look
from services.provisioner.steps.pool_render import pool_render
from services.provisioner.steps.resize import resize_stack
from services.provisioner.steps.revive import others_work
from services.provisioner.steps.room import Growth, shortage_of_growth
from services.provisioner.steps.shards import settle_shards
from services.provisioner.steps.stall import anew
from shared.db.repositories import stacks
from shared.domain.bay import Node
from shared.domain.operation import OperationKind
from shared.domain.queue import node_count_of
from shared.domain.shards import FIRST, home
from shared.domain.upgrade import BATCH, POOL, REMOVE, Batch, next_batch, read_batch
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait

_ROUND: Final = "round"
_GROW: Final = "upgrade.grow"
_NO_BATCH: Final[dict[str, object]] = {BATCH: None, REMOVE: [], "undrained": False}


async def grow_new(ctx: StepContext[Deps]) -> Outcome:
    """Build the next new nodes; when no old one is left, go to the end."""
    batch = read_batch(ctx.operation.memo)
    if batch is None:
        return await _plan(ctx)
    stage = _stage(ctx, batch, "grow", batch.total, ())
    outcome = await settle_shards(stage)
    if not isinstance(outcome, Done):
        return _own(outcome)
    group = await group_of(ctx)
    outputs = (await look(ctx, ctx.deps.project(ctx.bay).heat, gone=known_gone(ctx))).outputs
    record = await whole_record(ctx, group, outputs)
    found = workers_in(outputs, group)
    if len(found) != batch.total:
        return Broke(f"There are {len(found)} nodes where {batch.total} were to be.", apply=record)
    new = [node.name for node in found if node.pool == ctx.operation.memo[POOL]]
    return Done(record, memo=dict(outcome.memo), note=f"{len(new)} of {_wanted(ctx)} new nodes stand.")


async def _plan(ctx: StepContext[Deps]) -> Outcome:
    """Look at what stands, write it down with what comes next, and see that there is room for it."""
    heat = ctx.deps.project(ctx.bay).heat
    first = None if ctx.bay.stack_id is None else await heat.show(ctx.bay.stack_id)
    if first is None or first.action == "DELETE":
        return Broke(lost(ctx))
    busy = [one for one in [first, *(await shard_stacks(ctx)).values()] if one.phase == "IN_PROGRESS"]
    if busy:
        return await others_work(ctx, heat, busy)
    async with ctx.deps.engine.connect() as conn:
        gone = await gone_workers(ctx, await stacks.nodes_of(conn, ctx.bay.id))
    outputs = (await look(ctx, heat, gone=gone)).outputs
    group = await group_of(ctx)
    nodes = sorted(workers_in(outputs, group), key=lambda node: (node.pool, node.position))
    pool, round_ = int(str(ctx.operation.memo[POOL])), int(str(ctx.operation.memo.get(_ROUND, 0))) + 1
    batch = next_batch(nodes, pool, _wanted(ctx), int(str(ctx.operation.request["max_batch_size"])), round_)
    if batch is None:
        return Back("upgrade.collect", 0, memo=_NO_BATCH)
    record = await whole_record(ctx, group, outputs)
    if missing := await _shortage(ctx, group, nodes, batch):
        return Broke(f"{missing} Make room, and ask for the same upgrade again.", apply=record)
    memo = {**anew(), BATCH: batch.told(), REMOVE: list(batch.leave), _ROUND: round_, GONE: sorted(gone)}
    return Wait(0, apply=record, memo=memo, note=_told(nodes, batch))


async def _shortage(ctx: StepContext[Deps], group: Group, nodes: Sequence[Node], batch: Batch) -> str | None:
    """What is missing for the new nodes of the batch."""
    standing = sum(node.pool == group.newest for node in nodes)
    more = batch.total - len(nodes)
    render = await pool_render(ctx, group)
    if more <= 0 or isinstance(render, Broke):
        return None  # of a group that is gone the next look tells
    return await shortage_of_growth(ctx, [Growth(render, True, standing, standing + more)])


async def shrink_old(ctx: StepContext[Deps]) -> Outcome:
    """Remove the nodes of the batch, exactly those, and go on with the next batch."""
    batch = read_batch(ctx.operation.memo)
    if batch is None or not batch.leave:
        return Back(_GROW, 0, memo=_NO_BATCH)
    memo: dict[str, object] = {}
    stage = _stage(ctx, batch, "shrink", batch.total - len(batch.leave), batch.leave)
    for step in (*((resize_stack, follow_stack) if await _in_first(ctx, batch) else ()), settle_shards):
        outcome = await step(stage)
        memo |= {} if isinstance(outcome, Broke) else outcome.memo
        if not isinstance(outcome, Done):
            return _own(outcome, memo)
        stage = replace(stage, operation=replace(stage.operation, memo={**stage.operation.memo, **memo}))
    end = await collect_resized(stage)
    if not isinstance(end, Done):
        return _own(end, memo)
    note = f"{len(batch.leave)} old nodes are removed."
    return Wait(0, apply=end.apply, memo={**memo, **_NO_BATCH}, note=note)


async def _in_first(ctx: StepContext[Deps], batch: Batch) -> bool:
    """Whether any of them is in the bay's first stack."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    return any(home(node) == FIRST for node in nodes if node.server_id in batch.leave)


def _stage(
    ctx: StepContext[Deps], batch: Batch, phase: str, node_count: int, remove: Sequence[str]
) -> StepContext[Deps]:
    """The batch's part of the upgrade as the resize that it is."""
    operation = replace(
        ctx.operation,
        id=uuid5(ctx.operation.id, f"{batch.round} {phase}"),
        kind=OperationKind.RESIZE,
        request={**ctx.operation.request, "node_count": node_count, "nodes_to_remove": [], "rollback": False},
        memo={**ctx.operation.memo, REMOVE: list(remove)},
    )
    return replace(ctx, operation=operation)


def _own(outcome: Outcome, memo: dict[str, object] | None = None) -> Outcome:
    """What a step of a resize says, as the upgrade is to hear it: who leaves is decided here, so where that would have
    to be another choice, the batch is planned anew from what stands."""
    if isinstance(outcome, Broke):
        return outcome
    kept = {**(memo or {}), **outcome.memo}
    if REMOVE in kept or (isinstance(outcome, Back) and outcome.step == "resize.drain"):
        kept |= _NO_BATCH
    if isinstance(outcome, Back):
        return Wait(outcome.seconds, note=outcome.note, memo=kept)
    return replace(outcome, memo=kept)


def _wanted(ctx: StepContext[Deps]) -> int:
    return node_count_of(ctx.operation.request)


def _told(nodes: Sequence[Node], batch: Batch) -> str:
    """For people: which nodes are next."""
    names = {node.server_id: node.name for node in nodes}
    return f"Next: {', '.join(names[server] for server in batch.leave[:5])}"
