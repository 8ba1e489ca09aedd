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
    assert set((await client.get(path, headers=own)).json()["quota"].values()) == {-1}
    limits = {"quota": {"loadbalancer": 2, "member": 5}}
    refused = await client.put(path, json=limits, headers=own)
    assert refused.status_code == 403
    assert refused.json()["faultstring"] == "Policy does not allow this request to be performed."
    assert (await client.put(path, json=limits, headers=admin)).status_code == 202
    shown = (await client.get(path, headers=own)).json()["quota"]
    assert (shown["loadbalancer"], shown["load_balancer"], shown["member"], shown["pool"]) == (2, 2, 5, -1)
    assert (await client.get(path, headers=await login("alt"))).status_code == 403
    assert (await client.delete(path, headers=admin)).status_code == 204
    assert set((await client.get(path, headers=own)).json()["quota"].values()) == {-1}


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
    assert (await client.get(f"{LBAAS}/loadbalancers/{balancer.id}", headers=other)).status_code == 404
    assert (await client.get(f"{LBAAS}/loadbalancers?project_id={DEMO}", headers=other)).status_code == 403
    assert (await client.get(f"{LBAAS}/amphorae", headers=own)).status_code == 404
