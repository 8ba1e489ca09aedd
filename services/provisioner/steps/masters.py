"""Another number of masters, one at a time, so that the bay's store never loses its majority.

A master that comes joins the others by its own boot; one that leaves takes leave first, by its own agent or, when that
does not answer, by another master's. Each of the steps looks at what stands and does what is next, so that it may be
run again at any point: what was done is seen in the stack's parameter and in the nodes' reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from services.provisioner.factory import Deps
from services.provisioner.steps.follow import lost
from services.provisioner.steps.gone import is_gone
from services.provisioner.steps.masters_record import masters_settled, outputs_of, recorded, unrecorded
from services.provisioner.steps.masters_stack import TARGET, Scene, aiming, scene
from shared.db.repositories.masters import LEAVER, LEAVING, Master
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait

PATIENCE: Final = 900.0
"""Seconds that masters get to be well, or to take leave, before it is somebody else's turn."""
_AWAITED: Final = "awaited"
_SINCE: Final = "awaited_since"
_RECORDED: Final = "recorded"
_FIRST: Final = "resize_masters.leave"


async def leave_masters(ctx: StepContext[Deps]) -> Outcome:
    """Choose what is next; have a master that leaves take leave of the others."""
    now = await scene(ctx)
    if not isinstance(now, Scene):
        return now
    standing, wanted = len(now.masters), now.wanted
    target = standing + (wanted > standing)
    # Before anybody leaves: a master that nobody recorded may vote, and the youngest one goes first.
    if not ctx.operation.memo.get(LEAVING):
        stack = await ctx.deps.project(ctx.bay).heat.show(ctx.bay.stack_id or "")
        if stack is not None and (outputs := await unrecorded(ctx, stack, now.masters, min(wanted, target))):
            return Wait(0, note=f"There are {len(outputs.nodes)} masters.", apply=recorded(ctx, outputs))
    if wanted < standing:
        return await _leave(ctx, now)
    if standing > 1 and await _gone(ctx, now.masters[-1]):
        youngest = now.masters[-1].name
        why = f"Nova has no server of {youngest} any more. Nothing was changed: ask for fewer masters first."
        return Broke(why, apply=masters_settled(ctx))
    if wanted > standing and (waiting := _unwell(ctx, now.masters, "Nothing was changed.")):
        return waiting
    return Done(memo={**aiming(target), LEAVING: "", LEAVER: "", **_nothing_awaited()})


async def _leave(ctx: StepContext[Deps], now: Scene) -> Outcome:
    """The youngest leaves: the others keep their places in every list."""
    leaving, others = now.masters[-1], now.masters[:-1]
    if waiting := _unwell(ctx, others, f"{leaving.name} was to leave, and stays for now."):
        return waiting
    gone = await _gone(ctx, leaving)
    # One that is gone takes nothing back that it ever said.
    told = [one.name for one in (others if gone else now.masters) if one.parted == leaving.private_address]
    if ctx.operation.memo.get(LEAVING) != leaving.server_id:
        if told and not _out_of_patience(ctx, "word"):
            # Of an earlier change: it may have come back since, and others may have had that address.
            note = f"{told[0]} has yet to forget that a master of that address left."
            return Wait(ctx.deps.settings.poll_seconds, note=note, memo=_awaiting("word", ctx))
        if told:
            why = f"{told[0]} still says that {leaving.name} has left. Nothing was changed: see that its agent runs."
            return Broke(why, apply=masters_settled(ctx))
        # Written before anybody is told of it.
        leaver = others[0] if leaving.silent or gone else leaving
        memo = {LEAVING: leaving.server_id, LEAVER: leaver.server_id, **_awaiting(f"leave {leaver.name}")}
        return Wait(0, note=f"{leaving.name} is to take leave of the other masters.", memo=memo)
    if told:
        return Done(memo={**aiming(len(others)), **_nothing_awaited()}, note=f"{leaving.name} has left the others.")
    leaver = next((one for one in now.masters if one.server_id == ctx.operation.memo.get(LEAVER)), leaving)
    said = f" It says: {leaver.problem}" if leaver.problem else ""
    if not _out_of_patience(ctx, f"leave {leaver.name}"):
        note = f"{leaver.name} is to take {leaving.name} out of the bay's store.{said}"
        return Wait(ctx.deps.settings.poll_seconds, note=note, memo=_awaiting(f"leave {leaver.name}", ctx))
    if leaver is leaving:
        memo = {LEAVER: others[0].server_id, **_awaiting(f"leave {others[0].name}")}
        return Wait(0, note=f"{leaving.name} does not answer: {others[0].name} takes it out.", memo=memo)
    return Broke(
        f"Neither {leaving.name} nor {leaver.name} has taken {leaving.name} out of the bay's store.{said} "
        f"No server was removed. See that the node agent runs on {leaver.name}, and resize again.",
        apply=masters_settled(ctx),
    )


async def join_master(ctx: StepContext[Deps]) -> Outcome:
    """Record who stands; wait for a new master to work with the others; go back when more are to change."""
    now = await scene(ctx)
    if not isinstance(now, Scene):
        return now
    target = int(str(ctx.operation.memo[TARGET]))
    if ctx.operation.memo.get(_RECORDED) != target:
        return await _record(ctx, now, target)
    if waiting := _unwell(ctx, now.masters, f"There are {target} masters now."):
        return waiting
    if target != now.wanted:
        return Back(_FIRST, 0, memo={LEAVING: "", LEAVER: "", **_nothing_awaited()})
    return Done(memo={LEAVING: "", LEAVER: "", **_nothing_awaited()})


async def _record(ctx: StepContext[Deps], now: Scene, target: int) -> Outcome:
    """Write down who stands; that those who stood before stand still, but for the one that left, is looked at here."""
    outputs = await outputs_of(ctx)
    found = {node.server_id for node in outputs.nodes}
    left = {one.server_id for one in now.masters} - found
    if left - {str(ctx.operation.memo.get(LEAVING))}:
        names = ", ".join(one.name for one in now.masters if one.server_id in left)
        return Broke(f"Masters left that were not to: {names}.", apply=masters_settled(ctx, outputs))
    if len(found) != target:
        why = f"Heat is done but shows {len(found)} masters where {target} were asked for."
        return Broke(why, apply=masters_settled(ctx, outputs))
    return Wait(0, note=f"There are {target} masters.", memo={_RECORDED: target}, apply=recorded(ctx, outputs))


async def collect_masters(ctx: StepContext[Deps]) -> Outcome:
    """Compare what there is with what was asked for."""
    if ctx.bay.stack_id is None:
        return Broke(lost(ctx))
    outputs = await outputs_of(ctx)
    wanted = int(str(ctx.operation.request["master_count"]))
    if len(outputs.nodes) != wanted:
        why = f"There are {len(outputs.nodes)} masters where {wanted} were asked for."
        return Broke(why, apply=masters_settled(ctx, outputs))
    return Done(masters_settled(ctx, outputs))


async def _gone(ctx: StepContext[Deps], master: Master) -> bool:
    return await is_gone(ctx.deps.project(ctx.bay).nova, master.server_id)


def _unwell(ctx: StepContext[Deps], those: Sequence[Master], end: str) -> Wait | Broke | None:
    """A wait for masters that are not well; the end of it after a while."""
    ill = [one for one in those if one.silent or not one.healthy]
    if not ill:
        return None
    first = ill[0]
    why = first.problem or ("it has not reported lately" if first.silent else "it says that it is not well")
    told = f"{first.name} is not well: {why.rstrip('.')}."
    if not _out_of_patience(ctx, "well"):
        return Wait(ctx.deps.settings.poll_seconds, note=f"Waiting. {told}", memo=_awaiting("well", ctx))
    others = f" Neither are {len(ill) - 1} other masters." if len(ill) > 1 else ""
    return Broke(
        f"{told}{others} The number of masters changes only while all of them are well. {end}",
        apply=masters_settled(ctx),
    )


def _awaiting(what: str, ctx: StepContext[Deps] | None = None) -> Mapping[str, object]:
    """The memo of a wait that begins, or of one that goes on."""
    if ctx is not None and ctx.operation.memo.get(_AWAITED) == what:
        return {}
    return {_AWAITED: what, _SINCE: datetime.now(UTC).timestamp()}


def _nothing_awaited() -> Mapping[str, object]:
    return {_AWAITED: None, _SINCE: None}


def _out_of_patience(ctx: StepContext[Deps], what: str) -> bool:
    memo = ctx.operation.memo
    since = memo.get(_SINCE) if memo.get(_AWAITED) == what else None
    if ctx.operation.overdue:
        return True
    patience = PATIENCE * ctx.deps.settings.time_scale
    return isinstance(since, (int, float)) and datetime.now(UTC).timestamp() - since >= patience
