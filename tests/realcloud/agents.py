"""What runs on played nodes of one bay: the masters' agents, and a Kubernetes at the bay's own address.

The Kubernetes is cloudsim's, with the bay's certificates; its nodes are the servers that the real Nova has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from cloudsim.clock import Clock
from cloudsim.coe import CoeEndpoints, Identity
from cloudsim.coe.bay import Machine
from cloudsim.coe.kubernetes.bay import KubernetesBay
from shared.domain.errors import CloudError
from shared.openstack.nova import Server
from tests.e2e.nodes import Node, key_pem
from tests.realcloud.life import Bay


@dataclass
class Cluster:
    """A bay's inside."""

    bay: Bay
    engine: KubernetesBay = field(init=False)
    _machines: dict[str, Machine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = KubernetesBay(Clock(1), self._machines.values)

    def serving(self, app: str) -> list[str]:
        """On which nodes the application runs, by name."""
        return sorted(str(one["node"]) for one in self.engine.pods() if one["app"] == app and one["ready"])

    async def look(self) -> None:
        """One round: who has booted is a node, and masters do what they are told and say so."""
        servers = await self.bay.ground.cloud.nova.servers(metadata={"jeroboam_bay": self.bay.uuid})
        nodes = self.bay.player.nodes
        up = {one.id: one for one in servers if one.status == "ACTIVE" and one.id in nodes}
        self._machines.clear()  # the engine has this one
        self._machines.update({one.id: _machine(one, nodes[one.id]) for one in up.values()})
        await asyncio.gather(*(_report(nodes[one]) for one in up if nodes[one].role == "master"))

    async def identity(self) -> tuple[str, int, Identity]:
        """Where the bay's API is, and the certificates of its first master for that."""
        address = urlsplit(str((await self.bay.client.bay(self.bay.uuid)).api_address))
        assert address.hostname is not None
        assert address.port is not None
        (master,) = [one for one in self.bay.player.nodes.values() if one.role == "master"]
        answer = await master.renew(master.csr("kubernetes", addresses=[address.hostname]))
        assert answer.status_code == 201, answer.text
        master.certificate = answer.json()["pem"]
        authority = (await self.bay.client.authority(self.bay.uuid)).pem
        return address.hostname, address.port, Identity(master.certificate, key_pem(master.key).decode(), authority)


@asynccontextmanager
async def inside(bay: Bay) -> AsyncIterator[Cluster]:
    """A bay of one master, made already, is at work until the end of the block."""
    cluster, endpoints = Cluster(bay), CoeEndpoints()
    await cluster.look()
    host, port, identity = await cluster.identity()
    await endpoints.open(host, port, cluster.engine, identity=identity)
    working = asyncio.create_task(_forever(cluster))
    try:
        yield cluster
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await endpoints.close()


async def _forever(cluster: Cluster) -> None:
    while True:
        with suppress(CloudError):  # the cloud is away now
            await cluster.look()
        await asyncio.sleep(1)  # agents look by the clock


def _machine(server: Server, node: Node) -> Machine:
    fixed = next(one.address for one in server.addresses if one.kind == "fixed")
    return Machine(server.name, fixed, role=node.role, id=server.id)


async def _report(master: Node) -> None:
    """One that was removed a moment ago is refused, and that is all."""
    with suppress(httpx.HTTPError, LookupError):
        wanted = (await master.call("GET", "/nodes/self")).raise_for_status().json()
        said = {"healthy": True, "revision": wanted["revision"], "units": {}, "parted": wanted["leaving"]}
        await master.call("PUT", "/nodes/self", said)
