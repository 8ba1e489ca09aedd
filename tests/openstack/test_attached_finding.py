"""Finding what a bay's own services made, where other bays use the network that this one made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from services.provisioner.attached.finding import Attached, find_attached
from services.provisioner.attached.removing import remove
from services.provisioner.graves import clear_stack
from shared.domain import names
from shared.openstack.cloud import ProjectCloud
from tests.openstack.conftest import MakeCloud
from tests.openstack.flows import caller, settled
from tests.openstack.sim import Sim
from tests.support.made_by_coe import Maker

NETWORK = """
heat_template_version: 2018-08-31
resources:
  net: {type: OS::Neutron::Net}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.7.0.0/24}}
  router: {type: OS::Neutron::Router, properties: {external_gateway_info: {network: public}}}
  side:
    type: OS::Neutron::RouterInterface
    properties: {router: {get_resource: router}, subnet: {get_resource: subnet}}
"""
BESIDE = """
heat_template_version: 2018-08-31
parameters: {subnet: {type: string}, network: {type: string}, name: {type: string}}
resources:
  api:
    type: OS::Octavia::LoadBalancer
    properties: {name: {list_join: ["-", [{get_param: name}, api]]}, vip_subnet: {get_param: subnet}}
  address:
    type: OS::Neutron::FloatingIP
    properties: {floating_network: public, port_id: {get_attr: [api, vip_port_id]}}
  port:
    type: OS::Neutron::Port
    properties: {name: {list_join: ["-", [{get_param: name}, master-0]]}, network: {get_param: network}}
"""


@dataclass(frozen=True)
class Place:
    """A bay's own network, with its stack; what is in the project is seen as our service user sees it."""

    cloud: ProjectCloud
    coe: Maker
    bay: UUID
    project: str
    network: str
    subnet: str
    external: str

    async def look(self) -> Attached:
        stacks = await self.cloud.heat.list_by_tag(names.bay_tag(self.bay))
        return await find_attached(self.cloud, self.bay, self.project, stacks)

    async def found(self) -> set[str]:
        seen = await self.look()
        items = (*seen.floating_ips, *seen.ports, *seen.security_groups)
        return {one.id for one in items} | {one.id for one in seen.load_balancers}


async def stack(cloud: ProjectCloud, bay: UUID, called: str, template: str, **parameters: str) -> dict[str, str]:
    """A bay's stack, complete: the ids of its resources by their names."""
    tags = (names.TAG, names.bay_tag(bay))
    made = await cloud.heat.create(
        name=called, template=template, files={}, environment={}, parameters=parameters, tags=tags
    )
    ended = await settled(cloud, made)
    assert ended is not None
    assert ended.status == "CREATE_COMPLETE", ended.reason
    return {one.name: one.physical_id for one in await cloud.heat.resources(made)}


@pytest.fixture
async def place(sim: Sim, make_cloud: MakeCloud) -> Place:
    cloud = make_cloud(sim.identity)
    who, theirs = await caller(sim, cloud)
    ours, bay = cloud.for_project(who.project_id), uuid4()
    made = await stack(ours, bay, names.stack_name("one", bay, 1), NETWORK)
    external = await ours.neutron.find_external_network("public")
    assert external is not None
    coe = Maker(theirs.session, str(bay))
    return Place(ours, coe, bay, who.project_id, made["net"], made["subnet"], external.id)


async def test_what_another_bay_has_on_this_bay_s_network_stays(place: Place) -> None:
    two = uuid4()
    name = names.stack_name("Two", two, 1).lower()
    other = Maker(place.coe.session, str(two))
    mine = await place.coe.service(place.subnet, place.external)
    await other.service(place.subnet, place.external)  # a service of theirs
    api = await stack(
        place.cloud, two, names.stack_name("Two", two, 1), BESIDE, subnet=place.subnet, network=place.network, name=name
    )
    await other.port(place.network, description=f"Kubernetes port from cluster {two}")
    left_over = await place.coe.port(place.network)
    own_name = await place.coe.port(place.network, name=f"{names.stack_name('one', place.bay, 1)}-master-7")
    expected = {mine.balancer, mine.floating_ip, mine.security_group, left_over, own_name}
    assert await place.found() == expected
    assert not expected & set(api.values())


async def test_a_reserved_address_without_words_on_somebody_s_own_load_balancer(place: Place) -> None:
    old, old_port = await place.coe.balancer(place.subnet, "ad3080723f1c211e88adbfa163ee1203")
    site, site_port = await place.coe.balancer(place.subnet, "web-site")
    address = await place.coe.floating_ip(place.external, old_port)
    await place.coe.floating_ip(place.external, site_port)  # theirs; it is let go with the load balancer, and kept
    assert await place.found() == {old, site, address}


async def test_a_load_balancer_that_others_use_too_keeps_its_address(place: Place) -> None:
    mine = await place.coe.service(place.subnet, place.external)
    path = f"/v2.0/lbaas/loadbalancers/{mine.balancer}"
    tags = {"loadbalancer": {"tags": [f"kube_service_{uuid4()}_default_web"]}}
    await active(place, mine.balancer)
    await place.coe.session.call("load-balancer", "PUT", path, json=tags)
    assert await place.found() == {mine.security_group}


async def active(place: Place, balancer: str) -> None:
    async with asyncio.timeout(30):
        while (shown := await place.coe.octavia.load_balancer(balancer)) is None or shown.pending:
            await asyncio.sleep(0.05)  # Octavia has no event to wait for


async def test_ports_of_load_balancers_that_are_not_shown_are_no_orphans(sim: Sim, place: Place) -> None:
    mine = await place.coe.service(place.subnet, place.external)
    refused = {"kind": "status", "status": 403, "service": "load-balancer", "method": "GET", "count": 0}
    await sim.fault(**refused)
    assert await place.found() == {mine.floating_ip, mine.security_group}
    [stands] = await place.cloud.heat.list_by_tag(names.bay_tag(place.bay))
    await clear_stack(place.cloud, place.bay, place.project, stands)
    assert await place.cloud.neutron.items("ports", id=mine.vip_port)


async def test_a_look_lists_a_stack_s_resources_once(sim: Sim, place: Place) -> None:
    await sim.forget()
    await place.look()
    assert await sim.count("orchestration", "GET", "/resources") == 1


async def test_what_cannot_be_removed_yet_is_told(place: Place) -> None:
    mine = await place.coe.service(place.subnet, place.external)
    await active(place, mine.balancer)

    async def unguarded() -> None:
        """Nobody else acts."""

    told = await remove(place.cloud, await place.look(), unguarded)
    assert told == [f"load balancer kube_service_{place.bay}_default_web ({mine.balancer}), which is being deleted"]
