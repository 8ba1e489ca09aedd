"""Changing the number of nodes of a stack, and nothing else (rule 6)."""

from __future__ import annotations

from collections.abc import Sequence

from services.provisioner.factory import Deps
from shared.drivers.contract import MARK_PARAMETER
from shared.openstack.stacks import StackChanges
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
    parameters = ctx.deps.driver(bay).resize_parameters(_wanted(ctx), remove)
    parameters[MARK_PARAMETER] = str(ctx.operation.id)
    if refusal := _harm(await heat.preview_update(bay.stack_id, parameters=parameters), remove):
        return Broke(refusal)
    await ctx.guard()
    await heat.update(bay.stack_id, parameters=parameters, timeout_mins=bay.create_timeout or None)
    ctx.deps.cloud.stacks.forget(bay.project_id)
    return Done()


def _wanted(ctx: StepContext[Deps]) -> int:
    return int(str(ctx.operation.request["node_count"]))


def _to_remove(ctx: StepContext[Deps]) -> list[str]:
    chosen = ctx.operation.memo.get("remove", [])
    return [str(server) for server in chosen] if isinstance(chosen, list) else []


def _harm(changes: StackChanges, remove: Sequence[str]) -> str | None:
    """Why this update must not happen: it would replace or delete a server that the operation did not name.

    Only servers count: Heat's preview over-reports other kinds (architecture, facts shown on the mini-cloud).
    """
    doomed = [one for one in changes.servers if one.physical_id not in remove]
    if not doomed:
        return None
    named = ", ".join(sorted(one.physical_id or one.name for one in doomed))
    return f"Heat would replace or delete servers that this resize did not name: {named}. Nothing was changed."
