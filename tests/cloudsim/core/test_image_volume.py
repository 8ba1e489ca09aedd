"""Glance and Cinder."""

from __future__ import annotations

import httpx
import pytest

from cloudsim.fixtures import IMAGES, project_id
from tests.cloudsim.core.conftest import Login


async def test_images_by_name_and_id(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    for name, (distro, *_) in IMAGES.items():
        found = (await client.get(f"/image/v2/images?name={name}", headers=headers)).json()["images"]
        assert [i.get("os_distro", "") for i in found] == [distro]
        shown = (await client.get(f"/image/v2/images/{found[0]['id']}", headers=headers)).json()
        assert shown == found[0]
        assert shown["status"] == "active"
    assert (await client.get("/image/v2/images/coreos", headers=headers)).status_code == 404
    assert (await client.get("/image/v2/images")).status_code == 401
    assert (await client.get("/image/")).json()["versions"][0]["links"]


async def test_an_image_of_one_s_own(client: httpx.AsyncClient, login: Login) -> None:
    """Queued, then active; seen and changed by its project alone."""
    headers, others = await login(), await login("alt")
    made = await client.post("/image/v2/images", json={"name": "mine", "os_distro": "ubuntu"}, headers=headers)
    assert (made.status_code, made.json()["status"]) == (201, "queued")
    url = f"/image/v2/images/{made.json()['id']}"
    assert (await client.put(f"{url}/file", content=b"abc", headers=headers)).status_code == 204
    assert (await client.put(f"{url}/file", content=b"abc", headers=headers)).status_code == 409
    shown = (await client.get(url, headers=headers)).json()
    assert (shown["status"], shown["size"], shown["os_distro"]) == ("active", 3, "ubuntu")
    assert (await client.get(url, headers=others)).status_code == 404
    assert (await client.get("/image/v2/images?name=mine", headers=others)).json()["images"] == []
    patch = [{"op": "replace", "path": "/os_distro", "value": "coreos"}]
    assert (await client.patch(url, json=patch, headers=headers)).json()["os_distro"] == "coreos"
    public = (await client.get("/image/v2/images?name=coreos", headers=headers)).json()["images"][0]["id"]
    assert (await client.patch(f"/image/v2/images/{public}", json=patch, headers=headers)).status_code == 403
    assert (await client.delete(url, headers=headers)).status_code == 204
    assert (await client.get(url, headers=headers)).status_code == 404


async def test_volumes(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    base = f"/volume/v3/{project_id('demo')}"
    made = await client.post(f"{base}/volumes", json={"volume": {"size": 5, "name": "v"}}, headers=headers)
    assert made.status_code == 202
    volume = made.json()["volume"]
    assert (volume["status"], volume["volume_type"]) == ("creating", "lvmdriver-1")
    assert [v["id"] for v in (await client.get(f"{base}/volumes?name=v", headers=headers)).json()["volumes"]]
    assert (await client.get(f"{base}/volumes/detail?name=w", headers=headers)).json()["volumes"] == []
    absolute = (await client.get(f"{base}/limits", headers=headers)).json()["limits"]["absolute"]
    assert absolute["totalGigabytesUsed"] == 5
    url = f"{base}/volumes/{volume['id']}"
    assert (await client.delete(url, headers=headers)).status_code == 202
    assert (await client.get(url, headers=headers)).status_code == 404


async def test_types(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    base = f"/volume/v3/{project_id('demo')}"
    found = (await client.get(f"{base}/types", headers=headers)).json()["volume_types"]
    assert [t["name"] for t in found] == ["lvmdriver-1"]
    del found[0]["os-volume-type-access:is_public"]  # shown in lists only
    for type_id in ("default", found[0]["id"]):
        assert (await client.get(f"{base}/types/{type_id}", headers=headers)).json()["volume_type"] == found[0]
    assert (await client.get(f"{base}/types/no", headers=headers)).status_code == 404


@pytest.mark.parametrize(("body", "status"), [({"size": 0}, 400), ({}, 400), ({"size": 1, "volume_type": "no"}, 404)])
async def test_bad_volumes(client: httpx.AsyncClient, login: Login, body: dict[str, object], status: int) -> None:
    url = f"/volume/v3/{project_id('demo')}/volumes"
    assert (await client.post(url, json={"volume": body}, headers=await login())).status_code == status


async def test_another_project_s_path_is_refused(client: httpx.AsyncClient, login: Login) -> None:
    answer = await client.get(f"/volume/v3/{project_id('alt')}/volumes", headers=await login())
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"] == "Malformed request url"
