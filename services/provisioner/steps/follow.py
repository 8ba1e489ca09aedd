"""Waiting for Heat: one listing a project and tick, however many bays (`StackWatch`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH
from services.provisioner.steps.collect import read_outputs, recording, workers_in
from services.provisioner.steps.group import group_of
from services.provisioner.steps.members import look
from services.provisioner.steps.reasons import awaited, rolled_back, stack_failed
from services.provisioner.steps.revive import TIMES, dropped, may_revive, revive, times
from services.provisioner.steps.stall import listen
from shared.db.repositories import bays, drift, operations
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from shared.domain.queue import projected
from shared.domain.retry import STALL_SECONDS
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import Stack, StackEvent, StackResource, StackSummary
from shared.worker.outcome import Apply, Back, Broke, Done, Outcome, StepContext, Wait

_log = structlog.get_logger()

BACKSTOP = 20.0
"""Seconds between two looks at a stack of whose end Heat will tell."""


async def follow_stack(ctx: StepContext[Deps]) -> Outcome:
    """Look at the stack until Heat is through with what this operation asked for."""
    group = await group_of(ctx)
    if not group.default:
        return Done()  # its own stacks are followed where they are changed
    bay, heat = ctx.bay, ctx.deps.project(ctx.bay).heat
    if bay.stack_id is None:
        return Back(_stack_step(ctx), ctx.deps.settings.poll_seconds)
    summary = await ctx.deps.cloud.stacks.status(bay.project_id, bay.stack_id)
    if summary is not None and summary.phase == "IN_PROGRESS":
        return await _not_yet(ctx, heat, summary)
    # The listing may be a second old, and older than an update that another replica of ours has just sent. So what it
    # calls finished is looked at directly before it is believed; so is a stack that it lacks, for it goes by our tag,
    # which somebody may have taken off.
    stack = await heat.show(bay.stack_id)
    if stack is None or stack.status == "DELETE_COMPLETE":
        return Broke(lost(ctx))
    if stack.phase == "IN_PROGRESS":
        return await _not_yet(ctx, heat, stack)
    if stack.action == "ROLLBACK" and stack.seen != ctx.operation.memo.get("seen_before"):
        return await _rolled_back(ctx, heat, stack)
    if stack.operation != str(ctx.operation.id):
        if ctx.operation.kind is OperationKind.CREATE and times(ctx) < TIMES:
            return await revive(ctx, heat, stack.id, "Somebody else has changed the stack")
        # A status counts only under our mark: this one is of an earlier operation, so ours has not begun (rule 4).
        return Back(_stack_step(ctx), ctx.deps.settings.poll_seconds)
    return await _ended(ctx, heat, stack)


def lost(ctx: StepContext[Deps]) -> str:
    """What is said of a bay whose stack is gone."""
    bay = ctx.bay
    return f"Stack {bay.stack_name} with id {bay.stack_id} not found in Heat: somebody deleted it."


async def _ended(ctx: StepContext[Deps], heat: HeatClient, stack: Stack) -> Outcome:
    if stack.phase != "FAILED":
        return Done(memo={"stack_seen": stack.seen})
    if ctx.operation.request.get("rollback") is True and "rollback_awaited" not in ctx.operation.memo:
        # Heat shows the failure for a moment before it begins the rollback that was asked for.
        return Wait(2 * ctx.deps.settings.poll_seconds, note=f"Heat: {stack.status}", memo={"rollback_awaited": 1})
    return await _failed(ctx, heat, stack)


async def _not_yet(ctx: StepContext[Deps], heat: HeatClient, stack: StackSummary) -> Outcome:
    if ctx.operation.overdue:
        return await _too_late(ctx, heat)
    silence = await listen(ctx, heat, [stack.id])
    if may_revive(ctx, stack, silence):
        why = f"Nothing has changed in the stack for {silence.seconds / 60:.0f} minutes"
        return await revive(ctx, heat, stack.id, why, silence.memo)
    if ctx.operation.deadline is None and silence.seconds >= STALL_SECONDS:
        return awaited(ctx, "Nothing has changed in the Heat stack for two hours", silence.resources)
    return Wait(pause(ctx), note=f"Heat: {stack.status}", memo=silence.memo, until_told=True)


def _stack_step(ctx: StepContext[Deps]) -> str:
    return f"{ctx.operation.kind.value}.stack"


def pause(ctx: StepContext[Deps]) -> float:
    """Seconds that Heat is left to its work: `poll_seconds` for young operations, more for old ones, at most 15.

    Where Heat will tell of the end, a look is only for the case that its word is lost.
    """
    if ctx.deps.notified.tells(ctx.operation):
        return max(ctx.deps.settings.poll_seconds, BACKSTOP)
    age = (datetime.now(UTC) - ctx.operation.started_at).total_seconds()
    return min(max(ctx.deps.settings.poll_seconds, age / 60), 15.0)


async def _failed(ctx: StepContext[Deps], heat: HeatClient, stack: Stack) -> Outcome:
    resources = await heat.resources(ctx.bay.stack_id or "", NESTED_DEPTH)
    if dropped(ctx, stack, resources) and times(ctx) < TIMES and not ctx.operation.overdue:
        return await revive(ctx, heat, stack.id, f"Heat says {stack.status}: {stack.reason}")
    record = None if ctx.operation.kind is OperationKind.CREATE else await _what_stands(ctx, heat, stack, resources)
    return stack_failed(ctx, stack, resources, record)


async def _what_stands(ctx: StepContext[Deps], heat: HeatClient, stack: Stack, resources: list[StackResource]) -> Apply:
    """The record of what a failed change has left, for the next one; only how the stack looks when Heat cannot tell,
    since that must not hide why it failed. The next one looks again (`resize.stack`)."""
    try:
        found = await look(ctx, heat, resources)
    except CloudError as error:
        _log.warning("nodes not recorded", bay=str(ctx.bay.id), reason=error.message)
        return _remembering(ctx, stack)
    return recording(ctx, found.outputs, stack.seen)


def _remembering(ctx: StepContext[Deps], stack: StackSummary) -> Apply:
    async def remember(conn: AsyncConnection) -> None:
        await drift.remember(conn, ctx.bay.id, stack.seen)

    return remember


async def _rolled_back(ctx: StepContext[Deps], heat: HeatClient, summary: StackSummary) -> Broke:
    """The owner asked for a rollback should the update fail, and Heat has done it: record what there is again."""
    began = (summary.id, "UPDATE_IN_PROGRESS")
    events = await heat.events(
        summary.id, nested_depth=NESTED_DEPTH, back_to=lambda one: (one.physical_id, one.status) == began
    )
    failures = [event for event in _of_last_update(events, summary.id) if event.status.endswith("FAILED")]
    if summary.phase == "FAILED":
        did = f"The update failed, and so did its rollback ({summary.reason.rstrip('.')})"
        return rolled_back(did, failures, "Heat does not say why", _remembering(ctx, summary))
    # The request's `was` is what was expected before it; the stack shows what there is.
    outputs = await read_outputs(ctx)
    record, was = recording(ctx, outputs, summary.seen), len(workers_in(outputs, await group_of(ctx)))

    async def restore(conn: AsyncConnection) -> None:
        await record(conn)
        waiting = [one for one in await operations.live(conn, ctx.bay.id) if one.queued]
        if projected(waiting) is None:  # else the row holds a later wish, which stands
            await bays.set_counts(conn, ctx.bay.id, node_count=was)

    return rolled_back(f"The update failed and was rolled back to {was} nodes", failures, summary.reason, restore)


def _of_last_update(events: Sequence[StackEvent], stack_id: str) -> Sequence[StackEvent]:
    """Those since Heat began it. The stack's `updated_time` does not tell: after a rollback it is the rollback's."""
    began = [at for at, one in enumerate(events) if (one.physical_id, one.status) == (stack_id, "UPDATE_IN_PROGRESS")]
    return events[began[-1] :] if began else events


async def _too_late(ctx: StepContext[Deps], heat: HeatClient) -> Broke:
    resources = await heat.resources(ctx.bay.stack_id or "", NESTED_DEPTH)
    return awaited(ctx, f"Heat was not done after {ctx.bay.create_timeout} minutes", resources)
