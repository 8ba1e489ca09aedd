"""Asking bays how they are of whom no agent says anything: those without agents, and those that have fallen silent.

Each is a row with the time of its next look (shared.db.repositories.checks), claimed in batches. It is asked every
60 s, and while nothing changes less and less often. A bay that hangs or lies holds up nobody: what is asked at once is
bounded, and each look is a turn of limited length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from services.scaler.factory import TURN_SECONDS, Deps, ours
from shared.db.repositories import bays, checks, health, node_health, stacks
from shared.db.repositories.checks import Check
from shared.domain.bay import Bay, Node
from shared.domain.errors import CloudError
from shared.domain.health import PROBLEM, READY, Conclusion, inaccessible, pulled
from shared.worker.app import Background

_log = structlog.get_logger()

SOONEST: Final = 60
"""Seconds between two looks at a bay that changes."""
LATEST: Final = 600
"""Seconds between two looks at one that does not."""
AT_ONCE: Final = 32
"""Bays that are asked at the same time."""
PAUSE: Final = 5.0
"""Seconds between two looks for what is due."""
_LEASE: Final = 2 * TURN_SECONDS


def loop(deps: Deps) -> Background:
    """The background loop: what is due is begun as soon as there is room, so a bay that hangs takes one place."""

    async def run() -> None:
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    await _keep_asking(deps, group)
            except Exception:  # the database was away; a cancellation ends the loop at once
                _log.exception("asking bays how they are failed")
                await asyncio.sleep(PAUSE * deps.settings.time_scale)

    return run


async def _keep_asking(deps: Deps, group: asyncio.TaskGroup) -> None:
    running: set[asyncio.Task[None]] = set()
    while True:
        for check in await claim(deps, AT_ONCE - len(running)):
            running.add(group.create_task(ask(deps, check)))
        pause = PAUSE * deps.settings.time_scale
        if running:
            _, running = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(pause)


async def claim(deps: Deps, limit: int) -> list[Check]:
    """Up to so many looks that are due."""
    if limit <= 0:
        return []
    async with deps.engine.begin() as conn:
        return await checks.claim(conn, "health", limit=limit, lease_seconds=_LEASE)


async def ask(deps: Deps, check: Check) -> None:
    """Ask one bay, and write what follows; never raises, so that no other hears of it."""
    try:
        async with deps.engine.connect() as conn:
            bay = await bays.get(conn, check.bay_id)
            nodes = await stacks.nodes_of(conn, check.bay_id)
        if bay is None:
            return
        found = await _ask(deps, bay)
        await _write(deps, check, bay, nodes, found)
    except CloudError as error:
        _log.info("bay not asked how it is", bay=str(check.bay_id), reason=error.message)
    except Exception:
        _log.exception("bay not asked how it is", bay=str(check.bay_id))


async def _ask(deps: Deps, bay: Bay) -> Mapping[str, str] | None:
    """What its engine says; None: it cannot be reached, or must not be.

    Raises:
        CloudError: it is not the bay that failed but we, so nothing follows; the look is repeated when its lease ends.
    """
    if not deps.access.reaches(bay):
        return None
    try:
        async with deps.turn(bay) as coe:
            return await coe.health()
    except CloudError as error:
        if ours(error):
            raise
        return None


async def _write(deps: Deps, check: Check, bay: Bay, nodes: list[Node], found: Mapping[str, str] | None) -> None:
    told: Conclusion = inaccessible(bay.name) if found is None else pulled(found)
    async with deps.engine.begin() as conn:
        if await bays.lock(conn, bay.id) is None:
            return
        held = (await node_health.standing(conn, [bay.id])).get(bay.id)
        changed = False
        if held is None or not (held.heard or held.held):
            await node_health.write_pulled(conn, bay.id, _by_server(nodes, found or {}))
            changed = bool(await health.conclude(conn, {bay.id: told}))
        every = SOONEST if changed else min(2 * check.every_seconds, LATEST)
        await checks.settle(conn, check, every_seconds=every, memo={})


def _by_server(nodes: list[Node], found: Mapping[str, str]) -> dict[str, str | None]:
    """The problem of each of our nodes that the engine knows, None of one that is ready."""
    names = {one.name: one for one in nodes} | {one.name.lower(): one for one in nodes}
    told: dict[str, str | None] = {}
    for key, ready in found.items():
        node = names.get(key.removesuffix(READY)) if key.endswith(READY) else None
        if node is not None:
            why = found.get(key.removesuffix(READY) + PROBLEM) or "its engine calls it not ready"
            told[node.server_id] = None if ready == "True" else why
    return told
