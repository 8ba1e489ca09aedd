"""A stack in which authorities are rotated, and nodes that do what their agents would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from services.cli.stack import LocalStack
from tests.e2e.nodes import PATIENCE, Key, Node, new_key, nodes_of
from tests.support.jobs import reason, rows, settled
from tests.support.wire import Wire, wires

UNREACHED = (502, 503, 504)


@dataclass
class Agent:
    """A node with certificates; with a problem it does nothing but say so, with an obstacle it renews none.

    It asks with the same CSR until it has the answer, as real ones do: that may come late.
    """

    node: Node
    problem: str | None = None
    obstacle: str | None = None
    wanted: dict[str, Any] | None = None
    asking: tuple[Key, str] | None = None

    async def look(self) -> None:
        """One round: look, renew if told to, report."""
        answer = await self.node.call("GET", "/nodes/self")
        if answer.status_code in UNREACHED:
            return
        assert answer.status_code == 200, answer.text
        wanted = answer.json()
        problem = self.problem or (self.obstacle if wanted["renew"] else None)
        if problem is None:
            if wanted["renew"] and not await self._renew():
                return
            self.wanted = wanted
        await self._say(problem)

    async def _renew(self) -> bool:
        """Whether it got new certificates, for a new key."""
        if self.asking is None:
            key = new_key()
            self.asking = key, replace(self.node, key=key).csr()
        key, csr = self.asking
        answer = await self.node.renew(csr)
        if answer.status_code in UNREACHED:
            return False
        assert answer.status_code == 201, answer.text
        self.node.key, self.node.certificate, self.asking = key, answer.json()["pem"], None
        return True

    async def _say(self, problem: str | None) -> None:
        said: dict[str, object] = {
            "healthy": problem is None,
            "revision": self.wanted["revision"] if self.wanted else "before",
            "units": {},
            "credential_generation": None,
            "problem": problem,
        }
        answer = await self.node.call("PUT", "/nodes/self", said)
        assert answer.status_code in (204, *UNREACHED), answer.text


@dataclass(frozen=True)
class Scene:
    """A running stack and demo's wire."""

    stack: LocalStack
    demo: Wire

    async def bay(self, masters: int = 1, workers: int = 1) -> tuple[str, list[Agent]]:
        """A complete bay, and its nodes with their first certificates."""
        model = await self.demo.template(master_lb_enabled=masters > 1)
        bay = await self.demo.create(cluster_template_id=model, master_count=masters, node_count=workers)
        await self.complete(bay, "CREATE_COMPLETE")
        agents = [Agent(node) for node in await nodes_of(self.stack, self.demo.client, bay)]
        for agent in agents:
            await agent.node.insist(agent.node.csr())
        return bay, agents

    async def complete(self, bay: str, status: str) -> None:
        assert await settled(self.demo.client, bay) == status, await reason(self.demo.client, bay)

    async def rotate(self, bay: str) -> None:
        answer = await self.demo("PATCH", f"/v1/certificates/{bay}")
        assert (answer.status_code, answer.json()) == (202, {"uuid": bay}), answer.text

    async def undo(self, bay: str) -> None:
        answer = await self.demo("DELETE", f"/v1/certificates/{bay}/rotation")
        assert answer.status_code == 202, answer.text

    async def phase(self, bay: str) -> str | None:
        found = await rows(self.stack, "SELECT phase FROM authority_rotations WHERE bay_id = $1::uuid", bay)
        return found[0]["phase"] if found else None

    async def until(self, bay: str, phase: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.phase(bay) != phase:
                await asyncio.sleep(0.05)

    async def note(self, bay: str, step: str) -> str:
        found = await self.demo.client.operations(bay)
        return next(str(one.note) for one in found[0].steps if one.name == f"rotate_ca.{step}")

    async def time_is_up(self, bay: str) -> None:
        query = "UPDATE operations SET deadline = now(), next_run_at = now() WHERE state = 'active'"
        await rows(self.stack, f"{query} AND bay_id = $1::uuid", bay)

    async def generations(self, bay: str) -> dict[int, tuple[bool, int]]:
        """Of each generation of authorities: whether it is trusted, and how many keys there are."""
        query = (
            "SELECT a.generation, bool_and(a.retired_at IS NULL) AS trusted, count(k.authority_id) AS keys"
            " FROM authorities a LEFT JOIN authority_keys k ON k.authority_id = a.id"
            " WHERE a.bay_id = $1::uuid AND a.kind <> 'service_account' GROUP BY a.generation"
        )
        return {row["generation"]: (row["trusted"], row["keys"]) for row in await rows(self.stack, query, bay)}


@asynccontextmanager
async def scene(root: Path, **other: Any) -> AsyncIterator[Scene]:
    async with LocalStack(root, speed=20, time_scale=0.05, **other) as stack, wires(stack, "demo") as (demo,):
        yield Scene(stack, demo)


@asynccontextmanager
async def at_work(agents: list[Agent]) -> AsyncIterator[None]:
    """These look again and again, each by itself, until the end of the block; a lost connection does not matter."""

    async def forever(agent: Agent) -> None:
        while True:
            with suppress(httpx.TransportError):
                await agent.look()
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(forever(agent)) for agent in agents]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
