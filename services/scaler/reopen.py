"""Bringing nodes into order that an operation closed and which has ended.

Those that stay after all, because the operation failed or its process died, are opened again. Those whose server is
gone are struck off the engine's list. Both by rows that were written before anything was closed: what cannot be done
now is done later, and a bay that does not answer holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

import structlog

from services.scaler.factory import TURN_SECONDS, Deps
from services.scaler.steps.drain import mark_of
from services.scaler.struck import struck_off
from shared.coe.port import Coe
from shared.db.repositories import bays, drained, stacks
from shared.db.repositories.drained import Left
from shared.domain.bay import Bay
from shared.domain.errors import CloudError
from shared.runtime import failpoint
from shared.worker.app import Background

_log = structlog.get_logger()

EVERY: Final = 10.0
"""Seconds between two rounds when there is little to do: one query."""
AT_ONCE: Final = 16
"""Bays in one round."""
FIRST_RETRY, LONGEST_RETRY = 5.0, 600.0
"""Seconds after a try that failed; doubled with each."""


def loop(deps: Deps) -> Background:
    """The background loop."""

    async def run() -> None:
        while True:
            if await bring_into_order(deps) < AT_ONCE:
                await asyncio.sleep(EVERY * deps.settings.time_scale)

    return run


async def bring_into_order(deps: Deps) -> int:
    """One round: how many bays it was about."""
    async with deps.engine.begin() as conn:
        found = await drained.claim(conn, bays=AT_ONCE, lease_seconds=2 * TURN_SECONDS)
    by_bay = [list(left) for _, left in groupby(sorted(found, key=attrgetter("bay_id")), key=attrgetter("bay_id"))]
    await asyncio.gather(*(_bay(deps, left) for left in by_bay))
    return len(by_bay)


async def _bay(deps: Deps, left: Sequence[Left]) -> None:
    """What one bay has left; never raises, so that no other bay hears of it."""
    try:
        async with deps.engine.connect() as conn:
            bay = await bays.get(conn, left[0].bay_id)
        if bay is None:
            return
        async with deps.turn(bay) as coe:
            settled = await _settle(deps, coe, bay, left)
        failpoint.hit("scaler:reopened")
        async with deps.engine.begin() as conn:
            for one in settled:
                await drained.end(conn, one.bay_id, one.operation_id, [one.server_id])
    except CloudError as error:
        _log.info("nodes not opened again yet", bay=str(left[0].bay_id), reason=error.message)
        settled = []
    except Exception:
        _log.exception("nodes not opened again", bay=str(left[0].bay_id))
        settled = []
    await _later(deps, [one for one in left if one not in settled])


async def _later(deps: Deps, left: Sequence[Left]) -> None:
    if left:
        delay = min(FIRST_RETRY * 2.0 ** min(max(one.tries for one in left) - 1, 10), LONGEST_RETRY)
        async with deps.engine.begin() as conn:
            await drained.again(conn, left, delay * deps.settings.time_scale)


async def _settle(deps: Deps, coe: Coe, bay: Bay, left: Sequence[Left]) -> list[Left]:
    """Open those that stay and strike off those that have gone; the rows that are done with.

    First the engine is looked at, then whether an operation lives, then the bay's nodes are read: so whatever an
    operation has made that the look shows is recorded, or the operation is seen to live.
    """
    look = await coe.look()
    async with deps.engine.connect() as conn:
        live = await drained.has_live_operation(conn, bay.id)
        present = {node.server_id: look.find(node) for node in await stacks.nodes_of(conn, bay.id)}
    ours = {one.id for one in present.values() if one is not None}
    stays = [one for one in left if one.server_id in present]
    if shut := [node for one in stays if (node := present[one.server_id]) is not None]:
        await coe.open_nodes(shut, mark_of(bay))
    gone = [] if live else [one for one in left if one.server_id not in present]
    return [*stays, *await struck_off(coe, look, gone, ours)]
