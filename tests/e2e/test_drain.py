"""Shrinking a bay without hurting what runs in it: everything real but the bay's own API, which the simulated cloud
plays over TLS with the bay's own certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from tests.e2e.engines import Engine, open_engine
from tests.support.jobs import reason, rows, settled
from tests.support.queues import shape, workers_of
from tests.support.wire import Wire, until_ended, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEED = 20
STEP = "resize.drain"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[Wire]:
    async with wires(stack, "demo") as (demo,):
        yield demo


async def test_the_idle_node_leaves_and_the_engine_forgets_it(stack: LocalStack, demo: Wire) -> None:
    bay, engine = await _bay(stack, demo, 3)
    await engine.do("add_daemonset", name="flannel")
    await engine.do("add_deployment", name="web", replicas=2)
    busy = {one["node"] for one in await engine.ready_pods("web")}
    (idle,) = await _workers(stack, bay) - busy
    assert await _resized(demo, bay, 2) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert await _workers(stack, bay) == busy
    assert (await shape(demo, stack, bay))[:2] == (2, 2)
    assert await _notes(demo, bay) == {"resize.plan": f"{idle} is idle", STEP: f"Drained: {idle}."}
    await engine.until(lambda nodes: idle not in nodes)
    assert await engine.closed() == set()


async def test_a_budget_that_allows_nothing_keeps_the_node(stack: LocalStack, demo: Wire) -> None:
    """The resize fails with its name, nothing is lost, and the node takes work again; then there is room."""
    bay, engine = await _bay(stack, demo, 2, drain_timeout="2")
    await engine.do("add_deployment", name="web", replicas=2)
    await engine.do("add_budget", name="web-budget", app="web", min_available=2)
    before = await engine.ready_pods("web")
    servers = await workers_of(stack, bay)
    await demo.resize(bay, 1, servers[0])
    assert await settled(demo.client, bay) == "UPDATE_FAILED"
    told = await reason(demo.client, bay)
    assert told.startswith("After 2 s 1 pod left on ")
    assert "default/web-" in told
    assert "web-budget" in told
    assert await engine.ready_pods("web") == before
    assert await workers_of(stack, bay) == servers
    await engine.until(lambda nodes: not any(node["closed"] for node in nodes.values()))
    await engine.do("scale", name="web", replicas=3)
    assert await _resized(demo, bay, 1, servers[0]) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert await workers_of(stack, bay) == servers[1:]
    assert len(await engine.ready_pods("web")) == 3


async def test_by_force_it_goes_all_the_same(stack: LocalStack, demo: Wire) -> None:
    bay, engine = await _bay(stack, demo, 2, drain_timeout="1", drain_on_timeout="force")
    await engine.do("add_deployment", name="web", replicas=2)
    await engine.do("add_budget", name="web-budget", app="web", min_available=2)
    servers = await workers_of(stack, bay)
    assert await _resized(demo, bay, 1, servers[0]) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert await workers_of(stack, bay) == servers[1:]
    assert len(await engine.ready_pods("web")) == 2


async def test_no_pod_is_lost_below_its_budget(stack: LocalStack, demo: Wire) -> None:
    """Three nodes of four leave; pods take their time to start and to end; four of five must serve at every moment."""
    bay, engine = await _bay(stack, demo, 4, start_seconds=10, stop_seconds=5)
    await engine.do("add_deployment", name="web", replicas=5)
    await engine.do("add_budget", name="web-budget", app="web", min_available=4)
    async with asyncio.timeout(30):
        while len(await engine.ready_pods("web")) < 5:
            await asyncio.sleep(0.1)
    await demo.resize(bay, 1)
    fewest, ended = 5, asyncio.ensure_future(settled(demo.client, bay))
    while not ended.done():
        fewest = min(fewest, len(await engine.ready_pods("web")))
        await asyncio.sleep(0.02)
    assert await ended == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert fewest == 4
    assert len(await _workers(stack, bay)) == 1
    async with asyncio.timeout(30):
        while len(await engine.ready_pods("web")) < 5:
            await asyncio.sleep(0.1)


async def test_to_zero_and_back(stack: LocalStack, demo: Wire) -> None:
    bay, engine = await _bay(stack, demo, 2)
    await engine.do("add_deployment", name="web", replicas=2)
    assert await _resized(demo, bay, 0) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert (await shape(demo, stack, bay))[:2] == (0, 0)
    assert await engine.ready_pods("web") == []
    assert await _resized(demo, bay, 2) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert (await shape(demo, stack, bay))[:2] == (2, 2)
    async with asyncio.timeout(30):
        while len(await engine.ready_pods("web")) < 2:
            await asyncio.sleep(0.1)


async def test_who_leaves_as_well_because_the_record_was_old_is_drained_too(stack: LocalStack, demo: Wire) -> None:
    """The plan knew of two of the three nodes; that there is a third one shows before the stack is changed."""
    bay, engine = await _bay(stack, demo, 3)
    await engine.do("add_deployment", name="web", replicas=3)
    await engine.do("add_budget", name="web-budget", app="web", min_available=2)
    unknown = (await workers_of(stack, bay))[2]
    await rows(stack, "DELETE FROM nodes WHERE server_id = $1", unknown)
    await rows(stack, "UPDATE operations SET state = 'failed' WHERE bay_id = $1::uuid", bay)
    fewest, ended = 3, asyncio.ensure_future(_resized(demo, bay, 1))
    while not ended.done():
        fewest = min(fewest, len(await engine.ready_pods("web")))
        await asyncio.sleep(0.02)
    assert await ended == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert fewest >= 2
    assert (await shape(demo, stack, bay))[:2] == (1, 1)
    drained = (await _notes(demo, bay))[STEP].removeprefix("Drained: ").removesuffix(".").split(", ")
    assert len(drained) == 2
    assert not set(drained) & await _workers(stack, bay)


async def test_an_api_that_goes_away_meanwhile_fails_the_resize(stack: LocalStack, demo: Wire) -> None:
    """And when it is there again, the sweep opens what was closed."""
    bay, engine = await _bay(stack, demo, 2, drain_timeout="2")
    await engine.do("add_deployment", name="web", replicas=2)
    await engine.do("add_budget", name="web-budget", app="web", min_available=2)
    await demo.resize(bay, 1)
    await engine.until(lambda nodes: any(node["closed"] for node in nodes.values()))
    await engine.do("misbehave", kind="drop")
    assert await settled(demo.client, bay) == "UPDATE_FAILED"
    assert "could not be drained. The bay's Kubernetes did not answer" in await reason(demo.client, bay)
    assert len(await engine.closed()) == 1
    await engine.do("behave")
    await engine.until(lambda nodes: not any(node["closed"] for node in nodes.values()))


@pytest.mark.parametrize("kind", ["certificate", "rubbish"])
async def test_a_bay_whose_api_makes_no_sense_is_shrunk_undrained(stack: LocalStack, demo: Wire, kind: str) -> None:
    """And the step says so (docs/decisions/0017)."""
    bay, engine = await _bay(stack, demo, 2)
    await engine.do("misbehave", kind=kind)
    assert await _resized(demo, bay, 1) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert (await _notes(demo, bay))[STEP].startswith("Not drained: The bay's Kubernetes ")
    assert (await shape(demo, stack, bay))[:2] == (1, 1)


async def test_an_api_that_hangs_holds_up_no_other_bay(stack: LocalStack, demo: Wire) -> None:
    (sick, engine), (well, _) = await asyncio.gather(_bay(stack, demo, 2), _bay(stack, demo, 2))
    await engine.do("misbehave", kind="hang")
    await demo.resize(sick, 1)
    assert await _resized(demo, well, 1) == "UPDATE_COMPLETE", await reason(demo.client, well)
    assert (await demo.client.bay(sick)).status == "UPDATE_IN_PROGRESS"
    await engine.do("behave")
    assert await settled(demo.client, sick) == "UPDATE_COMPLETE", await reason(demo.client, sick)
    assert (await _notes(demo, sick))[STEP].startswith("Drained: ")


async def _bay(
    stack: LocalStack, demo: Wire, nodes: int, *, start_seconds: float = 0, stop_seconds: float = 0, **labels: str
) -> tuple[str, Engine]:
    """A bay whose Kubernetes can be asked."""
    bay = await demo.create(node_count=nodes, **({"labels": labels} if labels else {}))
    assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
    return bay, await open_engine(stack, demo.client, bay, start_seconds=start_seconds, stop_seconds=stop_seconds)


async def _resized(demo: Wire, bay: str, count: int, *named: str) -> str:
    await demo.resize(bay, count, *named)
    return await settled(demo.client, bay)


async def _workers(stack: LocalStack, bay: str) -> set[str]:
    found = await rows(stack, "SELECT name FROM nodes WHERE role = 'worker' AND bay_id = $1::uuid", bay)
    return {one["name"] for one in found}


async def _notes(demo: Wire, bay: str) -> dict[str, Any]:
    """What the scaler's steps of the last operation say."""
    last = (await until_ended(demo, bay))[-1]
    return {step["name"]: step["note"] for step in last["steps"] if step["service"] == "scaler"}
