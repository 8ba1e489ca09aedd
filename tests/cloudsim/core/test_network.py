"""Neutron: lists and filters, what is made along, and what stands in the way of a deletion."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cloudsim.fixtures import project_id
from cloudsim.world import World, stable_id
from tests.cloudsim.core.conftest import Login

NEUTRON = "/network/v2.0"
PUBLIC = stable_id("network", "public")


class Neutron:
    """A small client of one project."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers

    async def make(self, kind: str, **attrs: Any) -> dict[str, Any]:
        url = f"{NEUTRON}/{kind.replace('_', '-')}s"
        answer = await self.client.post(url, json={kind: attrs}, headers=self.headers)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()[kind]
        return body

    async def list(self, kind: str, query: str = "") -> list[dict[str, Any]]:
        url = f"{NEUTRON}/{kind.replace('_', '-')}s?{query}"
        body: list[dict[str, Any]] = (await self.client.get(url, headers=self.headers)).json()[f"{kind}s"]
        return body

    async def delete(self, kind: str, record_id: str) -> tuple[int, str]:
        answer = await self.client.delete(f"{NEUTRON}/{kind.replace('_', '-')}s/{record_id}", headers=self.headers)
        error = answer.json()["NeutronError"]["type"] if answer.content else ""
        return answer.status_code, error

    async def put(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self.client.put(f"{NEUTRON}/{path}", json=body, headers=self.headers)


@pytest.fixture
async def demo(client: httpx.AsyncClient, login: Login) -> Neutron:
    return Neutron(client, await login())


async def test_everybody_sees_the_external_network_and_only_it(demo: Neutron) -> None:
    found = await demo.list("network", "router:external=True")
    assert [(n["name"], n["id"]) for n in found] == [("public", PUBLIC)]
    assert await demo.list("network", "router:external=True&name=other") == []
    assert len(found[0]["subnets"]) == 1


async def test_a_project_s_network_from_birth_to_end(demo: Neutron, world: World) -> None:
    network = await demo.make("network", name="private", tags=["bay"])
    subnet = await demo.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", name="fixed", ip_version=4)
    router = await demo.make("router", name="extrouter", external_gateway_info={"network_id": PUBLIC})
    joined = await demo.put(f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    assert joined.status_code == 200
    port = await demo.make("port", network_id=network["id"], name="kube")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.2"}]
    assert subnet["gateway_ip"] == "10.0.0.1"
    floating = await demo.make("floatingip", floating_network_id=PUBLIC, port_id=port["id"])
    assert floating["floating_ip_address"].startswith("127.")
    assert (floating["fixed_ip_address"], floating["router_id"]) == ("10.0.0.2", router["id"])

    assert await demo.delete("network", network["id"]) == (409, "NetworkInUse")
    assert await demo.delete("subnet", subnet["id"]) == (409, "SubnetInUse")
    assert await demo.delete("router", router["id"]) == (409, "RouterInUse")
    interface = (await demo.list("port", "device_owner=network:router_interface"))[0]
    assert await demo.delete("port", interface["id"]) == (409, "ServicePortInUse")
    leave = f"routers/{router['id']}/remove_router_interface"
    assert (await demo.put(leave, {"subnet_id": subnet["id"]})).status_code == 409

    assert await demo.delete("port", port["id"]) == (204, "")
    freed = (await demo.list("floatingip"))[0]
    assert (freed["port_id"], freed["status"]) == (None, "DOWN")
    assert await demo.delete("floatingip", floating["id"]) == (204, "")
    assert (await demo.put(leave, {"subnet_id": subnet["id"]})).status_code == 200
    assert await demo.delete("router", router["id"]) == (204, "")
    assert await demo.delete("network", network["id"]) == (204, "")
    assert await demo.list("subnet", f"network_id={network['id']}") == []
    assert {"port", "router", "floatingip", "router_interface"} & set(world.store.kinds()) == set()


async def test_security_groups(demo: Neutron) -> None:
    group = await demo.make("security_group", name="kube")
    assert {r["direction"] for r in group["security_group_rules"]} == {"egress"}
    rule = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "direction": "ingress"}
    await demo.make("security_group_rule", security_group_id=group["id"], **rule)
    shown = await demo.list("security_group", "name=kube")
    assert len(shown[0]["security_group_rules"]) == 3
    network = await demo.make("network")
    port = await demo.make("port", network_id=network["id"], security_groups=[group["id"]])
    assert await demo.delete("security_group", group["id"]) == (409, "SecurityGroupInUse")
    await demo.delete("port", port["id"])
    assert await demo.delete("security_group", group["id"]) == (204, "")
    assert await demo.list("security_group_rule", f"security_group_id={group['id']}") == []


async def test_filters(demo: Neutron) -> None:
    one = await demo.make("network", name="one", tags=["a", "b"])
    two = await demo.make("network", name="two", tags=["a"])
    assert {n["id"] for n in await demo.list("network", "tags=a")} == {one["id"], two["id"]}
    assert [n["id"] for n in await demo.list("network", "tags=a,b")] == [one["id"]]
    assert [n["id"] for n in await demo.list("network", f"id={two['id']}")] == [two["id"]]
    assert {n["name"] for n in await demo.list("network", "name=one&name=two")} == {"one", "two"}
    assert await demo.list("network", f"id={two['id']}&fields=name") == [{"name": "two"}]
    port = await demo.make("port", network_id=one["id"], device_id="server-1")
    await demo.make("port", network_id=two["id"])
    assert [p["id"] for p in await demo.list("port", "device_id=server-1")] == [port["id"]]
    assert [p["id"] for p in await demo.list("port", f"network_id={one['id']}")] == [port["id"]]


async def test_tags_can_be_replaced(demo: Neutron) -> None:
    network = await demo.make("network", name="n")
    assert (await demo.put(f"networks/{network['id']}/tags", {"tags": ["x"]})).status_code == 200
    assert [n["id"] for n in await demo.list("network", "tags=x")] == [network["id"]]


async def test_quota_details(demo: Neutron) -> None:
    await demo.make("network")
    for url in ("details", "details.json"):
        answer = await demo.client.get(f"{NEUTRON}/quotas/{project_id('demo')}/{url}", headers=demo.headers)
        assert answer.json()["quota"]["network"] == {"limit": -1, "used": 1, "reserved": 0}
    other = await demo.client.get(f"{NEUTRON}/quotas/{project_id('alt')}", headers=demo.headers)
    assert other.status_code == 403


async def test_projects_do_not_touch_one_another(demo: Neutron, login: Login) -> None:
    network = await demo.make("network", name="mine")
    alt = Neutron(demo.client, await login("alt"))
    assert [n["name"] for n in await alt.list("network")] == ["public"]
    assert (await alt.delete("network", network["id"]))[0] == 404
    assert (await alt.delete("network", PUBLIC))[0] == 403


async def test_what_does_not_exist(demo: Neutron) -> None:
    answer = await demo.client.get(f"{NEUTRON}/loadbalancers", headers=demo.headers)
    assert answer.status_code == 404
    for kind, attrs in (
        ("port", {"network_id": "no"}),
        ("floatingip", {"floating_network_id": "no"}),
        ("subnet", {"network_id": "no", "cidr": "10.0.0.0/24"}),
    ):
        made = await demo.client.post(f"{NEUTRON}/{kind}s", json={kind: attrs}, headers=demo.headers)
        assert made.status_code == 404, kind
        assert made.json()["NeutronError"]["type"] == "NetworkNotFound"


async def test_addresses_run_out_and_come_back(demo: Neutron) -> None:
    network = await demo.make("network")
    await demo.make("subnet", network_id=network["id"], cidr="10.9.0.0/29")
    ports = [await demo.make("port", network_id=network["id"]) for _ in range(5)]
    body = {"port": {"network_id": network["id"]}}
    full = await demo.client.post(f"{NEUTRON}/ports", json=body, headers=demo.headers)
    assert (full.status_code, full.json()["NeutronError"]["type"]) == (409, "IpAddressGenerationFailure")
    await demo.delete("port", ports[2]["id"])
    again = await demo.make("port", network_id=network["id"])
    assert again["fixed_ips"] == ports[2]["fixed_ips"]


def test_floating_addresses_are_distinct_and_loopback(world: World) -> None:
    addresses = {world.allocate_floating_address() for _ in range(1000)}
    assert len(addresses) == 1000
    assert all(a.startswith("127.64.") for a in addresses)
