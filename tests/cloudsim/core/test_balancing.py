"""Octavia: in the catalog unless the cloud is without it, quotas that it does not tell the use of, lists."""

from __future__ import annotations

import httpx

from cloudsim.fixtures import project_id
from cloudsim.world import World
from tests.cloudsim.core.conftest import Login

LBAAS = "/load-balancer/v2.0/lbaas"
DEMO = project_id("demo")


async def catalog(client: httpx.AsyncClient, login: Login) -> set[str]:
    answer = await client.get("/identity/v3/auth/catalog", headers=await login())
    return {one["type"] for one in answer.json()["catalog"]}


async def test_a_cloud_may_be_without_it(client: httpx.AsyncClient, login: Login, world: World) -> None:
    assert "load-balancer" in await catalog(client, login)
    changed = await client.patch("/control/settings", json={"without": ["load-balancer"]})
    assert changed.json()["without"] == ["load-balancer"]
    assert "load-balancer" not in await catalog(client, login)


async def test_quotas(client: httpx.AsyncClient, login: Login) -> None:
    own, admin, path = await login(), await login("admin"), f"{LBAAS}/quotas/{DEMO}"
    assert set((await client.get(path, headers=own)).json()["quota"].values()) == {-1, DEMO}
    limits = {"quota": {"loadbalancer": 2, "member": 5}}
    refused = await client.put(path, json=limits, headers=own)
    assert refused.status_code == 403
    assert refused.json()["faultstring"] == "Policy does not allow this request to be performed."
    assert (await client.put(path, json=limits, headers=admin)).status_code == 202
    shown = (await client.get(path, headers=own)).json()["quota"]
    assert (shown["loadbalancer"], shown["load_balancer"], shown["member"], shown["pool"]) == (2, 2, 5, -1)
    assert (await client.get(path, headers=await login("alt"))).status_code == 403
    assert (await client.delete(path, headers=admin)).status_code == 204
    assert set((await client.get(path, headers=own)).json()["quota"].values()) == {-1, DEMO}


async def test_lists_are_of_the_project(client: httpx.AsyncClient, login: Login, world: World) -> None:
    balancer = world.store.create("loadbalancer", DEMO, {"name": "api"})
    pool = world.store.create("pool", DEMO, {"name": "masters"})
    member = world.store.create("pool_member", DEMO, {"pool_id": pool.id, "address": "10.0.0.3"})
    own, other = await login(), await login("alt")
    listed = (await client.get(f"{LBAAS}/loadbalancers", headers=own)).json()["loadbalancers"]
    assert [(one["id"], one["provisioning_status"]) for one in listed] == [(balancer.id, "ACTIVE")]
    (found,) = (await client.get(f"{LBAAS}/pools", headers=own)).json()["pools"]
    assert found["members"] == [{"id": member.id}]
    members = (await client.get(f"{LBAAS}/pools/{pool.id}/members", headers=own)).json()["members"]
    assert [one["address"] for one in members] == ["10.0.0.3"]
    assert (await client.get(f"{LBAAS}/loadbalancers/{balancer.id}", headers=own)).json()["loadbalancer"] == listed[0]
    assert (await client.get(f"{LBAAS}/loadbalancers", headers=other)).json()["loadbalancers"] == []
    assert (await client.get(f"{LBAAS}/loadbalancers/{balancer.id}", headers=other)).status_code == 403
    assert (await client.get(f"{LBAAS}/loadbalancers?project_id={DEMO}", headers=other)).status_code == 403
    assert (await client.get(f"{LBAAS}/amphorae", headers=own)).status_code == 404


async def test_one_is_made_and_deleted_in_its_time(client: httpx.AsyncClient, login: Login, world: World) -> None:
    """Its port is there until the end, and keeps the network; as long as Octavia is at it, it refuses changes."""
    own = await login()
    network = await client.post("/network/v2.0/networks", json={"network": {"name": "n"}}, headers=own)
    network_id = network.json()["network"]["id"]
    wanted = {"subnet": {"network_id": network_id, "cidr": "10.5.0.0/24", "ip_version": 4}}
    subnet = (await client.post("/network/v2.0/subnets", json=wanted, headers=own)).json()["subnet"]["id"]
    body = {"loadbalancer": {"name": "web", "description": "mine", "vip_subnet_id": subnet, "tags": ["t"]}}
    made = (await client.post(f"{LBAAS}/loadbalancers", json=body, headers=own)).json()["loadbalancer"]
    assert (made["provisioning_status"], made["vip_network_id"], made["tags"]) == ("PENDING_CREATE", network_id, ["t"])
    path = f"{LBAAS}/loadbalancers/{made['id']}"
    refused = await client.delete(f"{path}?cascade=true", headers=own)
    assert refused.status_code == 409
    assert refused.json()["faultstring"] == f"Invalid state PENDING_CREATE of loadbalancer resource {made['id']}"
    await world.clock.advance(world.settings.balancer_seconds)
    assert (await client.get(path, headers=own)).json()["loadbalancer"]["provisioning_status"] == "ACTIVE"

    port = (await client.get(f"/network/v2.0/ports/{made['vip_port_id']}", headers=own)).json()["port"]
    assert (port["device_owner"], port["device_id"]) == ("Octavia", f"lb-{made['id']}")
    assert port["name"] == f"octavia-lb-{made['id']}"
    assert (await client.delete(f"/network/v2.0/networks/{network_id}", headers=own)).status_code == 409
    world.store.create("listener", DEMO, {"name": "l", "loadbalancer_id": made["id"]})
    assert (await client.delete(path, headers=own)).status_code == 400
    assert (await client.delete(f"{path}?cascade=true", headers=await login("alt"))).status_code == 403
    assert (await client.delete(f"{path}?cascade=true", headers=own)).status_code == 204
    assert (await client.get(path, headers=own)).json()["loadbalancer"]["provisioning_status"] == "PENDING_DELETE"
    assert (await client.delete(f"/network/v2.0/networks/{network_id}", headers=own)).status_code == 409
    await world.clock.advance(world.settings.balancer_seconds)
    assert (await client.get(path, headers=own)).status_code == 404
    assert world.store.list("listener") == []
    assert (await client.delete(f"/network/v2.0/networks/{network_id}", headers=own)).status_code == 204


async def test_one_that_is_stuck(client: httpx.AsyncClient, login: Login, world: World) -> None:
    own = await login()
    network = await client.post("/network/v2.0/networks", json={"network": {"name": "n"}}, headers=own)
    wanted = {"network_id": network.json()["network"]["id"], "cidr": "10.5.0.0/24", "ip_version": 4}
    await client.post("/network/v2.0/subnets", json={"subnet": wanted}, headers=own)
    await client.patch("/control/settings", json={"stuck_balancers": ["web"]})
    body = {"loadbalancer": {"name": "web", "vip_network_id": wanted["network_id"]}}
    made = (await client.post(f"{LBAAS}/loadbalancers", json=body, headers=own)).json()["loadbalancer"]
    path = f"{LBAAS}/loadbalancers/{made['id']}"
    await world.clock.advance(10 * world.settings.balancer_seconds)
    assert (await client.get(path, headers=own)).json()["loadbalancer"]["provisioning_status"] == "PENDING_CREATE"
    await client.patch("/control/settings", json={"stuck_balancers": []})
    await world.clock.advance(world.settings.balancer_seconds)
    assert (await client.get(path, headers=own)).json()["loadbalancer"]["provisioning_status"] == "ACTIVE"
    answer = await client.put(path, json={"loadbalancer": {"tags": ["x"]}}, headers=own)
    assert answer.json()["loadbalancer"]["provisioning_status"] == "PENDING_UPDATE"
    nowhere = await client.post(f"{LBAAS}/loadbalancers", json={"loadbalancer": {"name": "x"}}, headers=own)
    assert nowhere.status_code == 400
