"""Where servers are put and what they boot from: server groups, zones, volumes made of images."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cloudsim.fixtures import project_id
from cloudsim.world import World, stable_id
from tests.cloudsim.core.conftest import Login

NOVA, CINDER = "/compute/v2.1", f"/volume/v3/{project_id('demo')}"
GROUPS = f"{NOVA}/os-server-groups"
IMAGE = stable_id("image", "coreos-stable")
ADMIN_QUOTA = f"{NOVA}/os-quota-sets/{project_id('demo')}"


def at(headers: dict[str, str], version: str) -> dict[str, str]:
    return headers | {"OpenStack-API-Version": f"compute {version}"}


async def boot(client: httpx.AsyncClient, headers: dict[str, str], **attrs: Any) -> httpx.Response:
    body = {"name": "node", "flavorRef": "2", "imageRef": IMAGE, "networks": "none", **attrs}
    return await client.post(f"{NOVA}/servers", json={"server": body}, headers=headers)


async def group(client: httpx.AsyncClient, headers: dict[str, str], name: str = "bay-nodes") -> httpx.Response:
    body = {"name": name, "policy": "soft-anti-affinity"}
    return await client.post(GROUPS, json={"server_group": body}, headers=at(headers, "2.64"))


@pytest.mark.parametrize(
    ("version", "body", "status"),
    [
        ("2.1", {"policies": ["anti-affinity"]}, 200),
        ("2.14", {"policies": ["soft-affinity"]}, 400),
        ("2.15", {"policies": ["soft-affinity"]}, 200),
        ("2.15", {"policies": ["affinity", "anti-affinity"]}, 400),
        ("2.63", {"policy": "affinity"}, 400),
        ("2.64", {"policies": ["affinity"]}, 400),
        ("2.64", {"policy": "affinity"}, 200),
        ("2.64", {"policy": "close"}, 400),
        ("2.64", {}, 400),
    ],
)
async def test_a_groups_policy_by_microversion(
    client: httpx.AsyncClient, login: Login, version: str, body: dict[str, Any], status: int
) -> None:
    headers = at(await login(), version)
    made = await client.post(GROUPS, json={"server_group": {"name": "g", **body}}, headers=headers)
    assert made.status_code == status, made.text
    if status == 200:
        assert made.json()["server_group"].items() >= body.items()
        assert ("project_id" in made.json()["server_group"]) is (version != "2.1")


async def test_groups_may_share_a_name_and_are_listed_by_offset(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    made = [(await group(client, headers)).json()["server_group"]["id"] for _ in range(3)]
    assert len(set(made)) == 3

    async def listed(query: str) -> list[str]:
        answer = await client.get(f"{GROUPS}?{query}", headers=headers)
        return [one["id"] for one in answer.json()["server_groups"]]

    assert await listed("") == made
    assert await listed("limit=2") == made[:2]
    assert await listed("limit=2&offset=2") == made[2:]
    assert await listed("offset=3") == []
    assert (await client.get(f"{GROUPS}?offset=x", headers=headers)).status_code == 400
    other = await login("alt")
    assert (await client.get(GROUPS, headers=other)).json()["server_groups"] == []
    assert (await client.get(f"{GROUPS}/{made[0]}", headers=other)).status_code == 404
    assert (await client.delete(f"{GROUPS}/{made[0]}", headers=other)).status_code == 404


async def test_quotas_of_groups_and_of_each_groups_members(client: httpx.AsyncClient, login: Login) -> None:
    headers, admin = await login(), await login("admin")
    quota = {"quota_set": {"server_groups": 2, "server_group_members": 1}}
    await client.put(ADMIN_QUOTA, json=quota, headers=admin)
    first, second = [(await group(client, headers)).json()["server_group"]["id"] for _ in range(2)]
    refused = await group(client, headers)
    assert (refused.status_code, refused.json()["forbidden"]["message"]) == (
        403,
        "Quota exceeded, too many server groups.",
    )
    assert (await boot(client, headers, **{"os:scheduler_hints": {"group": first}})).status_code == 202
    full = await boot(client, headers, **{"os:scheduler_hints": {"group": first}})
    assert (full.status_code, full.json()["forbidden"]["message"]) == (403, "Quota exceeded, too many servers in group")
    assert (await boot(client, headers, **{"os:scheduler_hints": {"group": second}})).status_code == 202
    most = (await client.get(f"{NOVA}/limits", headers=headers)).json()["limits"]["absolute"]
    assert (most["maxServerGroups"], most["totalServerGroupsUsed"], most["maxServerGroupMembers"]) == (2, 2, 1)


async def test_a_place_that_is_not_there(client: httpx.AsyncClient, login: Login, world: World) -> None:
    headers = await login()
    zones = (await client.get(f"{NOVA}/os-availability-zone", headers=headers)).json()["availabilityZoneInfo"]
    assert [(one["zoneName"], one["zoneState"]["available"]) for one in zones] == [("nova", True)]
    assert (await boot(client, headers, availability_zone="nova")).status_code == 202
    nowhere = await boot(client, headers, availability_zone="mars")
    assert nowhere.status_code == 400
    assert nowhere.json()["badRequest"]["message"] == "The requested availability zone is not available"
    lost = await boot(client, headers, **{"os:scheduler_hints": {"group": stable_id("x", "y")}})
    assert lost.status_code == 400
    assert "Instance group" in lost.text
    world.settings.zones = ("east", "west")
    assert (await boot(client, headers, availability_zone="west")).status_code == 202


def root(**attrs: Any) -> dict[str, Any]:
    mapping = {"boot_index": 0, "uuid": IMAGE, "source_type": "image", "destination_type": "volume", "volume_size": 10}
    return {"imageRef": "", "block_device_mapping_v2": [{**mapping, **attrs}]}


@pytest.mark.parametrize("dies", [True, False])
async def test_boot_from_a_volume_that_nova_makes(
    client: httpx.AsyncClient, login: Login, world: World, dies: bool
) -> None:
    headers = await login()
    made = await boot(client, headers, **root(delete_on_termination=dies))
    assert made.status_code == 202, made.text
    server_id = made.json()["server"]["id"]
    shown = (await client.get(f"{NOVA}/servers/{server_id}", headers=at(headers, "2.3"))).json()["server"]
    (volume,) = (await client.get(f"{CINDER}/volumes/detail", headers=headers)).json()["volumes"]
    assert shown["image"] == ""
    assert shown["os-extended-volumes:volumes_attached"] == [{"id": volume["id"], "delete_on_termination": dies}]
    assert (volume["name"], volume["size"], volume["bootable"], volume["status"]) == ("", 10, "true", "in-use")
    assert volume["volume_image_metadata"]["image_id"] == IMAGE
    assert volume["attachments"][0]["device"] == "/dev/vda"
    world.delete_server(server_id)
    left = (await client.get(f"{CINDER}/volumes/detail", headers=headers)).json()["volumes"]
    assert [one["status"] for one in left] == ([] if dies else ["available"])


async def test_boot_from_a_volume_of_an_image(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    wanted = {"size": 8, "name": "root", "imageRef": IMAGE}
    volume = (await client.post(f"{CINDER}/volumes", json={"volume": wanted}, headers=headers)).json()["volume"]
    assert volume["bootable"] == "true"
    made = await boot(client, headers, **root(source_type="volume", uuid=volume["id"]))
    shown = (await client.get(f"{NOVA}/servers/{made.json()['server']['id']}", headers=headers)).json()["server"]
    assert shown["os-extended-volumes:volumes_attached"] == [{"id": volume["id"]}]


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"source_type": "volume", "uuid": "no"}, "failed to get volume no"),
        ({"volume_size": 5}, "cannot be smaller than the image minDisk size 6GB"),
        ({"volume_size": 0}, "non-zero size"),
        ({"uuid": "no"}, "Invalid image identifier"),
    ],
)
async def test_boot_volumes_that_cannot_be(
    client: httpx.AsyncClient, login: Login, world: World, attrs: dict[str, Any], words: str
) -> None:
    answer = await boot(client, await login(), **root(**attrs))
    assert answer.status_code == 400
    assert words in answer.json()["badRequest"]["message"]
    assert (world.store.list("server"), world.store.list("volume")) == ([], [])


async def test_a_volume_of_an_image_that_does_not_fit(client: httpx.AsyncClient, login: Login) -> None:
    for body, words in (
        ({"size": 1, "imageRef": IMAGE}, "minDisk"),
        ({"size": 9, "imageRef": "no"}, "Invalid image identifier"),
    ):
        answer = await client.post(f"{CINDER}/volumes", json={"volume": body}, headers=await login())
        assert answer.status_code == 400
        assert words in answer.json()["badRequest"]["message"]
