"""What bays stand on in a cloud: images, a flavor, an external network, a network that was there before.

A plain member of a project prepares it; flavor and external network must be there, since only operators make those.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import httpx

from shared.openstack.answers import Doc
from shared.openstack.cloud import ProjectCloud
from shared.openstack.neutron import Kind
from shared.openstack.nova import Flavor

NETWORK_KINDS: Final[tuple[Kind, ...]] = (
    "ports",
    "networks",
    "subnets",
    "routers",
    "floatingips",
    "security-groups",
)
_MEMORY_MB, _DISK_GB = 512, 8


@dataclass(frozen=True)
class Ground:
    """The ids, and the project they are for."""

    cloud: ProjectCloud
    project_id: str
    images: dict[str, str]
    """By os_distro."""
    flavor: str
    external_network: str
    network: str
    """With a subnet that a router joins to the external network."""
    subnet: str

    async def counts(self) -> Counter[str]:
        """How many things of each kind the project has."""
        found: Counter[str] = Counter({kind: len(await self._own(kind)) for kind in NETWORK_KINDS})
        found["servers"] = len(await self.cloud.nova.servers())
        found["volumes"] = len(await self.cloud.cinder.volumes())
        found["load balancers"] = len(await balancers(self.cloud))
        found["stacks"] = len(await self.cloud.heat.list_project(()))
        return found

    async def named(self, prefix: str) -> list[str]:
        """What the project has whose name begins so, as "kind name"."""
        names = [f"{kind} {name}" for kind in NETWORK_KINDS for name in await self._own(kind)]
        names += [f"servers {one.name}" for one in await self.cloud.nova.servers()]
        names += [f"volumes {one.name}" for one in await self.cloud.cinder.volumes()]
        names += [f"load balancers {name}" for name in await balancers(self.cloud)]
        return sorted(name for name in names if name.partition(" ")[2].startswith(prefix))

    async def _own(self, kind: Kind) -> list[str]:
        return [one.name for one in await self.cloud.neutron.items(kind, project_id=self.project_id)]


async def balancers(cloud: ProjectCloud) -> list[str]:
    """Names of the project's load balancers."""
    listed = await cloud.session.pages("load-balancer", "/v2.0/lbaas/loadbalancers", "loadbalancers")
    return [one.text("name") for one in listed]


@asynccontextmanager
async def ground_in(cloud: ProjectCloud, distros: Iterable[str]) -> AsyncIterator[Ground]:
    """Prepare it, and clear it away at the end (images stay when they were there)."""
    token = await cloud.session.tokens.token()
    assert token.project_id
    made: list[tuple[str, str]] = []
    try:
        images = {distro: await _image(cloud, distro, made) for distro in sorted(set(distros))}
        external = await _external(cloud)
        network, subnet = await _network(cloud, external, made)
        yield Ground(cloud, token.project_id, images, (await flavors(cloud))[0].id, external, network, subnet)
    finally:
        for service, path in reversed(made):
            await _remove(cloud, service, path)


async def _image(cloud: ProjectCloud, distro: str, made: list[tuple[str, str]]) -> str:
    listed = await cloud.session.pages("image", "/images", "images", params={"os_distro": distro})
    for one in listed:
        if one.text("status") == "active":
            return one.text("id")
    name = f"jeroboam-test-{distro}"
    body = {"name": name, "os_distro": distro, "container_format": "bare", "disk_format": "raw"}
    image = (await cloud.session.send("image", "POST", "/images", body)).text("id")
    made.append(("image", f"/images/{image}"))
    token = await cloud.session.tokens.token()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        headers = {"X-Auth-Token": token.token, "Content-Type": "application/octet-stream"}
        answer = await http.put(
            f"{token.endpoints.url('image')}/images/{image}/file", content=bytes(1024), headers=headers
        )
        answer.raise_for_status()
    return image


async def flavors(cloud: ProjectCloud) -> list[Flavor]:
    """Those that are enough for a node, the smallest first."""
    listed = await cloud.session.pages("compute", "/flavors/detail", "flavors")
    fit = [one for one in listed if one.number("disk") >= _DISK_GB and one.number("ram") >= _MEMORY_MB]
    assert fit, f"The cloud has no flavor with {_MEMORY_MB} MB and {_DISK_GB} GB."
    fit.sort(key=lambda one: (one.number("ram"), one.number("disk"), one.text("id")))
    found = [await cloud.nova.find_flavor(one.text("id")) for one in fit]
    return [one for one in found if one is not None]


async def _external(cloud: ProjectCloud) -> str:
    listed = await cloud.session.pages("network", "/networks", "networks", params={"router:external": "true"})
    assert listed, "The cloud has no external network."
    return sorted(one.text("id") for one in listed)[0]


async def _network(cloud: ProjectCloud, external: str, made: list[tuple[str, str]]) -> tuple[str, str]:
    name = f"jeroboam-test-{uuid4().hex[:8]}"

    async def make(kind: str, body: dict[str, object]) -> Doc:
        answer = (await cloud.session.send("network", "POST", f"/{kind}s", {kind: {"name": name, **body}})).doc(kind)
        made.append(("network", f"/{kind}s/{answer.text('id')}"))
        return answer

    network = (await make("network", {})).text("id")
    subnet = (await make("subnet", {"network_id": network, "ip_version": 4, "cidr": "10.99.0.0/16"})).text("id")
    router = (await make("router", {"external_gateway_info": {"network_id": external}})).text("id")
    await cloud.session.call("network", "PUT", f"/routers/{router}/add_router_interface", json={"subnet_id": subnet})
    made.append(("detach", f"{router} {subnet}"))
    return network, subnet


async def _remove(cloud: ProjectCloud, service: str, path: str) -> None:
    if service == "detach":
        await cloud.neutron.detach_subnet(*path.split())
    else:
        await cloud.session.delete(service, path)


async def until_as_before(ground: Ground, before: Counter[str], seconds: float = 30.0) -> Counter[str]:
    """What there is once it is as before, or after so long: some deletions go on when Heat is done."""
    async with asyncio.timeout(seconds + 30):
        for _ in range(int(seconds)):
            if await ground.counts() == before:
                break
            await asyncio.sleep(1)  # a cloud has no event for this
        return await ground.counts()
