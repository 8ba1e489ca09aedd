"""The stack's part of another number of masters: the parameter, a rehearsal before it, and what stands afterwards.

No server is ever named to Heat: the group gives up its highest index, which is the master that has taken leave, and
takes the same index again when it grows. Nothing but the count and the mark changes (rule 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH, Broken, unfinished_masters
from services.provisioner.steps.create import rotated
from services.provisioner.steps.follow import follow_stack, lost
from services.provisioner.steps.masters_record import count_of, masters_settled, unrecorded
from services.provisioner.steps.masters_surplus import ENDING, end, ending, surplus
from services.provisioner.steps.rehearsal import harm
from services.provisioner.steps.revive import may_revive
from services.provisioner.steps.stall import anew, listen
from shared.db.repositories import masters
from shared.db.repositories.masters import LEAVER, LEAVING, Master
from shared.domain import names
from shared.domain.queue import master_count_of
from shared.drivers.contract import MARK_PARAMETER, MASTERS_PARAMETER
from shared.openstack.heat import HeatClient
from shared.openstack.stacks import Stack
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait

TARGET: Final = "target"
"""In the memo: the number of masters that is next."""
_CHANGED: Final = "changed"


@dataclass(frozen=True)
class Scene:
    """What stands."""

    masters: list[Master]
    """As recorded, in the order of their indices."""
    wanted: int


def aiming(target: int) -> Mapping[str, object]:
    """The memo of a change that begins."""
    return {TARGET: target, ENDING: None}


async def scene(ctx: StepContext[Deps]) -> Scene | Outcome:
    """The masters that stand, and how many there are to be."""
    if ctx.bay.stack_id is None:
        return Broke("The bay has no Heat stack to resize.")
    async with ctx.deps.engine.connect() as conn:
        standing = await masters.of_bay(conn, ctx.bay.id)
    if not standing:
        return Broke("No master of this bay is known, so that none can join it.")
    return Scene(standing, master_count_of(ctx.operation.request))


async def change_masters(ctx: StepContext[Deps]) -> Outcome:
    """Change the stack by one master, unless our mark shows that this was done already."""
    heat, target = ctx.deps.project(ctx.bay).heat, int(str(ctx.operation.memo[TARGET]))
    stack = await heat.show(ctx.bay.stack_id or "")
    if stack is None or stack.action == "DELETE":
        return Broke(lost(ctx))
    now = await scene(ctx)
    if not isinstance(now, Scene):
        return now
    there = stack.parameters.get(MASTERS_PARAMETER) == str(target)
    if there and stack.operation == str(ctx.operation.id):
        ctx.deps.cloud.stacks.forget(ctx.bay.project_id)
        return Done(memo={_CHANGED: True})
    if stack.phase == "IN_PROGRESS":
        silence = await listen(ctx, heat, [stack.id])
        if not may_revive(ctx, stack, silence):
            note = f"Heat is still busy with something else: {stack.status}"
            return Wait(ctx.deps.settings.poll_seconds, note=note, memo=silence.memo)
    if there and len(now.masters) == target and stack.phase == "COMPLETE":
        return Done(memo={_CHANGED: False})
    return await _change(ctx, heat, stack, now, target)


async def follow_masters(ctx: StepContext[Deps]) -> Outcome:
    """Wait for Heat; after a failure the bay's count is that of the masters that stand."""
    if not ctx.operation.memo.get(_CHANGED):
        return Done()
    outcome = await follow_stack(ctx)
    return Broke(outcome.reason, outcome.faults, masters_settled(ctx)) if isinstance(outcome, Broke) else outcome


async def _change(ctx: StepContext[Deps], heat: HeatClient, stack: Stack, now: Scene, target: int) -> Outcome:
    """One count, after a rehearsal at the present one (docs/decisions/0002): it shows what would be replaced.

    Heat cannot preview a group that is to gain a member, and of one that is to lose its last one it says nothing else.
    """
    asked = ctx.operation.memo.get(ENDING)
    if isinstance(asked, list) and (waiting := await ending(ctx, asked)):
        return waiting
    stay = [one for one in now.masters if one.server_id != ctx.operation.memo.get(LEAVING)]
    fewer = count_of(stack, target) > target
    if fewer and not asked and (first := await _not_so(ctx, stack, now, stay, target)):
        return first
    ids = {one.server_id for one in stay}
    mark = await rotated(ctx) | {MARK_PARAMETER: str(ctx.operation.id)}
    changes = await heat.preview_update(stack.id, parameters=mark)
    unfinished = changes.replaced_servers and unfinished_masters(await heat.resources(stack.id, NESTED_DEPTH), ids)
    if refusal := harm(changes, 0, Broken(), len(unfinished)):
        told = refusal if asked else f"{refusal} Nothing was changed."
        return Broke(told, apply=masters_settled(ctx))
    if fewer and not asked and (those := await surplus(ctx, ids, target)):
        return await end(ctx, those)
    await ctx.guard()
    await heat.update(
        stack.id,
        parameters=mark | {MASTERS_PARAMETER: str(target)},
        tags=(names.TAG, names.bay_tag(ctx.bay.id)),  # somebody may have taken them off
        timeout_mins=ctx.bay.create_timeout or None,
        disable_rollback=True,
    )
    ctx.deps.cloud.stacks.forget(ctx.bay.project_id)
    return Done(memo={**anew(), _CHANGED: True, "seen_before": stack.seen})


async def _not_so(
    ctx: StepContext[Deps], stack: Stack, now: Scene, stay: Sequence[Master], target: int
) -> Outcome | None:
    """Why the masters that would go are not those that may: one has not taken leave yet, or Heat keeps others."""
    if await unrecorded(ctx, stack, now.masters, target):
        return Back("resize_masters.leave", 0, memo={LEAVING: "", LEAVER: ""})
    if [one.position for one in stay] == list(range(target)):
        return None
    names = ", ".join(one.name for one in stay)
    why = f"{names} are to stay, and Heat keeps the first {target} masters. Nothing was changed."
    return Broke(why, apply=masters_settled(ctx))
