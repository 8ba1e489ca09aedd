"""Quotas: set by administrators through each service's API, enforced in each service's words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cloudsim.fixtures import project_id
from cloudsim.world import World, stable_id
from tests.cloudsim.core.conftest import Login

DEMO = project_id("demo")
NOVA, NEUTRON, CINDER = "/compute/v2.1", "/network/v2.0", f"/volume/v3/{DEMO}"
PATHS = {
    "compute": (f"{NOVA}/os-quota-sets/{DEMO}", "quota_set"),
    "volume": (f"{CINDER}/os-quota-sets/{DEMO}", "quota_set"),
    "network": (f"{NEUTRON}/quotas/{DEMO}", "quota"),
}
NOT_COUNTED = {"metadata_items", "injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
NOT_COUNTED |= {"router_route", "rbac_policy", "backups", "backup_gigabytes", "groups"}
"""What has a limit from the start, as in a real cloud, and is not simulated."""


async def limit(client: httpx.AsyncClient, login: Login, service: str, **limits: object) -> httpx.Response:
    path, key = PATHS[service]
    return await client.put(path, json={key: limits}, headers=await login("admin"))


async def post(client: httpx.AsyncClient, login: Login, path: str, key: str, **attrs: Any) -> httpx.Response:
    return await client.post(path, json={key: attrs}, headers=await login())


@pytest.mark.parametrize(("service", "name"), [("compute", "instances"), ("volume", "gigabytes"), ("network", "port")])
async def test_unlimited_until_set_and_after_it_is_taken_away(
    client: httpx.AsyncClient, login: Login, service: str, name: str
) -> None:
    path, key = PATHS[service]
    own = await login()
    assert (await client.get(path, headers=own)).json()[key][name] == -1
    assert (await limit(client, login, service, **{name: 7})).json()[key][name] == 7
    shown = (await client.get(path, headers=own)).json()[key]
    assert shown[name] == 7
    counted = {other: value for other, value in shown.items() if other not in {name, "id"} | NOT_COUNTED}
    assert set(counted.values()) == {-1}
    assert (await client.delete(path, headers=await login("admin"))).status_code < 300
    assert (await client.get(path, headers=own)).json()[key][name] == -1


@pytest.mark.parametrize("service", PATHS)
async def test_who_may_read_and_who_may_set(client: httpx.AsyncClient, login: Login, service: str) -> None:
    path, key = PATHS[service]
    assert (await client.put(path, json={key: {}}, headers=await login())).status_code == 403
    assert (await client.get(path, headers=await login("alt"))).status_code in {400, 403}
    assert (await client.get(path, headers=await login("admin"))).status_code == 200
    assert (await client.get(path, headers=await login("reader", "demo"))).status_code == 200


@pytest.mark.parametrize("limits", [{"nonsense": 1}, {"instances": -2}, {"instances": "many"}, {"instances": None}])
async def test_what_is_no_limit_is_refused(client: httpx.AsyncClient, login: Login, limits: dict[str, object]) -> None:
    assert (await limit(client, login, "compute", **limits)).status_code == 400


async def test_nova_refuses_what_is_over(client: httpx.AsyncClient, login: Login, world: World) -> None:
    await limit(client, login, "compute", instances=1, ram=3000, force=True)
    server = {"name": "n", "flavorRef": "2", "imageRef": stable_id("image", "coreos")}
    assert (await post(client, login, f"{NOVA}/servers", "server", **server)).status_code == 202
    refused = await post(client, login, f"{NOVA}/servers", "server", **server)
    assert refused.status_code == 403
    said = "Quota exceeded for instances, ram: Requested 1, 2048, but already used 1, 2048 of 1, 3000 instances, ram"
    assert refused.json()["forbidden"]["message"] == said
    detail = (await client.get(f"{PATHS['compute'][0]}/detail", headers=await login())).json()["quota_set"]
    assert detail["instances"] == {"limit": 1, "in_use": 1, "reserved": 0}
    assert detail["cores"] == {"limit": -1, "in_use": 1, "reserved": 0}
    absolute = (await client.get(f"{NOVA}/limits", headers=await login())).json()["limits"]["absolute"]
    assert (absolute["maxTotalInstances"], absolute["totalInstancesUsed"], absolute["maxTotalCores"]) == (1, 1, -1)
    world.delete_server(world.store.list("server", DEMO)[0].id)
    assert (await post(client, login, f"{NOVA}/servers", "server", **server)).status_code == 202


async def test_cinder_refuses_what_is_over(client: httpx.AsyncClient, login: Login) -> None:
    await limit(client, login, "volume", gigabytes=12, **{"volumes_lvmdriver-1": 2})
    url = f"{CINDER}/volumes"
    assert (await post(client, login, url, "volume", size=5)).status_code == 202
    refused = await post(client, login, url, "volume", size=8)
    assert refused.status_code == 413
    assert "Requested 8G, quota is 12G and 5G has been consumed" in refused.json()["overLimit"]["message"]
    assert (await post(client, login, url, "volume", size=5)).status_code == 202
    refused = await post(client, login, url, "volume", size=1)
    assert "quota 'volumes_lvmdriver-1'" in refused.json()["overLimit"]["message"]
    used = await client.get(f"{PATHS['volume'][0]}?usage=true", headers=await login())
    assert used.json()["quota_set"]["gigabytes"] == {"limit": 12, "in_use": 10, "reserved": 0}
    assert used.json()["quota_set"]["volumes_lvmdriver-1"] == {"limit": 2, "in_use": 2, "reserved": 0}


async def test_neutron_refuses_what_is_over(client: httpx.AsyncClient, login: Login) -> None:
    await limit(client, login, "network", network=1, security_group=1)
    url = f"{NEUTRON}/networks"
    assert (await post(client, login, url, "network", name="one")).status_code == 201
    refused = await post(client, login, url, "network", name="two")
    assert refused.status_code == 409
    error = refused.json()["NeutronError"]
    assert (error["type"], error["message"]) == ("OverQuota", "Quota exceeded for resources: ['network'].")
    group = await post(client, login, f"{NEUTRON}/security-groups", "security_group", name="second after default")
    assert group.status_code == 409
    details = (await client.get(f"{PATHS['network'][0]}/details.json", headers=await login())).json()["quota"]
    assert details["network"] == {"limit": 1, "used": 1, "reserved": 0}


async def test_a_reset_forgets_limits(client: httpx.AsyncClient, login: Login, world: World) -> None:
    await limit(client, login, "network", network=0)
    world.reset()
    assert (await post(client, login, f"{NEUTRON}/networks", "network", name="one")).status_code == 201
