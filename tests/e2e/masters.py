"""The masters of a bay, played: each asks for its certificates, says that it is well, and leaves when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain.errors import CloudError
from tests.e2e.nodes import PATIENCE, Node, nodes_of
from tests.support.jobs import reason, rows, settled

_LOST = (CloudError, httpx.HTTPError, KeyError, AssertionError, TimeoutError)
"""What a service that dies makes of a call; the next round asks again."""


@dataclass
class Masters:
    """The agents of one bay's masters, and the store that they would share."""

    stack: LocalStack
    client: JeroboamClient
    bay: str
    members: list[str] = field(default_factory=list)
    """Addresses of who is in the store."""
    sizes: list[int] = field(default_factory=list)
    """How many were in it, change by change."""
    told: dict[str, list[str]] = field(default_factory=dict)
    """By master, the addresses of all that it was told last."""
    does: Callable[[Node, str | None], bool] = lambda _master, _leaving: True
    """Whether a master does what it is told, or says nothing at all."""
    lost: bool = False
    """Whether the store has ever been without most of its members: then it answers nobody any more."""
    _known: dict[str, Node] = field(default_factory=dict)
    _parted: dict[str, str | None] = field(default_factory=dict)

    async def servers(self) -> dict[str, str]:
        """Ids by name of the masters that the bay's record has."""
        query = "SELECT name, server_id FROM nodes WHERE bay_id = $1::uuid AND role = 'master' ORDER BY position"
        return {row["name"]: row["server_id"] for row in await rows(self.stack, query, self.bay)}

    async def heard(self) -> None:
        """Wait until every master has reported."""
        query = "SELECT 1 FROM nodes LEFT JOIN node_reports USING (bay_id, server_id) WHERE role = 'master'"
        async with asyncio.timeout(PATIENCE):
            while await rows(self.stack, f"{query} AND bay_id = $1::uuid AND healthy IS NULL", self.bay):
                await asyncio.sleep(0.05)

    async def resize(self, count: int, status: str = "UPDATE_COMPLETE", *, seconds: float = 60.0) -> None:
        """Ask for another number, and wait for the end."""
        await self.ask(count)
        assert await settled(self.client, self.bay, seconds=seconds) == status, await reason(self.client, self.bay)

    async def ask(self, count: int) -> None:
        """Ask for another number."""
        body = {"node_count": count, "nodegroup": "default-master"}
        headers = {"OpenStack-API-Version": "container-infra 1.14"}
        path = f"/clusters/{self.bay}/actions/resize"
        await self.client.session.call("container-infra", "POST", path, json=body, headers=headers)

    async def look(self) -> None:
        """One round of all agents."""
        running = [one for one in await nodes_of(self.stack, self.client, self.bay) if one.role == "master"]
        for one in running:
            if one.server_id not in self._known and one.status == "ACTIVE":
                await one.insist(one.csr())
                self._known[one.server_id] = one
                self._join(one)
        for server in [server for server in self._known if server not in {one.server_id for one in running}]:
            del self._known[server]
        alive = {one.addresses[0] for one in self._known.values()}
        self.lost |= 2 * len(alive.intersection(self.members)) <= len(self.members)
        for one in list(self._known.values()):
            await self._agent(one)

    def _join(self, master: Node) -> None:
        self.members = [one for one in self.members if one != master.addresses[0]] + [master.addresses[0]]
        self.sizes.append(len(self.members))

    async def _agent(self, master: Node) -> None:
        answer = await master.call("GET", "/nodes/self")
        answer.raise_for_status()
        wanted: dict[str, Any] = answer.json()
        leaving = wanted["leaving"]
        if not self.does(master, leaving):
            return
        self.told[master.name] = wanted["masters"]
        if leaving is not None and leaving in self.members and not self.lost:
            self.members.remove(leaving)
            self.sizes.append(len(self.members))
        elif self._parted.get(master.server_id) == master.addresses[0] in wanted["masters"]:
            self._join(master)  # it was to leave, and is a master all the same
        self._parted[master.server_id] = leaving
        said = {"healthy": not self.lost, "revision": wanted["revision"], "units": {}, "parted": leaving}
        (await master.call("PUT", "/nodes/self", said)).raise_for_status()


@asynccontextmanager
async def at_work(masters: Masters) -> AsyncIterator[Masters]:
    """The agents look again and again until the end of the block."""

    async def forever() -> None:
        while True:
            with suppress(*_LOST):
                await masters.look()
            await asyncio.sleep(0.1)

    working = asyncio.create_task(forever())
    try:
        yield masters
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
