"""Masters' servers that are to go: Nova deletes them before the stack is changed.

Their ports are a group of their own, on which the masters depend, so Heat deletes the ports first, and Neutron lets
nobody but a service take a port from a server that lives. Of a server that is gone Heat deletes the rest without
complaint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from services.provisioner.factory import Deps
from services.provisioner.steps.gone import stands
from services.provisioner.steps.masters_record import masters_settled
from services.provisioner.steps.stall import anew
from shared.db.repositories.masters import LEAVING
from shared.domain.errors import CloudError
from shared.openstack.nova import Server
from shared.worker.outcome import Broke, Outcome, StepContext, Wait

ENDING: Final = "ending"
"""In the memo: ids of the servers that Nova was asked to delete."""
_LOCKED: Final = 409
"""Nova's answer for a server that somebody has locked: it is not going to change by itself."""


async def surplus(ctx: StepContext[Deps], stay: Collection[str], target: int) -> list[Server]:
    """The one that has taken leave, and what Heat itself has lost of masters beyond `target`."""
    nova, beginning = ctx.deps.project(ctx.bay).nova, f"{(ctx.bay.stack_name or '').lower()}-master-"
    marks = {"jeroboam_bay": str(ctx.bay.id), "jeroboam_role": "master"}
    listed = await nova.servers(name_prefix=beginning, metadata=marks)
    found = {one.id: one for one in listed if one.id not in stay and _index(one.name, beginning) >= target}
    left = await nova.show(str(ctx.operation.memo[LEAVING])) if ctx.operation.memo.get(LEAVING) else None
    if left is not None:
        found[left.id] = left  # it may have another name by now
    return [one for one in found.values() if stands(one)]


async def end(ctx: StepContext[Deps], those: Sequence[Server]) -> Outcome:
    """Have Nova delete them. Who is out of time already does not begin with it."""
    if ctx.operation.overdue:
        why = "The time is up. No server was removed. Resize again."
        return Broke(why, apply=masters_settled(ctx))
    ids = [one.id for one in those]
    return await _delete(ctx, those) or Wait(0, note=_told(those), memo={**anew(), ENDING: ids})


async def ending(ctx: StepContext[Deps], asked: Iterable[object]) -> Outcome | None:
    """The wait for those that Nova was asked to delete; it is asked once more for those whose deletion failed."""
    nova = ctx.deps.project(ctx.bay).nova
    shown = [await nova.show(str(server_id)) for server_id in asked]
    those = [one for one in shown if one is not None and stands(one)]
    if not those:
        return None
    if ctx.operation.overdue:
        why = f"Nova has not deleted {_names(those)} in time. See to that, and resize again."
        return Broke(why, apply=masters_settled(ctx))
    failed = [one for one in those if one.status == "ERROR"]
    return await _delete(ctx, failed) or Wait(ctx.deps.settings.poll_seconds, note=_told(those))


async def _delete(ctx: StepContext[Deps], those: Sequence[Server]) -> Broke | None:
    for one in those:
        await ctx.guard()
        try:
            await ctx.deps.project(ctx.bay).nova.delete(one.id)
        except CloudError as error:
            if error.retryable and error.status != _LOCKED:
                raise
            why = f"Nova does not delete {one.name}: {error.message.rstrip('.')}. See to that, and resize again."
            return Broke(why, apply=masters_settled(ctx))
    return None


def _index(name: str, beginning: str) -> int:
    """Which master has this name; -1: none."""
    found = re.fullmatch(re.escape(beginning) + r"(\d+)", name)
    return int(found[1]) if found else -1


def _told(those: Iterable[Server]) -> str:
    return f"Nova deletes {_names(those)}."


def _names(servers: Iterable[Server]) -> str:
    return ", ".join(one.name for one in servers)
