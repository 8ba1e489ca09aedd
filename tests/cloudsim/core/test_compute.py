"""Nova: what is found by name, tag and metadata, how a server is born and dies, and whose things one sees."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from cloudsim.fixtures import project_id, user_id
from cloudsim.world import ServerSpec, World, stable_id
from tests.cloudsim.core.conftest import Login

NOVA = "/compute/v2.1"


async def _boot(client: httpx.AsyncClient, headers: dict[str, str], **attrs: Any) -> httpx.Response:
    body = {"name": "node", "flavorRef": "2", "imageRef": stable_id("image", "coreos"), "networks": "none", **attrs}
    return await client.post(f"{NOVA}/servers", json={"server": body}, headers=headers)


async def _network(client: httpx.AsyncClient, headers: dict[str, str]) -> str:
    made = await client.post("/network/v2.0/networks", json={"network": {"name": "private"}}, headers=headers)
    network_id = str(made.json()["network"]["id"])
    subnet = {"network_id": network_id, "cidr": "10.0.0.0/24", "ip_version": 4}
    assert (await client.post("/network/v2.0/subnets", json={"subnet": subnet}, headers=headers)).status_code == 201
    return network_id


async def test_discovery(client: httpx.AsyncClient) -> None:
    assert [one["id"] for one in (await client.get("/compute/")).json()["versions"]] == ["v2.0", "v2.1"]
    assert (await client.get(f"{NOVA}/")).json()["version"]["status"] == "CURRENT"


async def test_flavors(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    names = {f["name"] for f in (await client.get(f"{NOVA}/flavors", headers=headers)).json()["flavors"]}
    assert {"m1.small", "m1.medium", "m1.magnum", "baremetal"} == names
    detail = (await client.get(f"{NOVA}/flavors/detail", headers=headers)).json()["flavors"]
    assert all(f["ram"] and f["vcpus"] and f["disk"] for f in detail)
    shown = await client.get(f"{NOVA}/flavors/{detail[0]['id']}", headers=headers)
    assert shown.json()["flavor"] == detail[0]
    missing = await client.get(f"{NOVA}/flavors/m1.small", headers=headers)
    assert missing.status_code == 404
    assert missing.json()["itemNotFound"]["code"] == 404


async def test_keypairs_belong_to_users(client: httpx.AsyncClient, login: Login) -> None:
    for user, status in (("demo", 200), ("alt", 200), ("reader", 404), ("jeroboam", 404)):
        headers = await login(user, {"reader": "demo", "jeroboam": "service"}.get(user))
        answer = await client.get(f"{NOVA}/os-keypairs/testkey", headers=headers)
        assert answer.status_code == status, user
    admin = await login("admin")
    listed = await client.get(f"{NOVA}/os-keypairs?user_id={user_id('demo')}", headers=admin)
    key = listed.json()["keypairs"][0]["keypair"]
    assert key["public_key"].startswith("ssh-ed25519 ")
    assert len(key["fingerprint"]) == 47


async def test_a_server_is_born_and_dies(client: httpx.AsyncClient, login: Login, world: World) -> None:
    headers = await login()
    network_id = await _network(client, headers)
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    made = await _boot(client, headers, networks=[{"uuid": network_id}], user_data=data, key_name="testkey")
    assert made.status_code == 202, made.text
    url = f"{NOVA}/servers/{made.json()['server']['id']}"
    building = (await client.get(url, headers=headers)).json()["server"]
    assert (building["status"], building["OS-EXT-STS:task_state"]) == ("BUILD", "spawning")
    await world.clock.advance(world.settings.boot_seconds)
    active = (await client.get(url, headers=headers)).json()["server"]
    assert active["status"] == "ACTIVE"
    assert active["addresses"]["private"][0]["addr"] == "10.0.0.2"
    assert "OS-EXT-SRV-ATTR:user_data" not in active
    as_admin = await login("admin") | {"OpenStack-API-Version": "compute 2.3"}
    by_admin = (await client.get(url, headers=as_admin)).json()["server"]
    assert by_admin["OS-EXT-SRV-ATTR:user_data"] == data
    assert (await client.delete(url, headers=headers)).status_code == 204
    await world.clock.advance(world.settings.delete_seconds)
    assert (await client.get(url, headers=headers)).status_code == 404
    assert world.store.list("port") == []


async def test_a_server_that_cannot_be_placed_is_error_with_a_reason(
    client: httpx.AsyncClient, login: Login, world: World
) -> None:
    headers = await login()
    world.settings.boot_failures = frozenset({"node"})
    made = await _boot(client, headers)
    await world.clock.advance(world.settings.boot_seconds)
    shown = (await client.get(f"{NOVA}/servers/{made.json()['server']['id']}", headers=headers)).json()["server"]
    assert shown["status"] == "ERROR"
    assert shown["fault"]["message"] == "No valid host was found."


async def test_list_filters(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    await _boot(client, headers, name="bay-1-node-0", tags=["bay", "a"], metadata={"role": "node"})
    await _boot(client, headers, name="bay-1-master-0", tags=["bay"], metadata={"role": "master"})

    async def names(query: str) -> set[str]:
        answer = await client.get(f"{NOVA}/servers/detail?{query}", headers=headers)
        return {s["name"] for s in answer.json()["servers"]}

    assert await names("name=node") == {"bay-1-node-0"}
    assert await names("name=^bay-1-") == {"bay-1-node-0", "bay-1-master-0"}
    assert await names("tags=bay,a") == {"bay-1-node-0"}
    assert await names('metadata={"role":"master"}') == {"bay-1-master-0"}
    assert await names("status=ACTIVE") == set()
    assert len(await names("limit=1")) == 1
    assert (await client.get(f"{NOVA}/servers?name=[", headers=headers)).status_code == 400


async def test_projects_do_not_see_one_another(client: httpx.AsyncClient, login: Login) -> None:
    made = await _boot(client, await login())
    url = f"{NOVA}/servers/{made.json()['server']['id']}"
    other = await login("alt")
    assert (await client.get(url, headers=other)).status_code == 404
    assert (await client.get(f"{NOVA}/servers", headers=other)).json()["servers"] == []
    assert (await client.get(f"{NOVA}/servers?all_tenants=1", headers=other)).status_code == 403
    everywhere = await client.get(f"{NOVA}/servers?all_tenants=1", headers=await login("admin"))
    assert len(everywhere.json()["servers"]) == 1


async def test_a_reader_may_only_read(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login("reader", "demo")
    assert (await client.get(f"{NOVA}/servers", headers=headers)).status_code == 200
    assert (await _boot(client, headers)).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [{"flavorRef": "no"}, {"imageRef": "no"}, {"key_name": "no"}, {"user_data": "abc"}, {"networks": [{"port": "no"}]}],
)
async def test_a_server_of_what_does_not_exist_is_refused(
    client: httpx.AsyncClient, login: Login, world: World, wrong: dict[str, Any]
) -> None:
    answer = await _boot(client, await login(), **wrong)
    assert answer.status_code == 400
    assert "badRequest" in answer.json()
    assert world.store.list("server") == []


async def test_the_flavor_is_embedded_from_2_47_on(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    made = await _boot(client, headers)
    url = f"{NOVA}/servers/{made.json()['server']['id']}"
    assert (await client.get(url, headers=headers)).json()["server"]["flavor"]["id"] == "2"
    newer = await client.get(url, headers=headers | {"OpenStack-API-Version": "compute 2.47"})
    assert newer.json()["server"]["flavor"]["original_name"] == "m1.small"


async def test_server_groups_and_limits(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login() | {"OpenStack-API-Version": "compute 2.15"}
    group = {"name": "bay", "policies": ["soft-anti-affinity"]}
    made = (await client.post(f"{NOVA}/os-server-groups", json={"server_group": group}, headers=headers)).json()
    group_id = made["server_group"]["id"]
    hints = {"group": group_id}
    server = (await _boot(client, headers, **{"os:scheduler_hints": hints})).json()["server"]
    url = f"{NOVA}/os-server-groups/{group_id}"
    assert (await client.get(url, headers=headers)).json()["server_group"]["members"] == [server["id"]]
    used = (await client.get(f"{NOVA}/limits", headers=headers)).json()["limits"]["absolute"]
    assert (used["totalInstancesUsed"], used["totalRAMUsed"], used["maxTotalInstances"]) == (1, 2048, -1)
    assert (await client.delete(url, headers=headers)).status_code == 204
    assert (await client.get(url, headers=headers)).status_code == 404


async def test_boot_server_takes_names_for_flavor_and_image(world: World) -> None:
    server = world.boot_server(project_id("demo"), ServerSpec(name="n", flavor="m1.small", image="coreos"))
    assert server.attrs["flavor_id"] == "2"
    assert server.attrs["image_id"] == stable_id("image", "coreos")


async def test_attached_volumes_are_let_go_with_the_server(
    client: httpx.AsyncClient, login: Login, world: World
) -> None:
    headers = await login()
    cinder = f"/volume/v3/{project_id('demo')}/volumes"
    made = await client.post(cinder, json={"volume": {"size": 5, "name": "docker"}}, headers=headers)
    volume_id = made.json()["volume"]["id"]
    server_id = (await _boot(client, headers)).json()["server"]["id"]
    url = f"{NOVA}/servers/{server_id}/os-volume_attachments"
    await client.post(url, json={"volumeAttachment": {"volumeId": volume_id}}, headers=headers)
    shown = (await client.get(f"{cinder}/{volume_id}", headers=headers)).json()["volume"]
    assert (shown["status"], shown["attachments"][0]["server_id"]) == ("in-use", server_id)
    refused = await client.delete(f"{cinder}/{volume_id}", headers=headers)
    assert refused.status_code == 400
    world.delete_server(server_id)
    assert (await client.delete(f"{cinder}/{volume_id}", headers=headers)).status_code == 202
    assert (await client.get(f"{cinder}/detail", headers=headers)).json()["volumes"] == []
