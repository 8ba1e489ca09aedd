"""Waiting for Heat: one listing a project and tick, however many bays (`StackWatch`)."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH
from services.provisioner.steps.collect import read_outputs, recording, workers_in
from services.provisioner.steps.members import look
from services.provisioner.steps.reasons import awaited, rolled_back, stack_failed
from services.provisioner.steps.stall import look_for_change
from shared.db.repositories import bays, operations
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from shared.domain.queue import projected
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import Stack, StackResource, StackSummary
from shared.worker.outcome import Apply, Back, Broke, Done, Outcome, StepContext, Wait

_log = structlog.get_logger()


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
    if stack is not None and stack.action == "ROLLBACK" and seen(stack) != ctx.operation.memo.get("seen_before"):
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
    return await _failed(ctx, heat, stack)


def seen(stack: StackSummary) -> str:
    """What tells one end of a stack from another: an earlier operation's rollback is none of ours."""
    return f"{stack.status} {stack.updated_at}"


async def _not_yet(ctx: StepContext[Deps], heat: HeatClient, status: str) -> Outcome:
    if ctx.operation.overdue:
        return await _too_late(ctx, heat)
    memo: dict[str, object] = {}
    if ctx.operation.deadline is None:
        stalled, memo = await look_for_change(ctx, heat)
        if stalled is not None:
            return stalled
    return Wait(_pause(ctx), note=f"Heat: {status}", memo=memo)


def _stack_step(ctx: StepContext[Deps]) -> str:
    return f"{ctx.operation.kind.value}.stack"


def _pause(ctx: StepContext[Deps]) -> float:
    """Young operations are looked at every `poll_seconds`, old ones less often, at most every 15 s."""
    age = (datetime.now(UTC) - ctx.operation.started_at).total_seconds()
    return min(max(ctx.deps.settings.poll_seconds, age / 60), 15.0)


async def _failed(ctx: StepContext[Deps], heat: HeatClient, stack: Stack) -> Broke:
    resources = await heat.resources(ctx.bay.stack_id or "", NESTED_DEPTH)
    record = None if ctx.operation.kind is OperationKind.CREATE else await _what_stands(ctx, heat, resources)
    return stack_failed(ctx, stack, resources, record)


async def _what_stands(ctx: StepContext[Deps], heat: HeatClient, resources: list[StackResource]) -> Apply | None:
    """The record of what a failed change has left, for the next one; None when Heat cannot tell, since that must not
    hide why it failed. The next one looks again (`resize.stack`)."""
    try:
        found = await look(ctx, heat, resources)
    except CloudError as error:
        _log.warning("nodes not recorded", bay=str(ctx.bay.id), reason=error.message)
        return None
    return recording(ctx, found.outputs)


async def _rolled_back(ctx: StepContext[Deps], heat: HeatClient, summary: StackSummary) -> Broke:
    """The owner asked for a rollback should the update fail, and Heat has done it: record what there is again."""
    failures = [
        event
        for event in await heat.events(summary.id, nested_depth=NESTED_DEPTH)
        if event.status.endswith("FAILED") and (event.time >= (summary.updated_at or ""))
    ]
    if summary.phase == "FAILED":
        did = f"The update failed, and so did its rollback ({summary.reason.rstrip('.')})"
        return rolled_back(did, failures, "Heat does not say why")
    # The request's `was` is what was expected before it; the stack shows what there is.
    outputs = await read_outputs(ctx)
    record, was = recording(ctx, outputs), len(workers_in(outputs))

    async def restore(conn: AsyncConnection) -> None:
        await record(conn)
        waiting = [one for one in await operations.live(conn, ctx.bay.id) if one.queued]
        if projected(waiting) is None:  # else the row holds a later wish, which stands
            await bays.set_counts(conn, ctx.bay.id, node_count=was)

    return rolled_back(f"The update failed and was rolled back to {was} nodes", failures, summary.reason, restore)


async def _too_late(ctx: StepContext[Deps], heat: HeatClient) -> Broke:
    resources = await heat.resources(ctx.bay.stack_id or "", NESTED_DEPTH)
    return awaited(ctx, f"Heat was not done after {ctx.bay.create_timeout} minutes", resources)
