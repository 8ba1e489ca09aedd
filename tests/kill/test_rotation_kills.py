"""SIGKILL at every point of a rotation: it ends well, and one credential is left in the cloud and in the database."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.domain.operation import OperationKind
from tests.e2e.nodes import PATIENCE, Node
from tests.e2e.rotating import Scene, report, scene
from tests.kill.points import ACCEPTANCE, BUSES, GATEWAY, all_struck, relay_points, step_points, struck_on
from tests.support.jobs import rows
from tests.support.servers import rabbitmq_or_skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bus", BUSES)
async def test_a_rotation_survives_death_at_every_point(bus: str, tmp_path: Path) -> None:
    kind = OperationKind.ROTATE_CREDENTIALS
    armed = struck_on(bus, [*step_points(kind), *relay_points(kind), *GATEWAY, *ACCEPTANCE])
    points = tmp_path / "points"
    points.mkdir()
    amqp_url = rabbitmq_or_skip("kill") if bus == "rabbitmq" else None
    more: dict[str, Any] = {"restart": True, "extra_environment": {"JEROBOAM_SWEEP_MINUTES": "2"}}
    async with scene(tmp_path / "stack", bus=bus, amqp_url=amqp_url, failpoint_dir=points, **more) as it:
        bay, nodes = await it.bay(workers=1)
        for point in armed:
            (points / point).touch()
            before = len(await operations(it, bay))
            while len(await operations(it, bay)) == before:  # as a person whose connection broke
                with suppress(httpx.HTTPError):
                    await it.demo("PATCH", f"/v1/credentials/{bay}")
            await agents_until_done(it, bay, nodes)
            await it.complete(bay, "UPDATE_COMPLETE")
            await all_struck(points)
            await one_is_left(it, point)


async def operations(it: Scene, bay: str) -> list[str]:
    found = await rows(it.stack, "SELECT state FROM operations WHERE bay_id = $1::uuid", bay)
    return [row["state"] for row in found]


async def agents_until_done(it: Scene, bay: str, nodes: list[Node]) -> None:
    """Every node takes what waits for it and says so, until the operation has ended."""
    async with asyncio.timeout(PATIENCE):
        while {"active", "queued"} & set(await operations(it, bay)):
            for node in nodes:
                with suppress(httpx.HTTPError, AssertionError):
                    waiting = (await node.call("GET", "/nodes/self")).json()["credential_generation"]
                    if waiting:
                        await report(node, waiting)
            await asyncio.sleep(0.2)


async def one_is_left(it: Scene, point: str) -> None:
    """Once the sweep has been there."""
    async with asyncio.timeout(PATIENCE):
        while len(await it.people.credentials()) != 1:
            await asyncio.sleep(0.5)
    kept = [row["name"] for row in await rows(it.stack, "SELECT name FROM cloud_credentials WHERE sealed IS NOT NULL")]
    assert set(kept) == await it.people.credentials(), point
