"""What follows for bays from what their nodes report; and which bays have to be asked themselves.

No bay has a task or a timer of its own. A round is one statement for all of them (`node_health.find`), by whichever
replica comes first; it finds the bays whose nodes are not as they are written down. Only those are looked at, a batch
at a time, each held while its nodes and what is concluded of them are written. What is the same is not written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from services.scaler import heal, health_pull
from services.scaler.factory import Deps
from shared.db.locks import alone
from shared.db.repositories import checks, health, node_health
from shared.db.repositories.node_health import Found
from shared.domain.healing import ROUND
from shared.domain.health import conclude
from shared.worker.app import Background

_log = structlog.get_logger()
_LOCK: Final = 0x68656C74
BATCH: Final = 200
"""Bays in one transaction."""


def loop(deps: Deps) -> Background:
    """The background loop."""

    async def run() -> None:
        while True:
            more = False
            try:
                async with alone(deps.engine, _LOCK) as mine:
                    if mine:
                        more = await look(deps)
                        await heal.plan(deps)
            except Exception:  # trouble must not end the rounds; a cancellation ends them at once
                _log.exception("round of health failed")
            if not more:
                await asyncio.sleep(ROUND * deps.settings.time_scale)

    return run


async def look(deps: Deps) -> bool:
    """One round over the reports; whether there was more to do than fits in one."""
    async with deps.engine.connect() as conn:
        found = await node_health.find(conn, BATCH)
    if not found:
        return False
    settled = await _settle(deps, found)
    return settled and len(found) == BATCH


async def _settle(deps: Deps, found: Sequence[Found]) -> bool:
    """Write down what was found of those bays that nobody else holds; whether it was any."""
    async with deps.engine.begin() as conn:
        held = set(await node_health.hold(conn, [one.bay_id for one in found]))
        mine = [one for one in found if one.bay_id in held]
        await checks.begin(conn, "health", [one.bay_id for one in mine if one.mute], health_pull.SOONEST)
        for one in mine:
            if one.heard:
                await checks.end(conn, "health", one.bay_id)
        ids = [one.bay_id for one in mine if one.differs or one.heard]
        if ids:
            await node_health.write(conn, ids)
            standing = await node_health.standing(conn, ids)
            # Of a bay of which nobody is heard its API tells, and while its owner's word counts nobody else.
            told = {bay: conclude(one.nodes) for bay, one in standing.items() if one.heard and not one.held}
            changed = await health.conclude(conn, told)
            for bay in ids:
                if bay not in standing or all(node.healthy for node in standing[bay].nodes):
                    await health.tell_healing(conn, bay, None)
    if ids:
        _log.info("health of bays concluded", bays=len(ids), changed=[str(bay) for bay in changed])
    return bool(mine)
