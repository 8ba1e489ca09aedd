"""SIGKILL at every point of a healing: who was dead is restarted once and replaced once, and everybody else stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.domain.operation import OperationKind
from tests.e2e.healing import Patients, patients
from tests.kill.conftest import killable
from tests.kill.points import BUSES, all_struck, relay_points, step_points, struck_on
from tests.support.jobs import control, reason, rows, settled
from tests.support.wire import wires

BAYS = 4
"""They share the deaths: one bay alone would wait for a lease again and again."""
KIND = OperationKind.HEAL
POINTS = [*step_points(KIND), *(point for point in relay_points(KIND) if not point.startswith("api:"))]
RESUME_WITHIN = 180.0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bus", BUSES)
async def test_a_healing_survives_death_at_every_point(bus: str, tmp_path: Path) -> None:
    points = struck_on(bus, POINTS)
    async with killable(tmp_path, bus) as (stack, armed), wires(stack, "demo") as (demo,):
        them = [await patients(stack, demo, 3) for _ in range(BAYS)]
        before = [await it.workers() for it in them]
        for point in points:
            (armed / point).touch()
        for it, (dead, *_) in zip(them, before, strict=True):
            await it.falls_silent(dead)
        async with asyncio.timeout(RESUME_WITHIN):
            while not all([await it.heals() for it in them]):
                await asyncio.sleep(0.2)
        for it, (dead, *_) in zip(them, before, strict=True):
            await it.report(dead)  # the others live on
        for it, (dead, *others) in zip(them, before, strict=True):
            await _heals(it, dead, others)
        await all_struck(armed)
        state = await control(stack, "/state?kind=server")
        known = {one["server_id"] for one in await rows(stack, "SELECT server_id FROM nodes")}
        assert {one["id"] for one in state["records"]["server"]} == known
        assert await rows(stack, "SELECT reason FROM dead_letters") == []
        asked = (await control(stack, "/requests?service=compute&method=POST"))["requests"]
        restarts = sum(one["count"] for one in asked if one["path"].endswith("/action"))
        assert restarts == BAYS, "each once"


async def _heals(it: Patients, dead: str, others: list[str]) -> None:
    ended = await settled(it.demo.client, it.bay, seconds=RESUME_WITHIN)
    assert ended == "UPDATE_COMPLETE", await reason(it.demo.client, it.bay)
    after = await it.workers()
    assert (len(after), set(others) < set(after), dead in after) == (3, True, False)
    assert await it.heals() == ["done"]
