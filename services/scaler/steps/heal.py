"""The scaler's part of healing a node."""

from __future__ import annotations

from typing import Final

from services.scaler.factory import Deps
from services.scaler.steps.drain import Terms, drain_pass
from services.scaler.steps.plan import REMOVE
from shared.db.repositories import node_health
from shared.domain.heal_memo import DEAD, RECOVERED, node_of
from shared.domain.healing import DRAIN, PATIENCE
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait

_REBOOT: Final = "heal.reboot"
LOOKS: Final = 10.0
"""Seconds between two looks whether a restarted node is well again."""
_TERMS: Final = Terms(DRAIN, force=True, known_ill=True)


async def watch_rebooted(ctx: StepContext[Deps]) -> Outcome:
    """Wait whether the restarted node says that it is well, for `PATIENCE`."""
    node, scale = node_of(ctx.operation.request), ctx.deps.settings.time_scale
    if ctx.operation.memo.get(DEAD) is True:
        return Done(note="It was not restarted.")
    async with ctx.deps.engine.connect() as conn:
        well = await node_health.recovered(conn, ctx.bay.id, node.server_id, ctx.operation.id, _REBOOT)
        waited = (await node_health.since_step(conn, ctx.operation.id, _REBOOT)).total_seconds()
    if well:
        return Done(memo={RECOVERED: True}, note=f"{node.name} is well again.")
    if waited < PATIENCE * scale:
        return Wait(min(LOOKS, PATIENCE - waited / scale) * scale, note=f"{node.name} was restarted.")
    why = f"{node.name} did not become well within {PATIENCE / 60:g} minutes of its restart"
    if node.role == "master":
        return Broke(f"{why}. It is a master, which is not replaced: it has to be repaired by hand.")
    return Done(note=f"{why}: it is replaced.")


async def drain_unhealthy(ctx: StepContext[Deps]) -> Outcome:
    """Move away what can be moved from a node that did not recover; what cannot goes down with it."""
    if ctx.operation.memo.get(RECOVERED) is True:
        return Done(note="Nothing to do: the restart was enough.")
    chosen = ctx.operation.memo.get(REMOVE)
    # Once the stack was found to be not as it was left, others may have to leave as well.
    servers = list(map(str, chosen)) if isinstance(chosen, list) else [node_of(ctx.operation.request).server_id]
    outcome = await drain_pass(ctx, servers, _TERMS)
    if isinstance(outcome, Broke):
        return Done(memo={REMOVE: servers}, note=f"Not drained. {outcome.reason}")
    if isinstance(outcome, Done):
        return Done(outcome.apply, {**outcome.memo, REMOVE: servers}, outcome.note)
    return outcome
