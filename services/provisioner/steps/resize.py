"""Changing the number of nodes of a stack, and nothing else (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import Broken
from services.provisioner.steps.collect import recording, shard_stacks, workers_in
from services.provisioner.steps.follow import seen
from services.provisioner.steps.members import Found, look
from services.provisioner.steps.rehearsal import harm
from services.provisioner.steps.room import shortage
from services.provisioner.steps.shards import shares_of, stay_and_absent
from shared.db.repositories import operations, stacks
from shared.domain.operation import OperationState
from shared.domain.queue import named_of, node_count_of
from shared.domain.scaling import leaving
from shared.domain.shards import place
from shared.drivers.contract import MARK_PARAMETER
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import Stack
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait


async def resize_stack(ctx: StepContext[Deps]) -> Outcome:
    """Update the stack's count and removal list, unless our mark shows that this was done already."""
    bay, heat = ctx.bay, ctx.deps.project(ctx.bay).heat
    if bay.stack_id is None:
        return Broke("The bay has no Heat stack to resize.")
    stack = await heat.show(bay.stack_id)
    if stack is None or stack.action == "DELETE":
        return Broke(f"Stack with id {bay.stack_id} not found in Heat: somebody deleted it.")
    if stack.operation == str(ctx.operation.id):
        ctx.deps.cloud.stacks.forget(bay.project_id)
        return Done()
    if stack.phase == "IN_PROGRESS":
        return Wait(ctx.deps.settings.poll_seconds, note=f"Heat is still busy with something else: {stack.status}")
    broken = Broken()
    if not await _settled(ctx, stack):
        busy = [one.name for one in (await shard_stacks(ctx)).values() if one.phase == "IN_PROGRESS"]
        if busy:
            return Wait(ctx.deps.settings.poll_seconds, note=f"Heat is still busy with {', '.join(busy)}")
        found = await look(ctx, heat)
        if (news := await _catch_up(ctx, found)) is not None:
            return news
        broken = found.broken
    if refusal := await _refusal(ctx, heat, stack, broken):
        return Broke(f"{refusal} Nothing was changed.")
    await _update(ctx, heat, stack, broken)
    return Done(memo={"seen_before": seen(stack)})


async def _refusal(ctx: StepContext[Deps], heat: HeatClient, stack: Stack, broken: Broken) -> str | None:
    """Why the update must not happen, or cannot."""
    async with ctx.deps.engine.connect() as conn:
        workers = [node for node in await stacks.nodes_of(conn, ctx.bay.id) if node.role == "worker"]
    share = (await shares_of(ctx))[0]
    here = [node for node in workers if place(node.position)[0] == 0]
    stay, absent = stay_and_absent(here, share.remove)
    changes = await heat.preview_update(stack.id, parameters=_parameters(ctx, stay, absent))
    leaving_all = set(_to_remove(ctx))
    standing = sum(node.server_id not in leaving_all for node in workers)
    return harm(changes, len(share.remove), broken) or await shortage(
        ctx, workers=node_count_of(ctx.operation.request), standing=standing
    )


async def _update(ctx: StepContext[Deps], heat: HeatClient, stack: Stack, broken: Broken) -> None:
    share = (await shares_of(ctx))[0]
    parameters = _parameters(ctx, share.count, [*share.remove, *broken.indices])
    rollback = ctx.operation.request.get("rollback") is True
    timeout = ctx.bay.create_timeout or None
    await ctx.guard()
    await heat.update(stack.id, parameters=parameters, timeout_mins=timeout, disable_rollback=not rollback)
    ctx.deps.cloud.stacks.forget(ctx.bay.project_id)


async def _settled(ctx: StepContext[Deps], stack: Stack) -> bool:
    """Whether the operation that the stack bears the mark of came to its end, so that our record is of the stack."""
    if stack.action == "ROLLBACK":
        return False  # its mark is of the operation before the one that failed, which may have been recorded
    try:
        marked = UUID(stack.operation or "")
    except ValueError:
        return True  # somebody else's doing, which the rehearsal will judge
    async with ctx.deps.engine.connect() as conn:
        return await operations.state_of(conn, marked) in (OperationState.DONE, None)


async def _catch_up(ctx: StepContext[Deps], found: Found) -> Outcome | None:
    """Bring our record up to the stack, when an earlier operation could not, and choose anew who leaves.

    None when the record is right. Else the step is run again with the new choice in its memo, so that the choice is
    written before Heat hears of it.
    """
    async with ctx.deps.engine.connect() as conn:
        known = {node.server_id for node in await stacks.nodes_of(conn, ctx.bay.id)}
    standing = {node.server_id for node in found.outputs.nodes}
    if known == standing:
        return None
    record, request = recording(ctx, found.outputs), ctx.operation.request
    named = [server for server in named_of(request) if server in standing or server not in known]  # less who left
    try:
        remove = leaving(workers_in(found.outputs), node_count_of(request), named)
    except ValueError as error:
        return Broke(f"The nodes that leave could not be chosen: {error}", apply=record)
    return Wait(0, note="An earlier change did not end well: looking again.", memo={"remove": remove}, apply=record)


def _to_remove(ctx: StepContext[Deps]) -> list[str]:
    chosen = ctx.operation.memo.get("remove", [])
    return [str(server) for server in chosen] if isinstance(chosen, list) else []


def _parameters(ctx: StepContext[Deps], count: int, remove: Sequence[str]) -> dict[str, str]:
    changed = ctx.deps.driver(ctx.bay).resize_parameters(count, remove)
    return changed | {MARK_PARAMETER: str(ctx.operation.id)}
