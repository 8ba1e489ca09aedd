"""SIGKILL at every point of choosing and draining: the right nodes leave, the others work, nothing stays closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from shared.domain.operation import FLOWS, OperationKind, Service, Step
from tests.e2e.engines import Engine, open_engine
from tests.kill.conftest import killable
from tests.kill.points import all_struck, step_points
from tests.support.jobs import patient, reason, rows, settled
from tests.support.queues import workers_of
from tests.support.wire import Wire, wires

INSIDE = ("scaler:drain_noted", "scaler:nodes_closed")
"""Between the row and the closing, and between the closing and the first eviction."""
GIVEN_UP = "scaler:given_up"
SWEPT = "scaler:reopened"
"""Opened again by the step and by the sweep, and nothing written of that."""
WITHIN = 90.0


@pytest.mark.timeout(900)
async def test_a_drain_survives_death_at_every_point(tmp_path: Path) -> None:
    own = {step.name for step in _scalers_steps()}
    points = [*(one for one in step_points(OperationKind.RESIZE) if one.rpartition(":")[0] in own), *INSIDE, SWEPT]
    async with killable(tmp_path, "postgres") as (stack, armed), wires(stack, "demo") as (demo,):
        bays = await asyncio.gather(*(_bay(stack, demo) for _ in range(len(points) // 2)))  # each meets two deaths
        for point in points:
            (armed / point).touch()
        keeps = [await _idle_leaves(stack, demo, bay, engine) for bay, engine in bays]
        ends = await asyncio.gather(*(settled(demo.client, bay, seconds=WITHIN) for bay, _ in bays))
        for (bay, engine), end, kept in zip(bays, ends, keeps, strict=True):
            assert end == "UPDATE_COMPLETE", await reason(demo.client, bay)
            assert await workers_of(stack, bay) == [kept]
            assert len(await engine.ready_pods("web")) == 1
        await _in_order(stack, [engine for _, engine in bays])
        await all_struck(armed)


@pytest.mark.timeout(900)
async def test_a_drain_that_fails_opens_its_nodes_whoever_dies(tmp_path: Path) -> None:
    """One of the bays is not there any more when its nodes are to be opened: the sweep does that later."""
    points = [GIVEN_UP, SWEPT, *INSIDE, *(f"resize.drain:{phase}" for phase in ("after_effect", "after_commit"))]
    async with killable(tmp_path, "postgres") as (stack, armed), wires(stack, "demo") as (demo,):
        bays = await asyncio.gather(*(_bay(stack, demo, drain_timeout="3") for _ in range(3)))
        lost, away = bays[0]
        for _, engine in bays:
            await engine.do("add_budget", name="web-budget", app="web", min_available=1)
        servers = {bay: await workers_of(stack, bay) for bay, _ in bays}
        await demo.resize(lost, 0)
        await _reached(stack, lost)
        await away.do("misbehave", kind="drop")
        for point in points:
            (armed / point).touch()
        for bay, _ in bays[1:]:
            await demo.resize(bay, 0)
        ends = await asyncio.gather(*(settled(demo.client, bay, seconds=WITHIN) for bay, _ in bays))
        for (bay, engine), end in zip(bays, ends, strict=True):
            assert end == "UPDATE_FAILED"
            assert engine is away or "web-budget" in await reason(demo.client, bay)
            assert await workers_of(stack, bay) == servers[bay]
            assert len(await engine.ready_pods("web")) == 1
        await away.do("behave")
        await _in_order(stack, [engine for _, engine in bays])
        await all_struck(armed)


async def _bay(stack: LocalStack, demo: Wire, **labels: str) -> tuple[str, Engine]:
    """Two workers, on one of which something runs."""
    bay = await demo.create(node_count=2, **({"labels": labels} if labels else {}))
    assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
    engine = await open_engine(stack, demo.client, bay)
    await engine.do("add_deployment", name="web", replicas=1)
    return bay, engine


async def _idle_leaves(stack: LocalStack, demo: Wire, bay: str, engine: Engine) -> str:
    """Ask for one worker less; the server of the one that has work, and so is to stay."""
    (pod,) = await engine.ready_pods("web")
    query = "SELECT server_id FROM nodes WHERE bay_id = $1::uuid AND name = $2"
    (busy,) = await rows(stack, query, bay, pod["node"])
    await patient(demo.client.resize_bay, bay, 1)
    return str(busy["server_id"])


async def _reached(stack: LocalStack, bay: str) -> None:
    """Until a pass over its nodes has been written down."""
    query = "SELECT id FROM operations WHERE bay_id = $1::uuid AND memo @> '{\"coe_reached\": true}'"
    async with asyncio.timeout(WITHIN):
        while not await rows(stack, query, bay):
            await asyncio.sleep(0.05)


async def _in_order(stack: LocalStack, engines: list[Engine]) -> None:
    """Until every engine has the nodes that stand, open, and no row says otherwise."""
    async with asyncio.timeout(WITHIN):
        while await rows(stack, "SELECT name FROM drained_nodes"):
            await asyncio.sleep(0.2)
    for engine in engines:
        assert await engine.closed() == set()
        assert all(node["ready"] == "True" for node in (await engine.nodes()).values())


def _scalers_steps() -> list[Step]:
    return [step for step in FLOWS[OperationKind.RESIZE].steps if step.service is Service.SCALER]
