"""The stack's part of another number of masters: the parameter, a rehearsal before it, and what stands afterwards.

No server is ever named to Heat: the group gives up its highest index, which is the master that has taken leave, and
takes the same index again when it grows. Nothing but the count and the mark changes (rule 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import Broken
from services.provisioner.steps.create import rotated
from services.provisioner.steps.follow import follow_stack, lost
from services.provisioner.steps.rehearsal import harm
from services.provisioner.steps.revive import may_revive
from services.provisioner.steps.stall import anew, listen
from shared.db.repositories import drift, masters
from shared.db.repositories.masters import LEAVING, Master
from shared.domain import names
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from shared.domain.queue import master_count_of
from shared.drivers.contract import MARK_PARAMETER, MASTERS_PARAMETER, BayOutputs
from shared.openstack.heat import HeatClient
from shared.openstack.nova import Server
from shared.openstack.stacks import Stack
from shared.worker.outcome import Apply, Broke, Done, Outcome, StepContext, Wait

TARGET: Final = "target"
"""In the memo: the number of masters that is next."""
_CHANGED: Final = "changed"
_ENDING: Final = "ending"
"""In the memo: for which number of masters Nova was asked to delete those that are too many."""
_WORKERS: Final = ("nodes", "node_details")


@dataclass(frozen=True)
class Scene:
    """What stands."""

    masters: list[Master]
    """As recorded, in the order of their indices."""
    wanted: int


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
    asked = ctx.operation.memo.get(_ENDING) == target
    if asked and (those := await _surplus(ctx, now, stack, target)):
        return _still_there(ctx, those)
    mark = await rotated(ctx) | {MARK_PARAMETER: str(ctx.operation.id)}
    if refusal := harm(await heat.preview_update(stack.id, parameters=mark), 0, Broken()):
        return Broke(f"{refusal} Nothing was changed.", apply=masters_settled(ctx))
    if not asked and (those := await _surplus(ctx, now, stack, target)):
        for one in those:
            await ctx.guard()
            await ctx.deps.project(ctx.bay).nova.delete(one.id)
        return Wait(0, note=f"Nova deletes {_names(those)}.", memo={_ENDING: target})
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


async def _surplus(ctx: StepContext[Deps], now: Scene, stack: Stack, target: int) -> list[Server]:
    """Servers of masters that are to go: the one that has taken leave, and those whose making failed.

    They go before the stack is changed. Their ports are a group of their own, on which the masters depend, so Heat
    deletes the ports first, and Neutron lets nobody but a service take a port from a server that lives. Of a server
    that is gone Heat deletes the rest without complaint.
    """
    if int(stack.parameters.get(MASTERS_PARAMETER) or target) <= target:
        return []
    stay = {one.server_id for one in now.masters} - {str(ctx.operation.memo.get(LEAVING))}
    marks = {"jeroboam_bay": str(ctx.bay.id), "jeroboam_role": "master"}
    return [one for one in await ctx.deps.project(ctx.bay).nova.servers(metadata=marks) if one.id not in stay]


def _still_there(ctx: StepContext[Deps], those: Sequence[Server]) -> Outcome:
    if ctx.operation.overdue:
        why = f"Nova has not deleted {_names(those)} in time. See to that, and resize again."
        return Broke(why, apply=masters_settled(ctx))
    return Wait(ctx.deps.settings.poll_seconds, note=f"Nova deletes {_names(those)}.")


def _names(servers: Iterable[Server]) -> str:
    return ", ".join(one.name for one in servers)


async def outputs_of(ctx: StepContext[Deps]) -> BayOutputs:
    """The stack's outputs without the workers, who are not looked at here.

    Raises:
        CloudError: Heat does not answer, or its outputs make no sense yet (then it is retryable).
    """
    stack_id = ctx.bay.stack_id or ""
    values = await ctx.deps.project(ctx.bay).heat.outputs(stack_id)
    if values is None:
        raise CloudError(f"Stack with id {stack_id} not found in Heat.", service="orchestration", status=404)
    try:
        return ctx.deps.driver(ctx.bay).read_outputs({**values, **{name: {} for name in _WORKERS}})
    except ValueError as error:
        raise CloudError(
            f"The outputs of stack {ctx.bay.stack_name} cannot be read: {error}",
            service="orchestration",
            retryable=True,
            resource=stack_id,
        ) from error


def recorded(ctx: StepContext[Deps], outputs: BayOutputs) -> Apply:
    """The writes that make our record of the masters equal to what the stack shows."""
    found = [
        Node(one.server_id, one.role, one.index, one.name, one.address, one.private_address) for one in outputs.nodes
    ]
    seen = ctx.operation.memo.get("stack_seen")

    async def record(conn: AsyncConnection) -> None:
        await masters.replace(conn, ctx.bay.id, found, outputs.master_addresses, outputs.api_address)
        if isinstance(seen, str):
            await drift.remember(conn, ctx.bay.id, seen)

    return record


def masters_settled(ctx: StepContext[Deps], outputs: BayOutputs | None = None) -> Apply:
    """What is written at the end: the masters that the stack shows, if it was asked, and their number as the bay's."""
    record = None if outputs is None else recorded(ctx, outputs)

    async def settle(conn: AsyncConnection) -> None:
        if record is not None:
            await record(conn)
        await masters.settle_count(conn, ctx.bay.id)

    return settle
