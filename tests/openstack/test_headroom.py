"""Quotas as the cloud tells them, and what a stack is counted to take against what Heat then makes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from shared.domain.errors import CloudError
from shared.domain.headroom import Allowance, shortfall
from shared.drivers import registry
from shared.drivers.contract import Driver, RenderedStack
from shared.drivers.footprint import footprint, need
from shared.openstack.cloud import Cloud, ProjectCloud
from shared.openstack.headroom import allowances, balances, flavors_of, needs
from tests.drivers.cases import CREDENTIAL, PAIRS, cases, facts, plainest
from tests.openstack.conftest import MakeCloud
from tests.openstack.flows import caller, settled
from tests.openstack.sim import Sim
from tests.openstack.wire import Say, Seen, Wire

QUOTAS = {
    "compute": ("/compute/v2.1/os-quota-sets/{}", "quota_set"),
    "volume": ("/volume/v3/{0}/os-quota-sets/{0}", "quota_set"),
    "network": ("/network/v2.0/quotas/{}", "quota"),
    "load-balancer": ("/load-balancer/v2.0/lbaas/quotas/{}", "quota"),
}


async def limit(sim: Sim, project_id: str, service: str, **limits: int) -> None:
    token, _ = await sim.login("admin")
    path, key = QUOTAS[service]
    await sim.api("PUT", path.format(project_id), token, {key: limits})


async def test_allowances_of_all_services(sim: Sim, make_cloud: MakeCloud) -> None:
    who, theirs = await caller(sim, make_cloud(sim.identity))
    assert {one.left for one in (await allowances(theirs, who.project_id)).values()} == {None}
    await limit(sim, who.project_id, "compute", instances=10, ram=51_200)
    await limit(sim, who.project_id, "volume", gigabytes=1000, **{"volumes_lvmdriver-1": 3})
    await limit(sim, who.project_id, "network", port=500, security_group=10)
    await limit(sim, who.project_id, "compute", server_groups=3, server_group_members=10)
    await theirs.nova.create_server_group("g", "affinity")
    found = await allowances(theirs, who.project_id)
    limited = {name: one for name, one in found.items() if one.limit is not None}
    assert limited == {
        "servers": Allowance(10, 0),
        "ram_mb": Allowance(51_200, 0),
        "volume_gb": Allowance(1000, 0),
        "volumes:lvmdriver-1": Allowance(3, 0),
        "ports": Allowance(500, 0),
        "security_groups": Allowance(10, 1),
        "server_groups": Allowance(3, 1),
        "server_group_members": Allowance(10, 0),
    }
    ours = make_cloud(sim.identity).for_project(who.project_id)
    assert await allowances(ours, who.project_id) == found


BALANCER = """
heat_template_version: 2018-03-02
resources:
  network: {type: OS::Neutron::Net, properties: {name: n}}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: network}, cidr: 10.9.0.0/24}}
  balancer: {type: OS::Octavia::LoadBalancer, properties: {vip_subnet: {get_resource: subnet}}}
  listener:
    type: OS::Octavia::Listener
    properties: {loadbalancer: {get_resource: balancer}, protocol: TCP, protocol_port: 6443}
  pool:
    type: OS::Octavia::Pool
    properties: {listener: {get_resource: listener}, protocol: TCP, lb_algorithm: ROUND_ROBIN}
  one: {type: OS::Octavia::PoolMember, properties: {pool: {get_resource: pool}, address: 10.9.0.3, protocol_port: 1}}
  two: {type: OS::Octavia::PoolMember, properties: {pool: {get_resource: pool}, address: 10.9.0.4, protocol_port: 1}}
"""


async def test_allowances_of_load_balancers_are_counted_where_they_are_limited(sim: Sim, make_cloud: MakeCloud) -> None:
    who, theirs = await caller(sim, make_cloud(sim.identity))
    await limit(sim, who.project_id, "load-balancer", loadbalancer=5, member=4)
    stack = RenderedStack(template=BALANCER, files={}, environment={}, parameters={})
    assert (await make(theirs, stack)).startswith("CREATE_COMPLETE")
    await sim.forget()
    found = await theirs.octavia.headroom(who.project_id)
    assert found == {
        "load_balancers": Allowance(5, 1),
        "listeners": Allowance(None, 0),
        "pools": Allowance(None, 0),
        "pool_members": Allowance(4, 2),
        "health_monitors": Allowance(None, 0),
    }
    assert await sim.count("load-balancer", "GET") == 3  # the quota, load balancers, pools
    assert "pools" not in await allowances(theirs, who.project_id)
    assert (await allowances(theirs, who.project_id, balancing=True)).items() >= found.items()
    counted = footprint(stack)
    assert balances(counted)
    assert shortfall(needs(counted, {}) | {"pool_members": 3}, found) == [
        "3 members of load balancers' pools needed, 2 left of 4"
    ]


async def test_a_cloud_without_octavia_tells_nothing_of_it(sim: Sim, make_cloud: MakeCloud) -> None:
    await sim.control("PATCH", "/settings", {"without": ["load-balancer"]})
    try:
        who, theirs = await caller(sim, make_cloud(sim.identity))
        assert not who.endpoints.has("load-balancer")
        assert await theirs.octavia.headroom(who.project_id) == {}
    finally:
        await sim.control("PATCH", "/settings", {"without": []})


@pytest.mark.parametrize(("ending", "path"), [("", "/v2.0/lbaas"), ("/v2.0", "/lbaas"), ("/v2", "/lbaas")])
async def test_octavias_address_has_a_version_or_not(wire: Wire, make_cloud: MakeCloud, ending: str, path: str) -> None:
    where = [{"interface": "public", "region_id": "RegionOne", "url": f"{wire.url}/lb{ending}"}]
    login = wire.token_body(catalog=[{"type": "load-balancer", "endpoints": where}])
    wire.login = lambda _: Say(201, login, {"X-Subject-Token": "t"})
    wire.script = lambda seen: (
        Say(body={"quota": {"listener": -1, "load_balancer": 3}})
        if "quotas" in seen.path
        else Say(body={"loadbalancers": [{"id": "b"}], "loadbalancers_links": []})
    )
    found = await make_cloud(wire.url).for_project("p1").octavia.headroom("p1")
    assert found["load_balancers"] == Allowance(3, 1)
    assert {seen.path.partition("/lb")[2] for seen in wire.calls} == {
        f"{ending}{path}/quotas/p1",
        f"{ending}{path}/loadbalancers",
    }


@pytest.mark.parametrize("status", [403, 404])
async def test_quotas_of_octavia_that_are_kept_from_us(wire: Wire, make_cloud: MakeCloud, status: int) -> None:
    where = [{"interface": "public", "region_id": "RegionOne", "url": f"{wire.url}/lb"}]
    login = wire.token_body(catalog=[{"type": "load-balancer", "endpoints": where}])
    wire.login = lambda _: Say(201, login, {"X-Subject-Token": "t"})
    wire.script = lambda _: Say(status, {"faultcode": "Client", "faultstring": "no"})
    assert await make_cloud(wire.url).for_project("p1").octavia.headroom("p1") == {}


async def on_network(sim: Sim, cloud: Cloud, changes: dict[str, Any]) -> tuple[ProjectCloud, str, dict[str, Any]]:
    """The cloud of demo, demo's id, and a case's facts with things that are there."""
    who, theirs = await caller(sim, cloud)
    image, public = await theirs.glance.find_image("fedora-21-atomic-5"), await theirs.neutron.find_network("public")
    assert image is not None
    assert public is not None
    changes = {"flavor_id": "2", "master_flavor_id": "m1.medium", "image_id": image.id, **changes}
    if changes.get("fixed_network"):
        made = await theirs.session.send("network", "POST", "/networks", {"network": {"name": "office"}})
        network_id = made.doc("network").text("id")
        subnet = {"network_id": network_id, "cidr": "10.7.0.0/24", "ip_version": 4, "name": "office-v4"}
        made = await theirs.session.send("network", "POST", "/subnets", {"subnet": subnet})
        await behind_router(theirs, made.doc("subnet").text("id"), public.id)
    for role in ("master", "worker"):
        if changes.get(f"{role}_server_group"):
            group = await theirs.nova.create_server_group(f"bay-{role}s", "soft-anti-affinity")
            changes = changes | {f"{role}_server_group": group.id}
    return theirs, who.project_id, changes | {"external_network_id": public.id}


async def behind_router(theirs: ProjectCloud, subnet_id: str, external_id: str) -> None:
    """Without one a floating address could not lead there."""
    gateway = {"external_gateway_info": {"network_id": external_id}}
    router = (await theirs.session.send("network", "POST", "/routers", {"router": gateway})).doc("router").text("id")
    path = f"/routers/{router}/add_router_interface"
    await theirs.session.call("network", "PUT", path, json={"subnet_id": subnet_id})


async def make(theirs: ProjectCloud, stack: RenderedStack) -> str:
    given = dataclasses.asdict(stack)
    stack_id = await theirs.heat.create(name="bay", **given, tags=["jeroboam"], timeout_mins=60)
    made = await settled(theirs, stack_id)
    assert made is not None
    return f"{made.status}: {made.reason}"


@pytest.mark.parametrize(("driver", "case"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.name)
async def test_a_stack_takes_what_was_counted(sim: Sim, make_cloud: MakeCloud, driver: Driver, case: str) -> None:
    theirs, project_id, changes = await on_network(sim, make_cloud(sim.identity), cases(driver)[case])
    stack = driver.render(facts(driver, **changes), CREDENTIAL)
    counted = footprint(stack)
    wanted = need(counted, await flavors_of(theirs, counted.servers, {}))
    before = await allowances(theirs, project_id)
    assert (await make(theirs, stack)).startswith("CREATE_COMPLETE")
    after = await allowances(theirs, project_id)
    assert {name: one.used - before[name].used for name, one in after.items() if ":" not in name} == {
        name: wanted.get(name, 0) for name in after if ":" not in name
    }
    token, _ = await sim.login("demo")
    path = f"/orchestration/v1/{project_id}/stacks"
    listed = (await sim.api("GET", path, token))["stacks"]
    resources = await sim.api("GET", f"{path}/bay/{listed[0]['id']}/resources?nested_depth=5", token)
    assert len(resources["resources"]) == counted.total


QUOTED: list[tuple[str, str, str]] = [
    ("compute", "cores", "cores"),
    ("volume", "gigabytes", "volume_gb"),
    ("network", "security_group_rule", "security_group_rules"),
]
QUOTA_CASES = [
    pytest.param(driver, *quota, id=f"{driver.name}-{quota[1]}")
    for driver in registry.DRIVERS
    for quota in QUOTED
    if driver.support.docker_volume or quota[0] != "volume"
]


@pytest.mark.parametrize(("driver", "service", "name", "ours"), QUOTA_CASES)
async def test_what_just_fits_is_made_and_one_less_is_told_and_fails(
    sim: Sim, make_cloud: MakeCloud, driver: Driver, service: str, name: str, ours: str
) -> None:
    wishes = plainest(driver) | ({"docker_volume_size": 3} if driver.support.docker_volume else {})
    theirs, project_id, changes = await on_network(sim, make_cloud(sim.identity), wishes)
    stack = driver.render(facts(driver, **changes), CREDENTIAL)
    counted = footprint(stack)
    wanted = need(counted, await flavors_of(theirs, counted.servers, {}))
    before = (await allowances(theirs, project_id))[ours].used
    await limit(sim, project_id, service, **{name: before + wanted[ours] - 1})
    assert len(shortfall(wanted, await allowances(theirs, project_id))) == 1
    failed = await make(theirs, stack)
    assert failed.startswith("CREATE_FAILED")
    assert "quota" in failed.lower()
    await sim.reset()
    theirs, project_id, changes = await on_network(sim, make_cloud(sim.identity), wishes)
    await limit(sim, project_id, service, **{name: before + wanted[ours]})
    assert shortfall(wanted, await allowances(theirs, project_id)) == []
    assert (await make(theirs, driver.render(facts(driver, **changes), CREDENTIAL))).startswith("CREATE_COMPLETE")


ABSOLUTE = {"maxTotalInstances": 10, "maxTotalCores": -1, "maxTotalRAMSize": 100, "totalInstancesUsed": 4}
VOLUMES = {"maxTotalVolumes": 10, "totalVolumesUsed": 3, "maxTotalVolumeGigabytes": 1000, "totalGigabytesUsed": 40}


def limits_only(status: int) -> Any:
    """A cloud that tells Nova's and Cinder's totals and keeps the rest to itself."""

    def say(seen: Seen) -> Say:
        if seen.path.endswith("/limits"):
            return Say(body={"limits": {"absolute": VOLUMES if "volume" in seen.path else ABSOLUTE}})
        return Say(status, {"message": "not for you"})

    return say


@pytest.mark.parametrize("status", [403, 404])
async def test_what_a_cloud_does_not_tell_is_not_judged(wire: Wire, make_cloud: MakeCloud, status: int) -> None:
    wire.script = limits_only(status)
    found = await allowances(make_cloud(wire.url).for_project("p1"), "p1")
    assert found == {
        "servers": Allowance(10, 4),
        "cores": Allowance(None, 0),
        "ram_mb": Allowance(100, 0),
        "volumes": Allowance(10, 3),
        "volume_gb": Allowance(1000, 40),
    }


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_a_service_that_fails_is_named(wire: Wire, make_cloud: MakeCloud, status: int) -> None:
    wire.script = limits_only(status)
    with pytest.raises(CloudError) as caught:
        await allowances(make_cloud(wire.url).for_project("p1"), "p1")
    assert caught.value.status == status
    assert caught.value.service in {"volumev3", "network"}


async def test_reserved_counts_as_used(wire: Wire, make_cloud: MakeCloud) -> None:
    def say(seen: Seen) -> Say:
        if "quotas" in seen.path:
            return Say(body={"quota": {"port": {"limit": 5, "used": 1, "reserved": 2}, "vip": {"limit": 1, "used": 0}}})
        if "os-quota-sets" in seen.path:
            ssd = {"limit": 9, "in_use": 3, "reserved": 1, "allocated": 0}
            return Say(body={"quota_set": {"id": "p1", "volumes_fast_ssd": ssd, "per_volume_gigabytes": ssd}})
        return Say(body={"limits": {"absolute": ABSOLUTE}})

    wire.script = say
    found = await allowances(make_cloud(wire.url).for_project("p1"), "p1")
    assert found["ports"] == Allowance(5, 3)
    assert found["volumes:fast_ssd"] == Allowance(9, 4)
    assert {"networks", "volumes"}.isdisjoint(found)
