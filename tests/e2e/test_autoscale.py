"""A bay that is scaled by itself, from its label to its servers and back: everything real but the bay's own API, which
the simulated cloud plays over TLS with the bay's own certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from tests.e2e.engines import Engine, open_engine
from tests.support.jobs import reason, settled
from tests.support.queues import workers_of
from tests.support.wire import Wire, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 90.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=20, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[Wire]:
    async with wires(stack, "demo") as (demo,):
        yield demo


async def test_a_bay_follows_its_work_out_and_in(stack: LocalStack, demo: Wire) -> None:
    """Three pods that want most of a core each, on servers of one core; then one, and nobody waits ten minutes."""
    labels = {"auto_scaling_enabled": "true", "max_node_count": "4"}
    bay = await demo.create(node_count=1, labels=labels)
    assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
    engine = await open_engine(stack, demo.client, bay)
    await engine.do("add_deployment", name="web", replicas=3, cpu="600m")
    await _serving(engine, 3)
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert len(await workers_of(stack, bay)) == 3
    grown = (await _decisions(demo, bay))[-1]
    assert (grown["node_count"], grown["desired"]) == (1, 3)
    assert grown["reason"].endswith(" for room; 2 more nodes fit them.")
    resize = next(one for one in await _operations(demo, bay) if one["id"] == grown["operation_id"])
    assert (resize["kind"], resize["state"], resize["requested_by"]) == ("resize", "done", "service:scaler")

    policy = {"quiet_seconds": 0, "scale_in_cooldown_seconds": 0}
    await engine.do("scale", name="web", replicas=1)
    answer = await demo("PUT", f"/v1/clusters/{bay}/scaling_policy", policy)
    assert answer.status_code == 200, answer.text
    async with asyncio.timeout(PATIENCE):
        while len(await workers_of(stack, bay)) > 1:
            await asyncio.sleep(0.2)
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    await _serving(engine, 1)
    shrunk = (await _decisions(demo, bay))[0]
    assert shrunk["desired"] == 1
    assert shrunk["reason"].endswith("what runs fits on 1 node.")


async def _serving(engine: Engine, number: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(await engine.ready_pods("web")) != number:
            await asyncio.sleep(0.2)


async def _decisions(demo: Wire, bay: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await demo.get(f"/v1/clusters/{bay}/scaling_decisions"))["scaling_decisions"]
    return found


async def _operations(demo: Wire, bay: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await demo.get(f"/v1/clusters/{bay}/operations"))["operations"]
    return found
