"""Healing a node: its server is restarted, and if that does not help replaced.

The replacement of a worker is a resize to the same count that names it (docs/decisions/0010), by the same functions.
A master is only restarted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.steps.collect import collect_resized
from services.provisioner.steps.follow import follow_stack
from services.provisioner.steps.gone import stands
from services.provisioner.steps.resize import resize_stack
from services.provisioner.steps.shards import settle_shards
from shared.db.repositories import health
from shared.domain.errors import CloudError
from shared.domain.heal_memo import DEAD, RECOVERED, node_of
from shared.openstack.nova import NovaClient, Server
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait

_BEFORE: Final = "reboots_before"
"""Where the operation remembers how often the server had been restarted before it was its turn."""
_CONFLICT: Final = 409


async def reboot_server(ctx: StepContext[Deps]) -> Outcome:
    """Restart the server, once; one that is gone or in ERROR is left for replacement."""
    node, nova = node_of(ctx.operation.request), ctx.deps.project(ctx.bay).nova
    server = await nova.show(node.server_id)
    if server is None or not stands(server):
        return _dead(ctx, "Nova does not have the server any more")
    if server.status == "ERROR":
        return _dead(ctx, f"The server is in ERROR: {server.fault}".rstrip(": "))
    return await _reboot(ctx, nova, server)


async def _reboot(ctx: StepContext[Deps], nova: NovaClient, server: Server) -> Outcome:
    """Nova's own record of what was done to a server tells whether an earlier try of ours got through (rule 4)."""
    done, before = await nova.reboots(server.id), ctx.operation.memo.get(_BEFORE)
    if not isinstance(before, int):
        return Wait(0, memo={_BEFORE: done})
    if done <= before:
        await ctx.guard()
        try:
            await nova.reboot(server.id)
        except CloudError as error:
            if error.status not in (404, _CONFLICT):
                raise
            return _dead(ctx, f"Nova does not restart the server: {error.message}")
    return _untold(ctx, Done(note="Restarted."))


def _dead(ctx: StepContext[Deps], why: str) -> Outcome:
    if node_of(ctx.operation.request).role == "master":
        return Broke(f"{why.rstrip('.')}, and a master that is lost has to be repaired by hand.")
    return _untold(ctx, Done(memo={DEAD: True}, note=f"Not restarted. {why}"))


def _untold(ctx: StepContext[Deps], done: Done) -> Done:
    """What the sweep saw of the server counts no more."""

    async def forget(conn: AsyncConnection) -> None:
        await health.forget_server(conn, ctx.bay.id, node_of(ctx.operation.request).name)

    return replace(done, apply=forget)


def _recovered(ctx: StepContext[Deps]) -> bool:
    return ctx.operation.memo.get(RECOVERED) is True


_NOTHING: Final = Done(note="Nothing to do: the restart was enough.")


async def replace_server(ctx: StepContext[Deps]) -> Outcome:
    """Replace the server in its stack."""
    return _NOTHING if _recovered(ctx) else await resize_stack(ctx)


async def follow_replacement(ctx: StepContext[Deps]) -> Outcome:
    """Wait for Heat."""
    return _NOTHING if _recovered(ctx) else await follow_stack(ctx)


async def settle_replacement(ctx: StepContext[Deps]) -> Outcome:
    """Change the further stacks."""
    return _NOTHING if _recovered(ctx) else await settle_shards(ctx)


async def collect_healed(ctx: StepContext[Deps]) -> Outcome:
    """Record what there is; who left is who was named, and nobody else."""
    return _NOTHING if _recovered(ctx) else await collect_resized(ctx)
