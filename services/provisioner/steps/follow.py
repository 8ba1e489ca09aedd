"""Waiting for Heat: one listing a project and tick, however many bays (`StackWatch`)."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.collect import read_outputs, recording
from services.provisioner.steps.stall import look_for_change
from shared.db.repositories import bays
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import Stack, StackResource, StackSummary
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait

NESTED_DEPTH = 3
"""Group, member, and what a member is made of."""

REASONS_SHOWN = 3
"""Failed resources named in a status_reason; all of them are in the bay's faults."""


async def follow_stack(ctx: StepContext[Deps]) -> Outcome:
    """Look at the stack until Heat is through with what this operation asked for."""
    bay, heat = ctx.bay, ctx.deps.project(ctx.bay).heat
    if bay.stack_id is None:
        return Back(_stack_step(ctx), ctx.deps.settings.poll_seconds)
    summary = await ctx.deps.cloud.stacks.status(bay.project_id, bay.stack_id)
    if summary is None:
        return Broke(f"Stack with id {bay.stack_id} not found in Heat: somebody deleted it.")
    if summary.phase == "IN_PROGRESS":
        return await _not_yet(ctx, heat, summary.status)
    # The listing may be a second old, and older than an update that another replica of ours has just sent. So what it
    # calls finished is looked at directly before it is believed.
    stack = await heat.show(bay.stack_id)
    if stack is not None and stack.phase == "IN_PROGRESS":
        return await _not_yet(ctx, heat, stack.status)
    if stack is not None and stack.action == "ROLLBACK":
        return await _rolled_back(ctx, heat, stack)
    if stack is None or stack.operation != str(ctx.operation.id):
        # A status counts only under our mark: this one is of an earlier operation, so ours has not begun (rule 4).
        return Back(_stack_step(ctx), ctx.deps.settings.poll_seconds)
    return await _ended(ctx, heat, stack)


async def _ended(ctx: StepContext[Deps], heat: HeatClient, stack: Stack) -> Outcome:
    if stack.phase != "FAILED":
        return Done()
    if ctx.operation.request.get("rollback") is True and "rollback_awaited" not in ctx.operation.memo:
        # Heat shows the failure for a moment before it begins the rollback that was asked for.
        return Wait(2 * ctx.deps.settings.poll_seconds, note=f"Heat: {stack.status}", memo={"rollback_awaited": 1})
    return await _failed(heat, stack.id, f"Heat says {stack.status}: {stack.reason}")


async def _not_yet(ctx: StepContext[Deps], heat: HeatClient, status: str) -> Outcome:
    if ctx.operation.overdue:
        return await _too_late(ctx, heat)
    memo: dict[str, object] = {}
    if ctx.operation.deadline is None:
        stalled, memo = await look_for_change(ctx, heat)
        if stalled is not None:
            return Broke(stalled)
    return Wait(_pause(ctx), note=f"Heat: {status}", memo=memo)


def _stack_step(ctx: StepContext[Deps]) -> str:
    return f"{ctx.operation.kind.value}.stack"


def _pause(ctx: StepContext[Deps]) -> float:
    """Young operations are looked at every `poll_seconds`, old ones less often, at most every 15 s."""
    age = (datetime.now(UTC) - ctx.operation.accepted_at).total_seconds()
    return min(max(ctx.deps.settings.poll_seconds, age / 60), 15.0)


async def _failed(heat: HeatClient, stack_id: str, fallback: str) -> Broke:
    broken = [one for one in await heat.resources(stack_id, NESTED_DEPTH) if one.status.endswith("FAILED")]
    causes = _leaves(broken)
    if not causes:
        return Broke(fallback)
    named = "; ".join(f"{_path(one)} ({one.type}): {one.reason}" for one in causes[:REASONS_SHOWN])
    more = f"; and {len(causes) - REASONS_SHOWN} more" if len(causes) > REASONS_SHOWN else ""
    return Broke(f"{named}{more}", faults={_path(one): one.reason for one in causes})


async def _rolled_back(ctx: StepContext[Deps], heat: HeatClient, summary: StackSummary) -> Broke:
    """The owner asked for a rollback should the update fail, and Heat has done it: record what there is again."""
    failures = [
        event
        for event in await heat.events(summary.id, nested_depth=NESTED_DEPTH)
        if event.status.endswith("FAILED") and (event.time >= (summary.updated_at or ""))
    ]
    cause = f"{failures[0].resource_name}: {failures[0].reason}" if failures else summary.reason
    if summary.phase == "FAILED":
        return Broke(f"The update failed ({cause}), and so did its rollback: {summary.reason}")
    record = recording(ctx, await read_outputs(ctx))
    was = int(str(ctx.operation.request.get("was", ctx.bay.node_count)))

    async def restore(conn: AsyncConnection) -> None:
        await record(conn)
        await bays.set_counts(conn, ctx.bay.id, node_count=was)

    return Broke(f"The update failed and was rolled back to {was} nodes: {cause}", apply=restore)


async def _too_late(ctx: StepContext[Deps], heat: HeatClient) -> Broke:
    stack_id = ctx.bay.stack_id or ""
    late = [one for one in await heat.resources(stack_id, NESTED_DEPTH) if one.status.endswith("IN_PROGRESS")]
    names = ", ".join(f"{_path(one)} ({one.type})" for one in _leaves(late)[:REASONS_SHOWN]) or "its last resource"
    minutes = ctx.bay.create_timeout
    return Broke(f"Heat was not done after {minutes} minutes; it still waits for {names}.")


def _leaves(resources: list[StackResource]) -> list[StackResource]:
    """Those that are not merely the outer side of another one in the list: the innermost tell the cause."""
    inner = {(one.parent, one.stack_name) for one in resources}
    outer = {parent for parent, _stack in inner if parent is not None}
    leaves = [one for one in resources if one.name not in outer]
    return leaves or resources


def _path(resource: StackResource) -> str:
    return f"{resource.parent}.{resource.name}" if resource.parent else resource.name
