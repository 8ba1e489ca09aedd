"""A bay's deletion takes along what its own services made, leaves what others made, and always comes to an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain.errors import CloudError
from shared.openstack.heat import HeatClient
from tests.support.jobs import BAYMODEL, control, reason, rows, settled
from tests.support.made_by_coe import Maker, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

UBUNTU: Final = BAYMODEL | {
    "name": "k8s-ubuntu",
    "image_id": "ubuntu-24.04",
    "master_flavor_id": "m1.medium",
    "docker_volume_size": None,
    "volume_driver": "cinder",
}
PATIENCE: Final = 60.0


def quick(root: Path) -> LocalStack:
    """The embedded default. A deletion waits 3 s for load balancers."""
    extra = {"JEROBOAM_ATTACHED_MINUTES": "1", "JEROBOAM_SWEEP_MINUTES": "2"}
    return LocalStack(root, speed=20, time_scale=0.05, extra_environment=extra)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with quick(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def well(stack: LocalStack) -> AsyncIterator[None]:
    """What a test did to the cloud is undone after it."""
    yield
    await control(stack, "/faults", "DELETE")
    await control(stack, "/heat/behaviours", "DELETE")
    await stuck(stack, [])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[JeroboamClient]:
    async with stack.client("demo") as client:
        yield client


async def make(client: JeroboamClient, name: str = "lb", **model: object) -> tuple[str, Maker]:
    """A complete bay, and what its services make things with."""
    made = await client.create_baymodel(UBUNTU | {"name": f"{name}-model", **model})
    bay = await client.create_bay({"name": name, "baymodel_id": made.uuid, "node_count": 1})
    assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
    return bay, Maker(client.session, bay)


async def own_network(client: JeroboamClient, bay: str) -> tuple[str, str]:
    """Network and subnet that the bay's stack made."""
    stack_id = (await client.bay(bay)).stack_id
    assert stack_id is not None
    made = {one.type: one.physical_id for one in await HeatClient(client.session).resources(stack_id)}
    return str(made["OS::Neutron::Net"]), str(made["OS::Neutron::Subnet"])


async def public(maker: Maker) -> str:
    found = await maker.neutron.find_external_network("public")
    assert found is not None
    return found.id


async def there(client: JeroboamClient, maker: Maker) -> set[str]:
    project_id = (await client.session.tokens.token()).project_id
    assert project_id is not None
    return await maker.there(project_id)


def ids(*services: Service) -> set[str]:
    return {one for each in services for one in (each.balancer, each.vip_port, each.floating_ip, each.security_group)}


async def stuck(stack: LocalStack, names: Sequence[str]) -> None:
    await control(stack, "/settings", "PATCH", {"stuck_balancers": list(names)})


async def history(stack: LocalStack, bay: str) -> list[tuple[str, str]]:
    found = await rows(stack, "SELECT event, reason FROM bay_history WHERE bay_id = $1::uuid ORDER BY seq", bay)
    return [(str(one["event"]), str(one["reason"])) for one in found]


async def until_gone(client: JeroboamClient, maker: Maker, things: set[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while things & await there(client, maker):
            await asyncio.sleep(0.2)


async def test_what_the_bay_made_in_its_own_network_goes_with_it(stack: LocalStack, demo: JeroboamClient) -> None:
    bay, coe = await make(demo)
    network, subnet = await own_network(demo, bay)
    external = await public(coe)
    service = await coe.service(subnet, external)
    # Known by the network alone: as Kubernetes of the guide's time makes them, and a port that a pod network left.
    old, old_port = await coe.balancer(subnet, "ad3080723f1c211e88adbfa163ee1203")
    old_address = await coe.floating_ip(external, old_port)
    reserved_balancer, reserved_port = await coe.balancer(subnet, "a0123456789abcdef0123456789abcde")
    reserved = await coe.floating_ip(external, reserved_port, "our web site's address")
    port = await coe.port(network)
    mine = {*ids(service), old, old_port, old_address, reserved_balancer, reserved_port, port}
    assert mine <= await there(demo, coe)
    await demo.delete_bay(bay)
    assert await settled(demo, bay) == "", await reason(demo, bay)
    left = await there(demo, coe)
    assert not mine & left
    assert reserved in left  # somebody's own words are on it: let go, and kept


async def test_volumes_by_choice(demo: JeroboamClient) -> None:
    """Label delete_volumes: the volumes that the bay's claims asked for go with the bay, or stay, which is the rule."""
    kept_bay, kept_coe = await make(demo, "keeps")
    kept = await kept_coe.volume()
    gone_bay, gone_coe = await make(demo, "drops", labels={"delete_volumes": "true"})
    gone = await gone_coe.volume()
    for bay in (kept_bay, gone_bay):
        await demo.delete_bay(bay)
        assert await settled(demo, bay) == "", await reason(demo, bay)
    left = await there(demo, kept_coe)
    assert kept in left
    assert gone not in left


async def test_on_a_network_of_others_only_what_carries_the_bay_s_id(demo: JeroboamClient) -> None:
    network, subnet = await existing_network(demo)
    fixed: dict[str, object] = {"fixed_network": network, "fixed_subnet": subnet}
    one, coe = await make(demo, "one", **fixed)
    two, other = await make(demo, "two", **fixed)
    external = await public(coe)
    mine, theirs = await coe.service(subnet, external), await other.service(subnet, external)
    stranger = await Maker(demo.session, "a-cluster-of-somebody").service(subnet, external)
    plain, plain_port = await coe.balancer(subnet, "a-web-site", f"before bay {one}")
    address, port = await coe.floating_ip(external, plain_port), await coe.port(network)
    shared, shared_port = await coe.balancer(subnet, f"kube_service_{one}_default_shared")
    await shared_with(demo, shared, f"kube_service_{two}_default_shared")
    others = ids(theirs, stranger) | {plain, plain_port, address, port, shared, shared_port}
    await demo.delete_bay(one)
    assert await settled(demo, one) == "", await reason(demo, one)
    left = await there(demo, coe)
    assert others <= left
    assert not ids(mine) & left
    await demo.delete_bay(two)
    assert await settled(demo, two) == "", await reason(demo, two)
    left = await there(demo, coe)
    assert not ids(theirs) & left
    assert ids(stranger) | {plain, plain_port, address, port} <= left


async def existing_network(client: JeroboamClient) -> tuple[str, str]:
    """Network and subnet behind a router of the project's own."""
    send = client.session.send
    network = (await send("network", "POST", "/networks", {"network": {"name": "ours"}})).doc("network").text("id")
    wanted = {"network_id": network, "cidr": "10.9.0.0/24", "ip_version": 4}
    subnet = (await send("network", "POST", "/subnets", {"subnet": wanted})).doc("subnet").text("id")
    gateway = {"external_gateway_info": {"network_id": await public(Maker(client.session, ""))}}
    router = (await send("network", "POST", "/routers", {"router": gateway})).doc("router").text("id")
    await client.session.call("network", "PUT", f"/routers/{router}/add_router_interface", json={"subnet_id": subnet})
    return network, subnet


async def shared_with(client: JeroboamClient, balancer: str, tag: str) -> None:
    """Another cluster's service uses the load balancer too, which it says by a tag."""
    path = f"/v2.0/lbaas/loadbalancers/{balancer}"
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.session.call("load-balancer", "PUT", path, json={"loadbalancer": {"tags": [tag]}})
                return
            except CloudError as error:
                if error.status != 409:
                    raise
            await asyncio.sleep(0.1)


async def test_what_is_made_again_meanwhile(stack: LocalStack, demo: JeroboamClient) -> None:
    """Heat fails on a port that came after we had looked; another look is taken before Heat is asked again."""
    bay, coe = await make(demo)
    _, subnet = await own_network(demo, bay)
    slow = {"effect": "slow", "type": "OS::Nova::Server", "action": "DELETE", "seconds": 160}
    await control(stack, "/heat/behaviours", "POST", slow)
    first = await coe.service(subnet, await public(coe))
    await demo.delete_bay(bay)
    await until_gone(demo, coe, {first.balancer})
    await step(demo, bay, "delete.follow")
    again, again_port = await coe.balancer(subnet, f"kube_service_{bay}_default_again")
    assert await settled(demo, bay) == "", await reason(demo, bay)
    assert not {again, again_port} & await there(demo, coe)


async def step(client: JeroboamClient, bay: str, name: str) -> None:
    """Until the deletion has come to this step."""
    async with asyncio.timeout(PATIENCE):
        while True:
            newest = (await client.operations(bay))[0]
            if next(one for one in newest.steps if one.name == name).started_at:
                return
            await asyncio.sleep(0.1)


async def note(client: JeroboamClient, bay: str, name: str) -> str:
    """What the deletion says at this step."""
    newest = (await client.operations(bay))[0]
    return next((str(one.note) for one in newest.steps if one.name == name), "")


@pytest.mark.timeout(300)  # Heat is asked six times, a minute in all
async def test_a_stuck_load_balancer_is_named_and_the_deletion_can_be_asked_for_again(
    stack: LocalStack, demo: JeroboamClient
) -> None:
    bay, coe = await make(demo)
    _, subnet = await own_network(demo, bay)
    name = f"kube_service_{bay}_default_stuck"
    await stuck(stack, [name])
    balancer, _ = await coe.balancer(subnet, name)
    await demo.delete_bay(bay)
    assert await settled(demo, bay, seconds=180) == "DELETE_FAILED"
    why = await reason(demo, bay)
    assert f"load balancer {name} ({balancer}), which is PENDING_CREATE" in why
    assert "the operator has to end that" in why
    assert "ask for the deletion again." in why
    await stuck(stack, [])
    await demo.delete_bay(bay)
    assert await settled(demo, bay) == "", await reason(demo, bay)
    assert balancer not in await there(demo, coe)


async def test_an_octavia_that_is_away_is_waited_for(stack: LocalStack, demo: JeroboamClient) -> None:
    bay, coe = await make(demo)
    _, subnet = await own_network(demo, bay)
    service = await coe.service(subnet, await public(coe))
    away = {"kind": "status", "status": 503, "service": "load-balancer", "count": 2}
    await control(stack, "/faults", "POST", away)
    await demo.delete_bay(bay)
    assert await settled(demo, bay) == "", await reason(demo, bay)
    assert not ids(service) & await there(demo, coe)


async def test_an_octavia_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    """In a cloud of its own: tokens of before go on to name it."""
    async with quick(tmp_path) as stack, stack.client("demo") as demo:
        bay, _ = await make(demo, "plain")
        await control(stack, "/settings", "PATCH", {"without": ["load-balancer"]})
        await demo.delete_bay(bay)
        assert await settled(demo, bay) == "", await reason(demo, bay)


async def test_forced_by_an_administrator_alone(stack: LocalStack, demo: JeroboamClient) -> None:
    bay, coe = await make(demo)
    network, subnet = await own_network(demo, bay)
    name = f"kube_service_{bay}_default_stuck"
    await stuck(stack, [name])
    balancer, _ = await coe.balancer(subnet, name)
    with pytest.raises(CloudError, match="Policy doesn't allow bay:delete_force") as caught:
        await demo.delete_bay(bay, force=True)
    assert caught.value.status == 403
    assert (await demo.bay(bay)).status == "CREATE_COMPLETE"

    async with stack.client("admin") as admin:
        await demo.delete_bay(bay)
        await step(demo, bay, "delete.attached")
        await admin.delete_bay(bay, force=True)  # while it goes on: the same operation is forced
        assert len(await demo.operations(bay)) == 2
        assert await settled(demo, bay, seconds=180) == ""
    lines = await history(stack, bay)
    event, why = lines[-1]
    assert event == "deleted"
    assert why.startswith("Deleted by force. What stood in the way: ")
    assert f"load balancer {name} ({balancer})" in why
    assert ("delete asked", "An administrator forced the deletion: what cannot be removed is left behind.") in lines
    assert any(event == "obstacle passed over" and balancer in why for event, why in lines)
    assert await rows(stack, "SELECT 1 FROM tombstones WHERE bay_id = $1::uuid", bay)

    # What is left behind is removed by the sweep, once it can be.
    await stuck(stack, [])
    await until_gone(demo, coe, {balancer})
    async with asyncio.timeout(PATIENCE):
        while await coe.neutron.items("networks", id=network):
            await asyncio.sleep(0.2)


async def test_forced_after_it_failed(stack: LocalStack, demo: JeroboamClient) -> None:
    """Not even revoking the nodes' credential stands in the way: what its own revocation says is told and passed."""
    bay, _ = await make(demo)
    refused = {"kind": "status", "status": 403, "service": "identity", "method": "GET", "count": 0}
    await control(stack, "/faults", "POST", refused | {"path": "application_credentials"})
    await demo.delete_bay(bay)
    assert await settled(demo, bay) == "DELETE_FAILED"
    async with stack.client("admin") as admin:
        await admin.delete_bay(bay, force=True)
        assert await settled(admin, bay) == ""
    event, why = (await history(stack, bay))[-1]
    assert event == "deleted"
    assert "Revoke the nodes' cloud credential" in why


async def test_a_stack_without_our_tag_is_the_bay_s_all_the_same(demo: JeroboamClient) -> None:
    """Somebody took the tag away: what is in the bay's own network is found by the stack that we made."""
    bay, coe = await make(demo)
    _, subnet = await own_network(demo, bay)
    heat, stack_id = HeatClient(demo.session), (await demo.bay(bay)).stack_id
    assert stack_id is not None
    await heat.update(stack_id, parameters={}, tags=["of-somebody"])
    async with asyncio.timeout(PATIENCE):
        while (shown := await heat.show(stack_id)) is None or shown.phase == "IN_PROGRESS":
            await asyncio.sleep(0.1)
    old, _ = await coe.balancer(subnet, "ad3080723f1c211e88adbfa163ee1203")
    await demo.delete_bay(bay)
    assert await settled(demo, bay) == "", await reason(demo, bay)
    assert old not in await there(demo, coe)


async def test_forced_where_heat_refuses_to_delete(stack: LocalStack, demo: JeroboamClient) -> None:
    """It comes to its end, in the last step takes the servers that it can, and does not ask Heat for an hour."""
    bay, _ = await make(demo)
    refused = {"kind": "status", "status": 403, "service": "orchestration", "method": "DELETE", "count": 0}
    await control(stack, "/faults", "POST", refused)
    async with stack.client("admin") as admin:
        await admin.delete_bay(bay, force=True)
        assert await settled(admin, bay) == ""
    lines = await history(stack, bay)
    event, why = lines[-1]
    assert event == "deleted"
    assert "Heat answered 403" in why
    assert sum(event == "obstacle passed over" for event, _ in lines) < 10
    async with asyncio.timeout(PATIENCE):
        while (await control(stack, "/state"))["counts"].get("server", 0):
            await asyncio.sleep(0.2)


async def test_what_the_cloud_says_against_the_last_removal_is_told(stack: LocalStack, demo: JeroboamClient) -> None:
    bay, coe = await make(demo)
    _, subnet = await own_network(demo, bay)
    service = await coe.service(subnet, await public(coe))
    refused = {"kind": "status", "status": 403, "service": "network", "method": "DELETE", "count": 0}
    await control(stack, "/faults", "POST", refused | {"path": f"/floatingips/{service.floating_ip}"})
    await demo.delete_bay(bay)
    async with asyncio.timeout(PATIENCE):
        while f"({service.floating_ip}): Neutron answered 403" not in await note(demo, bay, "delete.verify"):
            await asyncio.sleep(0.1)
    await control(stack, "/faults", "DELETE")
    assert await settled(demo, bay) == "", await reason(demo, bay)
