"""SIGKILL at every point of an upgrade: it goes on with the pool that it made, and no server is there twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from services.cli.stack import LocalStack
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from tests.e2e.engines import open_engine
from tests.kill.conftest import killable
from tests.kill.points import BUSES, GATEWAY, all_struck, relay_points, step_points, struck_on
from tests.support.jobs import control, reason, rows, settled
from tests.support.wire import Wire, wires

KIND = OperationKind.UPGRADE
POINTS = [*step_points(KIND), *relay_points(KIND), *GATEWAY]
BAYS = 2
AT_ONCE = 11
"""Points armed for one upgrade; the long form has two."""
WITHIN = 240.0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bus", BUSES)
async def test_an_upgrade_goes_on_through_every_death(bus: str, tmp_path: Path) -> None:
    points = struck_on(bus, POINTS)
    async with killable(tmp_path, bus) as (stack, armed), wires(stack, "demo") as (demo,):
        models = [await demo.template(flavor_id=flavor) for flavor in ("m1.medium", "m1.small")]
        bays = await asyncio.gather(*(_bay(stack, demo) for _ in range(BAYS)))
        upgrades = -(-len(points) // AT_ONCE)
        for number in range(upgrades):
            before = {bay: await _workers(stack, bay) for bay in bays}
            wave = points[number::upgrades]
            for point in wave:
                (armed / point).touch()
            await asyncio.gather(*(_ask(demo, bay, models[number]) for bay in bays))
            ends = await asyncio.gather(*(settled(demo.client, bay, seconds=WITHIN) for bay in bays))
            for bay, end in zip(bays, ends, strict=True):
                assert end == "UPDATE_COMPLETE", (wave, await reason(demo.client, bay))
                await _is_whole(stack, bay, before[bay])
                shown = await demo.get(f"/v1/clusters/{bay}")
                assert (shown["node_count"], shown["cluster_template_id"]) == (2, models[number])
            await all_struck(armed)


async def _bay(stack: LocalStack, demo: Wire) -> str:
    """Two workers, with work on them."""
    bay = await demo.create(node_count=2)
    assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
    engine = await open_engine(stack, demo.client, bay)
    await engine.do("add_deployment", name="web", replicas=2)
    return bay


async def _ask(demo: Wire, bay: str, model: str) -> None:
    """Accepted; or, where the gateway died after it had accepted, under way already."""
    body = {"cluster_template": model, "nodegroup": "default-worker"}
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.HTTPError, CloudError):
                answer = await demo("POST", f"/v1/clusters/{bay}/actions/upgrade", body)
                if answer.status_code < 500:
                    assert answer.status_code == 202 or "under way" in answer.text, answer.text
                    return
            await asyncio.sleep(0.2)


async def _is_whole(stack: LocalStack, bay: str, before: list[str]) -> None:
    """Two new workers in one new pool; and the cloud has their servers, the master's, and their stack alone."""
    known = await rows(stack, "SELECT server_id, role, pool FROM nodes WHERE bay_id = $1::uuid", bay)
    workers = [one for one in known if one["role"] == "worker"]
    assert len(workers) == 2
    assert not {*before} & {one["server_id"] for one in workers}
    pools = await rows(stack, "SELECT number FROM node_pools WHERE bay_id = $1::uuid", bay)
    assert [one["number"] for one in pools] == [workers[0]["pool"]] == [workers[1]["pool"]]
    mark = UUID(bay).hex[:12]
    servers = (await control(stack, "/state?kind=server"))["records"]["server"]
    assert {one["id"] for one in servers if mark in one["name"]} == {one["server_id"] for one in known}
    stacks = [one for one in (await control(stack, "/heat/stacks"))["stacks"] if one["parent"] is None]
    assert len([one for one in stacks if mark in one["stack_name"]]) == 2


async def _workers(stack: LocalStack, bay: str) -> list[str]:
    query = "SELECT server_id FROM nodes WHERE role = 'worker' AND bay_id = $1::uuid"
    return [row["server_id"] for row in await rows(stack, query, bay)]
