"""Two bays whose authorities are rotated, with what people and servers had before, meanwhile and afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from services.cli.stack import LocalStack
from tests.clients.support.cloud import Cloud
from tests.e2e.nodes import nodes_of
from tests.e2e.rotating_ca import Agent, Scene
from tests.native.people import Person
from tests.native.servers import Papers, papers
from tests.support.wire import wires

LIMIT = 200.0
"""Seconds that each half of a rotation may take."""
BAYS = ("turning-pods", "turning-swarm")
BEFORE, MEANWHILE, AFTERWARDS = "before", "meanwhile", "afterwards"


@dataclass
class Turning:
    """`configs` has a folder for each bay (and `etcd`) at each time, `own` the papers of a server."""

    cloud: Cloud
    person: Person
    folder: Path
    addresses: dict[str, str]
    own: dict[tuple[str, str], Papers] = field(default_factory=dict)

    def config(self, what: str, when: str) -> Path:
        """The folder that the command wrote into."""
        return self.folder / when / what

    def collect(self, when: str) -> None:
        """What people and servers get now."""
        pods, swarm = BAYS
        self._collect(pods, when, f"{pods} --pem", self.addresses[pods], "kubernetes", pods)
        self._collect(swarm, when, swarm, self.addresses[swarm], "kubernetes", swarm)
        self._collect("etcd", when, f"{pods} --etcd", "127.0.0.1", "etcd", pods)

    def _collect(self, what: str, when: str, options: str, address: str, kind: str, bay: str) -> None:
        said = self.person.config(f"{options} --dir {self.config(what, when)}")
        assert said.code == 0, str(said)
        host = address.rpartition("/")[2].partition(":")[0]
        self.own[what, when] = papers(self.cloud, bay, self.folder, host, kind)


def turn(found: Turning, stack: LocalStack, bays: Iterable[str]) -> None:
    """Rotate them, with a break in the middle, where both authorities are trusted and the new one signs."""
    found.collect(BEFORE)
    agents = asyncio.run(_begin(stack, list(bays)))
    found.collect(MEANWHILE)
    asyncio.run(_end(stack, agents))
    found.collect(AFTERWARDS)


async def _begin(stack: LocalStack, bays: list[str]) -> dict[str, list[Agent]]:
    async with wires(stack, "demo") as (demo,):
        scene = Scene(stack, demo)
        agents: dict[str, list[Agent]] = {}
        for bay in bays:
            agents[bay] = [Agent(node) for node in await nodes_of(stack, demo.client, bay)]
            for agent in agents[bay]:
                await agent.node.insist(agent.node.csr())
            await scene.rotate(bay)

        async def reissuing() -> bool:
            return all([await scene.phase(bay) in ("reissue", "drop") for bay in bays])

        await _work(agents, reissuing)
    return agents


async def _end(stack: LocalStack, agents: dict[str, list[Agent]]) -> None:
    async with wires(stack, "demo") as (demo,):
        scene = Scene(stack, demo)

        async def over() -> bool:
            return not any([await scene.phase(bay) for bay in agents])

        await _work(agents, over)
        for bay in agents:
            await scene.complete(bay, "UPDATE_COMPLETE")


async def _work(agents: dict[str, list[Agent]], done: Callable[[], Awaitable[bool]]) -> None:
    """All agents look again and again until it is done. Each ends with a whole look: who is told to renew keeps what
    it gets, as real agents do."""
    async with asyncio.timeout(LIMIT):
        while not await done():
            await asyncio.gather(*(_look(agent) for each in agents.values() for agent in each))
            await asyncio.sleep(0.1)


async def _look(agent: Agent) -> None:
    with suppress(httpx.TransportError):  # the next look comes soon
        await agent.look()
