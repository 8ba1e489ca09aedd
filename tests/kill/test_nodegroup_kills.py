"""A nodegroup comes, changes and goes while processes kill themselves at every point of a resize."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli.stack import LocalStack
from shared.domain.operation import OperationKind
from tests.kill.conftest import killable
from tests.kill.points import a_third, all_struck, everything, relay_points, step_points
from tests.support.jobs import cloud_counts, control, reason, rows, settled
from tests.support.wire import Wire, wires

WAVE = 2
"""Points armed at once, each with a bay of its own in flight."""
RESUME_WITHIN = 90.0


@pytest.mark.timeout(1200)
async def test_a_nodegroup_survives_a_kill_at_every_point(tmp_path: Path) -> None:
    points = [*step_points(OperationKind.RESIZE), *relay_points(OperationKind.RESIZE)]
    async with killable(tmp_path, "postgres") as (stack, folder), wires(stack, "demo") as (demo,):
        run = _Run(stack, folder, demo)
        before = await cloud_counts(stack)
        await run.prepare()
        waves = _waves(points if everything() else a_third(points))
        changes = (run.create, run.grow, run.shrink, run.delete)
        for number, wave in enumerate(waves):
            for change in changes if everything() else [changes[number % len(changes)]]:
                await run.wave(wave, change)
        await run.finish(before)


class _Run:
    def __init__(self, stack: LocalStack, points: Path, demo: Wire) -> None:
        self.stack, self.points, self.demo = stack, points, demo
        self.bays: list[str] = []

    async def prepare(self) -> None:
        model = await self.demo.template()
        self.bays = [await self.demo.create(name=f"k{one}", cluster_template_id=model) for one in range(WAVE)]
        for bay in self.bays:
            assert await settled(self.demo.client, bay, seconds=RESUME_WITHIN) == "CREATE_COMPLETE"

    async def wave(self, points: list[str], change: Any) -> None:
        for point in points:
            (self.points / point).touch()
        wanted = await asyncio.gather(*(change(bay) for bay in self.bays))
        for bay, count in zip(self.bays, wanted, strict=True):
            end = await settled(self.demo.client, bay, seconds=RESUME_WITHIN)
            assert end == "UPDATE_COMPLETE", (points, bay, end, await reason(self.demo.client, bay))
            await self.is_whole(bay, count)
        await all_struck(self.points)

    async def is_whole(self, bay: str, count: int) -> None:
        """As many servers as nodes, and stacks as there are pools with nodes."""
        listed = await self.ask("GET", f"/v1/clusters/{bay}/nodegroups")
        groups = {one["name"]: one for one in listed.json()["nodegroups"]}
        assert ("more" in groups) == bool(count)
        query = "SELECT s.server_id, b.stack_name FROM nodes s JOIN bays b ON b.id = s.bay_id WHERE b.id = $1"
        known = await rows(self.stack, query, bay)
        assert len(known) == 2 + count
        servers = (await control(self.stack, "/state?kind=server"))["records"]["server"]
        first = known[0]["stack_name"]
        assert {one["id"] for one in servers if first in one["name"]} == {one["server_id"] for one in known}
        top = [
            one["stack_name"] for one in (await control(self.stack, "/heat/stacks"))["stacks"] if one["parent"] is None
        ]
        assert len([name for name in top if name.startswith(first)]) == 1 + bool(count)

    async def create(self, bay: str) -> int:
        await self.ask("POST", f"/v1/clusters/{bay}/nodegroups", {"name": "more", "node_count": 1})
        return 1

    async def grow(self, bay: str) -> int:
        await self.ask("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 3, "nodegroup": "more"})
        return 3

    async def shrink(self, bay: str) -> int:
        await self.ask("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 2, "nodegroup": "more"})
        return 2

    async def delete(self, bay: str) -> int:
        await self.ask("DELETE", f"/v1/clusters/{bay}/nodegroups/more")
        return 0

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Sent again while the gateway is being restarted; what was accepted before is accepted again, or is there."""
        async with asyncio.timeout(RESUME_WITHIN):
            while True:
                try:
                    answer = await self.demo(method, path, body)
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code < 500:
                    assert answer.is_success or answer.status_code in (404, 409), answer.text
                    return answer
                await asyncio.sleep(0.2)

    async def finish(self, before: dict[str, int]) -> None:
        for bay in self.bays:
            await self.ask("DELETE", f"/v1/clusters/{bay}")
            assert await settled(self.demo.client, bay, seconds=RESUME_WITHIN) == ""
        assert await cloud_counts(self.stack) == before
        for table in ("nodegroups", "node_pools", "nodes", "stack_renders", "dead_letters"):
            assert await rows(self.stack, f"SELECT * FROM {table}") == [], table


def _waves(points: list[str]) -> list[list[str]]:
    return [points[start : start + WAVE] for start in range(0, len(points), WAVE)]
