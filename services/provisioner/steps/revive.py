"""Taking up a stack again that Heat has dropped: its engine died, and nobody goes on where it was.

Heat takes nothing up by itself. An update that changes nothing does: another engine steals the dead one's locks, looks
at what is there, and makes what is missing. It keeps template, files and parameters as the stack has them (rule 6), so
the operation's mark stays the same, and whole servers stay what they are, which a rehearsal shows beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid5

import structlog

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH, broken_members
from services.provisioner.steps.create import opened
from services.provisioner.steps.orphans import end_servers, remove_orphans
from services.provisioner.steps.reasons import awaited
from services.provisioner.steps.stall import Silence, anew, listen
from shared.db.repositories import stacks
from shared.domain import names
from shared.domain.advice import aborted
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from shared.drivers.contract import MARK_PARAMETER
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import Stack, StackResource, StackSummary
from shared.worker.outcome import Broke, Outcome, StepContext, Wait

_log = structlog.get_logger()

TIMES: Final = 3
"""How often an operation takes up a stack of its own; and as often those of earlier ones."""
_OWN: Final = "revived"
_OTHERS: Final = "others_revived"
"""In the memo: how often that was."""
_TAKEN_UP: Final = frozenset({"CREATE", "UPDATE"})
_CANCELLED: Final = re.compile(r"(CREATE|UPDATE) (cancelled|aborted)")
_SILENT: Final = "Nothing changes in it"
_ENGINES: Final = re.compile(
    r"(engine|worker) (went down|stopped|is not alive)|timed out waiting for a reply to message|messagingtimeout"
    r"|dbdeadlock|dbconnectionerror|lost connection to (mysql|the database)|server has gone away",
    re.IGNORECASE,
)
"""What Heat says when it failed itself, and nothing that it was asked for is wrong."""


def dropped(ctx: StepContext[Deps], stack: StackSummary, resources: Iterable[StackResource]) -> bool:
    """Whether a stack failed for the engine's own reasons alone, or for being taken up.

    An engine that was still at work, on nodes that took long, fails what it is at when that is done, as cancelled by
    our update: nothing is wrong with it, and the next update finds it whole.
    """
    reasons = [one.reason for one in resources if one.status.endswith("FAILED") and not aborted(one.reason)]
    if not reasons and times(ctx) and _CANCELLED.search(stack.reason):
        return True
    return stack.action in _TAKEN_UP and all(_ENGINES.search(reason) for reason in reasons or [stack.reason])


def may_revive(ctx: StepContext[Deps], stack: StackSummary, silence: Silence) -> bool:
    """Whether nobody seems to work on a stack that somebody should be working on, and it was not tried too often."""
    return silence.too_long and stack.action in _TAKEN_UP and times(ctx) < TIMES


def times(ctx: StepContext[Deps], whose: str = _OWN) -> int:
    """How often this operation has taken up a stack of its own, or of earlier ones."""
    return int(str(ctx.operation.memo.get(whose, 0)))


async def revive(
    ctx: StepContext[Deps], heat: HeatClient, stack_id: str, why: str, memo: Mapping[str, object] = MappingProxyType({})
) -> Outcome:
    """Take the bay's first stack up again, unless that would cost a server; `memo` is of the silence until now."""
    stack = await heat.show(stack_id)
    if stack is None or stack.action == "DELETE":
        return Wait(ctx.deps.settings.poll_seconds, memo=memo)
    if lost := await remove_orphans(ctx, heat):
        return Wait(ctx.deps.settings.poll_seconds, note=lost, memo=memo)
    if refusal := await take_up(ctx, heat, stack, why):
        return Broke(refusal)
    again = times(ctx) + 1
    note = f"{why}: Heat was asked to go on ({again} of {TIMES} times)."
    return Wait(ctx.deps.settings.poll_seconds, note=note, memo={**anew(), _OWN: again})


async def take_up(
    ctx: StepContext[Deps], heat: HeatClient, stack: Stack, why: str, as_mark: UUID | None = None
) -> str | None:
    """Have Heat look at the whole stack once more; why not, where it would cost a server.

    A Heat that does one thing at a time may refuse: then it is at work.
    A stack that is being created and lacks our mark was changed by somebody else: it gets all that it was born with.
    `as_mark` is the mark that the stack gets, the operation's own if none is told.
    """
    mark = {MARK_PARAMETER: str(as_mark or ctx.operation.id)}
    if refusal := await _refusal(ctx, heat, stack, mark):
        return refusal
    whole = ctx.operation.kind is OperationKind.CREATE and stack.operation != str(ctx.operation.id)
    born = await opened(ctx) if whole else None
    _log.warning("stack taken up again", bay=str(ctx.bay.id), stack=stack.id, status=stack.status, reason=why)
    await ctx.guard()
    try:
        await heat.update(
            stack.id,
            parameters=mark if born is None else {**born.parameters, **mark},
            template=None if born is None else born.template,
            files=None if born is None else born.files,
            environment=None if born is None else born.environment,
            tags=(names.TAG, names.bay_tag(ctx.bay.id)),
            timeout_mins=_minutes_left(ctx),
            disable_rollback=True,  # what it would go back to is what it has now
        )
    except CloudError as error:
        if error.status != 409:
            raise
    ctx.deps.cloud.stacks.forget(ctx.bay.project_id)
    return None


async def others_work(ctx: StepContext[Deps], heat: HeatClient, busy: Sequence[StackSummary]) -> Outcome:
    """Wait for what an earlier operation has left under way, and take it up where its engine is dead.

    What those stacks come to then is what was asked for before. They bear a mark that is neither that operation's nor
    this one's: whoever looks for its own finds that its change is still to come (rule 4).
    """
    told = f"Heat is still busy with {', '.join(one.name for one in busy)}"
    if ctx.operation.overdue:
        listed = [one for stack in busy for one in await heat.resources(stack.id, NESTED_DEPTH)]
        return awaited(ctx, f"{told}, which an earlier change has begun", listed)
    silence = await listen(ctx, heat, [one.id for one in busy])
    memo = await go_on(ctx, heat, busy, silence, as_mark=uuid5(ctx.operation.id, "taken up"))
    return memo if isinstance(memo, Broke) else Wait(ctx.deps.settings.poll_seconds, note=told, memo=memo)


async def go_on(
    ctx: StepContext[Deps],
    heat: HeatClient,
    busy: Iterable[StackSummary],
    silence: Silence,
    as_mark: UUID | None = None,
) -> Mapping[str, object] | Broke:
    """Take up those of a bay's stacks in which nothing has happened for too long; what is to be remembered. The end,
    where there are only such as must not be taken up.

    Without `as_mark` only those that bear the operation's own.
    """
    whose = _OTHERS if as_mark else _OWN
    if not silence.too_long or times(ctx, whose) >= TIMES:
        return silence.memo
    if await remove_orphans(ctx, heat):
        return silence.memo
    taken, refusals = False, list[str]()
    for one in busy:
        stack = await heat.show(one.id)
        if stack is not None and stack.status == "DELETE_IN_PROGRESS":
            await ctx.guard()
            await heat.delete(stack.id)
            taken = True
        elif stack is not None and _left_lying(stack, None if as_mark else ctx.operation.id):
            refusal = await take_up(ctx, heat, stack, _SILENT, as_mark)
            refusals += [refusal] if refusal else []
            taken = taken or refusal is None
    if taken:
        return {**anew(), whose: times(ctx, whose) + 1}
    return Broke(refusals[0]) if refusals else silence.memo


def _left_lying(stack: Stack, marked: UUID | None) -> bool:
    """Whether it is under way, and, where that is asked, for the operation of that id."""
    under_way = stack.phase == "IN_PROGRESS" and stack.action in _TAKEN_UP
    return under_way and (marked is None or stack.operation == str(marked))


async def delete_again(
    ctx: StepContext[Deps], heat: HeatClient, doomed: Sequence[StackSummary], silence: Silence
) -> Mapping[str, object]:
    """Ask once more for deletions in which nothing has happened for too long; what the operation is to remember."""
    if not silence.too_long or times(ctx) >= TIMES:
        return silence.memo
    await end_servers(ctx)
    for stack in doomed:
        _log.warning("deletion asked for again", bay=str(ctx.bay.id), stack=stack.id, status=stack.status)
        await ctx.guard()
        await heat.delete(stack.id)
    return {**anew(), _OWN: times(ctx) + 1}


async def _refusal(ctx: StepContext[Deps], heat: HeatClient, stack: Stack, mark: Mapping[str, str]) -> str | None:
    """Why the stack must not be taken up. A bay that is being made has no server yet that anybody could miss.

    A preview does not tell which servers it means, so their number decides: as many may be replaced as hang on members
    that are no nodes yet.
    """
    if ctx.operation.kind is OperationKind.CREATE:
        return None
    changes = await heat.preview_update(stack.id, parameters=mark)
    if not changes.replaced_servers:
        return None
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    unfinished = broken_members(await heat.resources(stack.id, NESTED_DEPTH), nodes)
    servers = sum(one.type == "OS::Nova::Server" for one in changes.replaced_servers)
    if servers <= unfinished.servers and len(changes.replaced_servers) - servers <= len(unfinished.indices):
        return None
    return f"Heat has dropped stack {stack.name}, and would replace servers of the bay if it were to go on."


def _minutes_left(ctx: StepContext[Deps]) -> int | None:
    if ctx.operation.deadline is None:
        return None
    left = (ctx.operation.deadline - datetime.now(UTC)).total_seconds()
    return max(1, ceil(left / 60))
