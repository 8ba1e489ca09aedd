"""The nodes of bays where no server boots: each asks for its certificates and tells Heat that it is ready.

What a node knows from its user-data is read from Heat here, as a member of its project: the secret of its member, and
the command by which it signals.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import httpx

from shared.domain.errors import CloudError
from shared.domain.names import bay_tag
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Server
from shared.openstack.stacks import StackResource
from tests.e2e.nodes import Node, new_key
from tests.support.realcloud import RealCloud

PLAYS: Final = "JEROBOAM_TEST_CLOUD_PLAYS_NODES"
"""1 or 0: whether the tests play the nodes' part. Unset: where the cloud is on loopback, as no server boots there."""
REASON: Final = "the test says so"
"""Why a node failed that is told to."""
_DEPTH: Final = 4
_BAY, _ROLE = "jeroboam_bay", "jeroboam_role"


def plays_nodes(cloud: RealCloud) -> bool:
    """Whether the nodes of this cloud are played."""
    return os.environ.get(PLAYS, "1" if cloud.on_loopback else "0") == "1"


@dataclass
class Player:
    """Plays every server of a project that is a bay's."""

    cloud: ProjectCloud
    api_url: str
    boots: bool
    """Whether the cloud's servers boot and do all this by themselves."""
    issued: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By server: what its first call was answered. A bay without TLS has no certificates."""
    refusals: dict[str, str] = field(default_factory=dict)
    """By server: what was said instead."""
    held: bool = False
    """Whether the nodes are still booting, so to speak."""
    _fails: bool = False
    _booted: dict[str, tuple[Node, str]] = field(default_factory=dict)
    """By server: the node and its request, which it repeats until it is answered."""
    _played: set[str] = field(default_factory=set)

    @property
    def nodes(self) -> dict[str, Node]:
        """By server: those that have their certificates."""
        return {server: self._booted[server][0] for server in self.issued}

    async def fail_from_now_on(self) -> None:
        """Let each server from now on tell Heat that it failed, also where servers boot: they take longer."""
        self._played |= {one.id for one in await self.cloud.nova.servers()}
        self._fails = True

    async def play(self) -> None:
        """Go on until cancelled."""
        while True:
            with suppress(CloudError):  # the cloud is away now: nodes try again
                if not self.held and (self._fails or not self.boots):
                    await self._look()
            await asyncio.sleep(1)  # Nova has no event to wait for

    async def _look(self) -> None:
        young = [
            one
            for one in await self.cloud.nova.servers()
            if one.status in ("ACTIVE", "BUILD") and _BAY in one.metadata and one.id not in self._played
        ]
        for bay in {one.metadata[_BAY] for one in young}:
            members: dict[str, StackResource] = {}
            for stack in await self.cloud.heat.list_by_tag(bay_tag(UUID(bay))):
                found = await self.cloud.heat.resources(stack.id, _DEPTH)
                members |= {one.physical_id: one for one in found if one.type == "OS::Nova::Server"}
            await asyncio.gather(*(self._turn(one, members[one.id]) for one in young if one.id in members))

    async def _turn(self, server: Server, member: StackResource) -> None:
        with suppress(CloudError, httpx.HTTPError, TimeoutError, LookupError):  # away, or not there yet: again later
            if self._fails:
                await signal(await self._attribute(member, "wait_handle", "curl_cli"), "FAILURE")
                self._played.add(server.id)
            elif server.status == "ACTIVE":
                await self._boot(server, member)

    async def _boot(self, server: Server, member: StackResource) -> None:
        if server.id not in self._booted:
            secret = await self._attribute(member, "node_secret", "value")
            node = self._node(server, secret)
            self._booted[server.id] = (node, node.csr())
        node, csr = self._booted[server.id]
        try:
            self.issued[server.id] = await node.insist(csr)
        except AssertionError as refusal:  # a 503 that goes on is a TimeoutError
            self.refusals[server.id] = str(refusal)
        await signal(await self._attribute(member, "wait_handle", "curl_cli"), "SUCCESS")
        self._played.add(server.id)

    def _node(self, server: Server, secret: str) -> Node:
        role = server.metadata[_ROLE]
        addresses = tuple(one.address for one in server.addresses)
        key = new_key(rsa_key=role == "master")
        return Node(self.api_url, server.metadata[_BAY], role, server.id, server.name, addresses, secret, key)

    async def _attribute(self, member: StackResource, resource: str, name: str) -> str:
        found = await self.cloud.heat.attributes(member.stack_name, member.stack_id, resource)
        return str((found or {})[name])


async def signal(command: str, status: str) -> None:
    """What a node's command says, without a shell: it holds a token."""
    words = shlex.split(command)
    given = [words[at + 1].partition(": ") for at, word in enumerate(words) if word == "-H"]
    url = next(word for word in words if word.startswith("http"))
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        body = {"status": status, "reason": REASON}
        answer = await http.post(url, headers={name: value for name, _, value in given}, json=body)
        answer.raise_for_status()


@asynccontextmanager
async def played(cloud: RealCloud, project: ProjectCloud, api_url: str) -> AsyncIterator[Player]:
    """A player at work."""
    player = Player(project, api_url, boots=not plays_nodes(cloud))
    task = asyncio.create_task(player.play())
    try:
        yield player
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
