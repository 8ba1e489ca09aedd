"""A stack in which nodes fall silent: agents that are played, and a clock that is moved for what is written already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from services.cli.stack import LocalStack
from shared.domain.healing import ILL, PATIENCE
from tests.e2e.nodes import Node, nodes_of
from tests.support.jobs import control, reason, rows, settled
from tests.support.queues import workers_of
from tests.support.wire import Wire, wires

WITHIN = 60.0
SILENT = 400
"""Seconds; more than a node has that promised its next report within 240 s."""
SEEN = 100
"""Seconds since the others reported: so long that who did not get through has tried again."""


@dataclass
class Patients:
    """One bay and its nodes."""

    stack: LocalStack
    demo: Wire
    bay: str
    nodes: dict[str, Node] = field(default_factory=dict)
    """By server id, those that have a certificate."""

    async def meet(self) -> None:
        """Every node that is new gets its certificate."""
        for node in await nodes_of(self.stack, self.demo.client, self.bay):
            if node.server_id not in self.nodes:
                await node.insist(node.csr())
                self.nodes[node.server_id] = node

    async def report(self, *but: str) -> None:
        """All nodes that stand say that they are well, but those."""
        standing = {row["server_id"] for row in await self._rows("SELECT server_id FROM nodes WHERE bay_id = $1")}
        said = {"healthy": True, "revision": "x", "units": {}, "next_within": 240}
        for server, node in self.nodes.items():
            if server in standing and server not in but:
                assert (await node.call("PUT", "/nodes/self", said)).status_code == 204

    async def falls_silent(self, *servers: str) -> None:
        """These have said nothing for long enough."""
        await self.time_passes(SILENT - SEEN, *servers)

    async def time_passes(self, seconds: float, *servers: str) -> None:
        """These, or all, have said nothing for so much longer."""
        back = "reported_at - make_interval(secs => $2)"
        query = f"UPDATE node_reports SET reported_at = {back} WHERE bay_id = $1 AND server_id = ANY($3)"
        await self._rows(query, seconds, list(servers or self.nodes))

    async def patience_ends(self) -> None:
        """The restart was longer ago than a node gets for it."""
        await self._rows(
            "UPDATE operation_steps SET finished_at = finished_at - make_interval(secs => $2) "
            "WHERE name = 'heal.reboot' AND operation_id IN (SELECT id FROM operations WHERE bay_id = $1)",
            PATIENCE,
        )

    async def heals(self) -> list[str]:
        """How its healings stand."""
        query = "SELECT state FROM operations WHERE bay_id = $1 AND kind = 'heal' ORDER BY seq"
        return [row["state"] for row in await self._rows(query)]

    async def ill_for_long(self) -> None:
        """Whoever is ill has been so for longer than a node gets that says so itself."""
        await self._rows("UPDATE node_health SET since = since - make_interval(secs => $2) WHERE bay_id = $1", ILL)

    async def says(self, key: str, words: str) -> None:
        """Return when the reason of the health has these words."""
        async with asyncio.timeout(WITHIN):
            while words not in (await self.demo.get(f"/v1/clusters/{self.bay}"))["health_status_reason"].get(key, ""):
                await asyncio.sleep(0.1)

    async def at_heal(self) -> str:
        """The server whose healing waits for it."""
        await self.step("heal.watch")
        query = "SELECT request ->> 'server_id' AS server FROM operations WHERE bay_id = $1 AND state = 'active'"
        return str((await self._rows(query))[0]["server"])

    async def workers(self) -> list[str]:
        """Their servers."""
        return await workers_of(self.stack, self.bay)

    async def step(self, name: str) -> None:
        """Return when the healing stands at this step."""
        query = "SELECT step FROM operations WHERE bay_id = $1 AND kind = 'heal' AND state = 'active'"
        async with asyncio.timeout(WITHIN):
            while [row["step"] for row in await self._rows(query)] != [name]:
                await asyncio.sleep(0.1)

    async def healed(self, count: int = 1) -> str:
        """The bay's status when so many healings have ended."""
        query = "SELECT state FROM operations WHERE bay_id = $1 AND kind = 'heal'"
        async with asyncio.timeout(WITHIN):
            while len([row for row in await self._rows(query) if row["state"] in {"done", "failed"}]) < count:
                await asyncio.sleep(0.1)
        return await settled(self.demo.client, self.bay)

    async def health(self, status: str) -> dict[str, str]:
        """The reason, once the health is that."""
        shown: dict[str, Any] = {}
        try:
            async with asyncio.timeout(WITHIN):
                while shown.get("health_status") != status:
                    await asyncio.sleep(0.1)
                    shown = await self.demo.get(f"/v1/clusters/{self.bay}")
        except TimeoutError:
            raise AssertionError(f"never {status}: {shown.get('health_status_reason')}") from None
        found: dict[str, str] = shown["health_status_reason"]
        return found

    async def history(self) -> list[tuple[str, str | None]]:
        """What became of the bay and why, the newest first."""
        query = "SELECT became, reason FROM bay_history WHERE bay_id = $1 ORDER BY seq DESC"
        return [tuple(row) for row in await self._rows(query)]

    async def notes(self) -> dict[str, str]:
        """What people read of the last healing's steps."""
        found = await self.demo.client.operations(self.bay)
        last = next(one for one in found if one.kind == "heal")
        return {step.name: str(step.note) for step in last.steps}

    async def reboots(self, server: str) -> int:
        """How often the cloud has restarted it."""
        found = (await control(self.stack, "/state?kind=server"))["records"]["server"]
        return next(int(one.get("reboots") or 0) for one in found if one["id"] == server)

    async def in_the_cloud(self) -> set[str]:
        """The bay's servers."""
        found = (await control(self.stack, "/state?kind=server"))["records"]["server"]
        return {one["id"] for one in found if UUID(self.bay).hex[:12] in one["name"]}

    async def _rows(self, query: str, *values: object) -> list[Any]:
        return await rows(self.stack, query, UUID(self.bay), *values)


async def patients(stack: LocalStack, demo: Wire, workers: int, **labels: str) -> Patients:
    """A bay whose nodes have all reported that they are well."""
    bay = await demo.create(node_count=workers, **({"labels": labels} if labels else {}))
    assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
    it = Patients(stack, demo, bay)
    await it.meet()
    await it.report()
    await it.health("HEALTHY")
    await it.time_passes(SEEN)
    return it


@asynccontextmanager
async def clinic(root: Path, **other: Any) -> AsyncIterator[tuple[LocalStack, Wire]]:
    """A round of health in less than a second, and 12 s of patience."""
    async with LocalStack(root, speed=40, time_scale=0.05, **other) as stack, wires(stack, "demo") as (demo,):
        yield stack, demo


def others(servers: Collection[str], *but: str) -> set[str]:
    """Those servers less these."""
    return set(servers) - set(but)
