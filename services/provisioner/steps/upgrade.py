"""Moving a nodegroup to another template: the new pool before the first node, and the record after the last.

What lies between is in `upgrade_batches`. The masters, the network and all else in the bay's first stack stay what they
are: only nodes are replaced, by nodes of a new pool (docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import Broken
from services.provisioner.steps.follow import lost
from services.provisioner.steps.group import Group, group_of
from services.provisioner.steps.pool_render import render_for
from services.provisioner.steps.rehearsal import harm
from shared.db.repositories import bays, nodegroups, past, pools, stacks
from shared.db.repositories.stacks import Render
from shared.domain.bay import Bay
from shared.domain.operation import OperationState
from shared.domain.upgrade import OLD_MASTERS, POOL, SPEC
from shared.drivers.contract import MARK_PARAMETER
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait

_BEFORE: Final = "pools_before"
"""In the memo: the group's pools before this operation made one."""
_OF_MASTERS: Final = ("image_id", "docker_volume_size", "labels")
"""What masters have in common with workers, and keep."""


async def render_upgrade(ctx: StepContext[Deps]) -> Outcome:
    """Give the group a pool and keep what that is made of (rule 6), or go on with the one of an upgrade that stopped.

    The pools that there are are written down first: one more than those can only be ours.
    """
    if POOL in ctx.operation.memo:
        return Done()
    group, before = await group_of(ctx), ctx.operation.memo.get(_BEFORE)
    if not isinstance(before, list):
        return await _begin(ctx, group)
    ours = [one.number for one in group.pools if one.number not in before]
    if ours:
        return Done(memo={POOL: ours[-1]})
    return await _make(ctx, group)


async def _begin(ctx: StepContext[Deps], group: Group) -> Outcome:
    if group.newest is None:
        return Broke(f"The nodegroup {group.name} is gone.")
    async with ctx.deps.engine.connect() as conn:
        earlier = await past.upgrade_before(conn, ctx.bay.id, ctx.operation.id, group.name)
    if earlier is not None and _same(ctx, earlier) and earlier.memo.get(POOL) == group.newest:
        return Done(memo={POOL: group.newest}, note="Going on where the last try stopped.")
    if refusal := await _rehearsed(ctx):
        return Broke(f"{refusal} Nothing was changed.")
    return Wait(0, memo={_BEFORE: sorted(group.numbers)})


def _same(ctx: StepContext[Deps], earlier: past.Upgrade) -> bool:
    """Whether an earlier upgrade stopped on the way to the same end."""
    mine, theirs = ctx.operation.request, earlier.request
    return earlier.state is OperationState.FAILED and all(
        mine.get(name) == theirs.get(name) for name in ("cluster_template", SPEC)
    )


async def _rehearsed(ctx: StepContext[Deps]) -> str | None:
    """Why the nodes cannot be replaced: an update of the first stack would end servers that it has, or it is of a
    release whose bays had no other stacks."""
    heat = ctx.deps.project(ctx.bay).heat
    stack = None if ctx.bay.stack_id is None else await heat.show(ctx.bay.stack_id)
    if stack is None or stack.action == "DELETE":
        return lost(ctx)
    if not isinstance((await heat.outputs(stack.id) or {}).get("shard"), Mapping):
        return "The bay's first stack does not tell what further ones need (output shard)."
    mark = {MARK_PARAMETER: str(ctx.operation.id)}
    return harm(await heat.preview_update(stack.id, parameters=mark), 0, Broken())


async def _make(ctx: StepContext[Deps], group: Group) -> Outcome:
    async with ctx.deps.engine.connect() as conn:
        row = await nodegroups.by_name(conn, ctx.bay.id, group.name)
    if row is None:
        return Broke(f"The nodegroup {group.name} is gone.")
    spec = new_spec(ctx)
    if group.default:
        found = await render_for(ctx, replace(ctx.bay, spec={**ctx.bay.spec, **spec}))
    else:
        found = await render_for(ctx, ctx.bay, replace(row, **spec))  # type: ignore[arg-type] # columns of the row
    if isinstance(found, Broke):
        return found
    born: Render = found

    async def keep(conn: AsyncConnection) -> None:
        number = await pools.make(conn, ctx.bay.id, row.id, ctx.bay.generation)
        await stacks.keep_render(conn, ctx.bay.id, ctx.bay.generation, born, pool=number)

    return Wait(0, apply=keep)


async def collect_upgraded(ctx: StepContext[Deps]) -> Outcome:
    """Write down what the bay, or its group, is made of now, and forget the pools that are empty."""
    group, number = await group_of(ctx), ctx.operation.memo.get(POOL)
    async with ctx.deps.engine.connect() as conn:
        left = [node for node in group.of(await stacks.nodes_of(conn, ctx.bay.id)) if node.pool != number]
    if left:
        return Back("upgrade.grow", 0)

    async def write(conn: AsyncConnection) -> None:
        await _written(conn, ctx, group)
        for old in group.pools:
            if old.number != number:
                await pools.remove(conn, ctx.bay.id, old.number)

    return Done(write)


async def _written(conn: AsyncConnection, ctx: StepContext[Deps], group: Group) -> None:
    if not group.default:
        await nodegroups.set_made_of(conn, ctx.bay.id, group.name, new_spec(ctx))
        return
    labels = ctx.operation.request.get("labels")
    await bays.set_template(
        conn,
        ctx.bay.id,
        baymodel_id=str(ctx.operation.request["cluster_template"]),
        spec={**ctx.bay.spec, **new_spec(ctx), OLD_MASTERS: masters_keep(ctx.bay)},
        labels=labels if isinstance(labels, Mapping) else {},
    )


def masters_keep(bay: Bay) -> dict[str, object]:
    """What the bay's masters are made of."""
    kept = bay.spec.get(OLD_MASTERS)
    own = {name: bay.spec.get(name) for name in _OF_MASTERS}
    return {**own, **(kept if isinstance(kept, Mapping) else {})}


def new_spec(ctx: StepContext[Deps]) -> dict[str, object]:
    """What the new nodes are made of, beside what stays."""
    spec = ctx.operation.request.get(SPEC)
    return dict(spec) if isinstance(spec, Mapping) else {}
