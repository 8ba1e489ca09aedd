"""The scaler's part of an upgrade: the new nodes are well before the old ones are drained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from services.scaler.factory import Deps, ours
from services.scaler.steps.drain import TRIES, TRY_SECONDS, drain_leaving
from services.scaler.steps.plan import REACHED, number_in
from services.scaler.struck import struck_off
from shared.coe.port import Coe, Look
from shared.db.repositories import drained, node_health, stacks
from shared.db.repositories.drained import Left
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from shared.domain.queue import nodegroup_of
from shared.domain.upgrade import POOL, read_batch
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait

_log = structlog.get_logger()

SETTLE_SECONDS: Final = 600.0
"""How long new nodes may take to be ready after Heat has made them, by Postgres's clock."""
LOOKS: Final = 5.0
"""Seconds between two looks."""
_GROW: Final = "upgrade.grow"
_TRIES: Final = "settle_tries"
_SHOWN: Final = 3
_ANSWERED: Final[Mapping[str, object]] = {REACHED: True}
_AGAIN: Final = "Nothing was drained. See to them, and ask for the same upgrade again."


async def settle_new(ctx: StepContext[Deps]) -> Outcome:
    """Wait until the bay's engine has every node of the new pool, ready and open for work, and no agent of them says
    otherwise."""
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id, nodegroup_of(ctx.operation.request))
        waited = (await node_health.since_step(conn, ctx.operation.id, _GROW)).total_seconds()
        new = [node for node in nodes if node.pool == ctx.operation.memo.get(POOL)]
        ill = await node_health.called_ill(conn, ctx.bay.id, [node.server_id for node in new])
        gone = await drained.gone(conn, ctx.bay.id, ctx.operation.id)
    if said := [f"{node.name} ({ill[node.server_id]})" for node in new if node.server_id in ill]:
        return _later(ctx, f"Not ready, as their agents say: {_listed(said)}.", waited, {})
    if (why := ctx.deps.access.unreachable(ctx.bay)) is not None:
        return Done(note=f"Heat says that the new nodes are up; the bay was not asked: {why}")
    try:
        async with ctx.deps.turn(ctx.bay) as coe:
            look = await coe.look()
            await _forget(ctx, coe, look, gone)
    except CloudError as error:
        if ours(error):
            raise
        return _unanswered(ctx, error, waited)
    if not (unwell := _unwell(look, new)):
        return Done(memo={REACHED: True, _TRIES: 0}, note=f"{len(new)} new nodes are ready.")
    return _later(ctx, f"Not ready: {unwell}.", waited)


async def _forget(ctx: StepContext[Deps], coe: Coe, look: Look, gone: Sequence[Left]) -> None:
    """Strike off whom earlier batches have removed; what cannot be done now is left for the end of the upgrade.

    Every server that this operation has made is recorded by now, so none of them is meant.
    """
    if not gone:
        return
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    ours = {one.id for node in nodes if (one := look.find(node)) is not None}
    try:
        done = await struck_off(coe, look, gone, ours)
    except CloudError as error:
        _log.info("nodes not struck off yet", bay=str(ctx.bay.id), reason=error.message)
        return
    async with ctx.deps.engine.begin() as conn:
        await drained.end(conn, ctx.bay.id, ctx.operation.id, [one.server_id for one in done])


def _unanswered(ctx: StepContext[Deps], error: CloudError, waited: float) -> Outcome:
    """The engine does not answer: one that never did in this operation is taken as it is (docs/decisions/0017)."""
    tries = number_in(ctx, _TRIES) + 1
    if ctx.operation.memo.get(REACHED) is True:
        return _later(ctx, error.message, waited)
    if error.retryable and tries < TRIES:
        note = f"{error.message} Trying again to reach the bay."
        return Wait(TRY_SECONDS * ctx.deps.settings.time_scale, note=note, memo={_TRIES: tries})
    return Done(memo={_TRIES: 0}, note=f"Heat says that the new nodes are up; the bay did not: {error.message}")


def _later(ctx: StepContext[Deps], note: str, waited: float, memo: Mapping[str, object] = _ANSWERED) -> Outcome:
    scale = ctx.deps.settings.time_scale
    if waited >= SETTLE_SECONDS * scale:
        return Broke(f"The new nodes did not become ready within {SETTLE_SECONDS / 60:.0f} minutes. {note} {_AGAIN}")
    return Wait(LOOKS * scale, note=note, memo=memo)


def _unwell(look: Look, nodes: Sequence[Node]) -> str:
    """Those that are not ready, and why; empty when all are."""
    seen = [(node, look.find(node)) for node in nodes]
    said = [
        f"{node.name} ({'unknown to the bay' if one is None else one.problem or 'not ready'})"
        for node, one in seen
        if one is None or not one.ready
    ]
    return _listed(said)


def _listed(said: Sequence[str]) -> str:
    more = [f"and {len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
    return ", ".join([*said[:_SHOWN], *more])


async def drain_replaced(ctx: StepContext[Deps]) -> Outcome:
    """Move the work away from the nodes that are replaced, as from nodes that leave by a resize."""
    batch = read_batch(ctx.operation.memo)
    return Done() if batch is None or not batch.leave else await drain_leaving(ctx)
