"""Changing the number of nodes of a stack, and nothing else (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence

from services.provisioner.factory import Deps
from shared.db.repositories import stacks
from shared.drivers.contract import MARK_PARAMETER
from shared.openstack.heat import HeatClient
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
    remove = _to_remove(ctx)
    if refusal := await _harm(ctx, heat, bay.stack_id, remove):
        return Broke(refusal)
    parameters = _parameters(ctx, _wanted(ctx), remove)
    await ctx.guard()
    rollback = ctx.operation.request.get("rollback") is True
    timeout = bay.create_timeout or None
    await heat.update(bay.stack_id, parameters=parameters, timeout_mins=timeout, disable_rollback=not rollback)
    ctx.deps.cloud.stacks.forget(bay.project_id)
    return Done()


def _wanted(ctx: StepContext[Deps]) -> int:
    return int(str(ctx.operation.request["node_count"]))


def _to_remove(ctx: StepContext[Deps]) -> list[str]:
    chosen = ctx.operation.memo.get("remove", [])
    return [str(server) for server in chosen] if isinstance(chosen, list) else []


def _parameters(ctx: StepContext[Deps], count: int, remove: Sequence[str]) -> dict[str, str]:
    changed = ctx.deps.driver(ctx.bay).resize_parameters(count, remove)
    return changed | {MARK_PARAMETER: str(ctx.operation.id)}


async def _harm(ctx: StepContext[Deps], heat: HeatClient, stack_id: str, remove: Sequence[str]) -> str | None:
    """Why this update must not happen: it would replace a server, or lose more of them than the operation named.

    What Heat's preview cannot do decides how it is asked (docs/decisions/0002): it fails for a member that is not
    there yet, and of removal lists it understands indices only, forgetting those of earlier removals. So growth is
    rehearsed with the present count, and the list holds the index of every member that left or is to leave. Those that
    did leave are compared with those named once more afterwards (`resize.collect`).
    """
    async with ctx.deps.engine.connect() as conn:
        workers = [node for node in await stacks.nodes_of(conn, ctx.bay.id) if node.role == "worker"]
    stay = {node.position for node in workers if node.server_id not in remove}
    absent = [
        str(index) for index in range(max((node.position + 1 for node in workers), default=0)) if index not in stay
    ]
    changes = await heat.preview_update(stack_id, parameters=_parameters(ctx, len(stay), absent))
    if changes.replaced_servers:
        named = ", ".join(sorted({one.physical_id or one.name for one in changes.replaced_servers}))
        return f"Heat would replace servers that this resize did not name: {named}. Nothing was changed."
    if changes.servers_fewer > len(remove):
        return f"Heat would remove {changes.servers_fewer} servers where {len(remove)} were named. Nothing was changed."
    return None
