"""The control endpoint: state, counting, time, settings, reset, and that it is for loopback only."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from cloudsim.app import create_app
from cloudsim.fixtures import IMAGES, project_id, user_id
from cloudsim.world import ServerSpec, World
from tests.cloudsim.core.conftest import Login


async def test_state_counts_and_lists(client: httpx.AsyncClient, world: World) -> None:
    world.boot_server(project_id("demo"), ServerSpec(name="a", flavor="2", user_data="secret"))
    world.boot_server(project_id("alt"), ServerSpec(name="b", flavor="2"))
    everything = (await client.get("/control/state")).json()
    assert everything["counts"]["server"] == 2
    assert everything["counts"]["image"] == len(IMAGES)
    demo = await client.get("/control/state?kind=server&project=demo")
    assert [r["name"] for r in demo.json()["records"]["server"]] == ["a"]
    assert "user_data" not in demo.json()["records"]["server"][0]
    assert "records" not in (await client.get("/control/state?records=false")).json()


async def test_state_shows_credentials_but_no_secrets(client: httpx.AsyncClient, login: Login) -> None:
    url = f"/identity/v3/users/{user_id('demo')}/application_credentials"
    await client.post(url, json={"application_credential": {"name": "ac"}}, headers=await login())
    state = (await client.get("/control/state?kind=application_credential&project=demo")).json()
    assert [r["name"] for r in state["records"]["application_credential"]] == ["ac"]
    assert not any("secret" in key for key in state["records"]["application_credential"][0])


async def test_requests_are_counted_by_template_and_project(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    await client.delete("/control/requests")
    for _ in range(3):
        await client.get(f"/volume/v3/{project_id('demo')}/volumes", headers=headers)
    found = (await client.get("/control/requests?service=volume")).json()
    expected = {"service": "volume", "method": "GET", "path": "/volume/v3/{id}/volumes", "project": project_id("demo")}
    assert found == {"requests": [{**expected, "count": 3}], "total": 3}


async def test_somebody_new(client: httpx.AsyncClient, login: Login) -> None:
    """Logs in with the name, is a member of a project of that name, and has the key pair of the guide."""
    assert (await client.post("/control/people", json={"name": "eve"})).status_code == 201
    assert (await client.post("/control/people", json={"name": "eve"})).status_code == 409
    headers = await login("eve", "eve")
    keys = (await client.get("/compute/v2.1/os-keypairs", headers=headers)).json()["keypairs"]
    assert [key["keypair"]["name"] for key in keys] == ["testkey"]


async def test_time_is_moved_from_outside(client: httpx.AsyncClient, world: World) -> None:
    server = world.boot_server(project_id("demo"), ServerSpec(name="a", flavor="2"))
    answer = await client.post("/control/clock/advance", json={"seconds": 3})
    assert answer.json()["elapsed"] == pytest.approx(3)
    assert server.attrs["status"] == "ACTIVE"
    assert (await client.post("/control/clock/advance", json={"seconds": -1})).status_code == 400
    slow = asyncio.create_task(world.clock.sleep(1_000))
    assert (await client.put("/control/speed", json={"speed": 1_000_000})).json() == {"speed": 1_000_000}
    await asyncio.wait_for(slow, 5)


async def test_the_catalog_s_container_address_can_be_set(client: httpx.AsyncClient, login: Login) -> None:
    await client.put("/control/catalog", json={"container": "http://127.0.0.1:1234/v1/"})
    catalog = await client.get("/identity/v3/auth/catalog", headers=await login())
    urls = {s["type"]: s["endpoints"][0]["url"] for s in catalog.json()["catalog"]}
    assert urls["container"] == urls["container-infra"] == "http://127.0.0.1:1234/v1"
    assert (await client.put("/control/catalog", json={"container": "ftp://x"})).status_code == 400


async def test_settings(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.patch("/control/settings", json={"boot_seconds": 9, "boot_failures": ["x"]})
    assert answer.status_code == 200
    assert (world.settings.boot_seconds, world.settings.boot_failures) == (9, frozenset({"x"}))
    for wrong in ({"boot_second": 9}, {"boot_seconds": "soon"}, {"speed": 2}):
        assert (await client.patch("/control/settings", json=wrong)).status_code == 400


async def test_reset_brings_back_the_fixtures(client: httpx.AsyncClient, login: Login, world: World) -> None:
    before = (await client.get("/control/state?records=false")).json()["counts"]
    headers = await login()
    world.boot_server(project_id("demo"), ServerSpec(name="a", flavor="2"))
    await client.post("/control/faults", json={"kind": "drop"})
    assert (await client.post("/control/reset")).status_code == 204
    assert (await client.get("/control/state?records=false")).json()["counts"] == before
    assert (await client.get("/compute/v2.1/flavors", headers=headers)).status_code == 401
    await login()


async def test_only_loopback_may_control(world: World) -> None:
    transport = httpx.ASGITransport(create_app(world), client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as outsider:
        assert (await outsider.get("/control/state")).status_code == 403
        assert (await outsider.get("/identity/v3")).status_code == 200


async def test_a_path_that_does_not_exist_is_404_in_each_shape(client: httpx.AsyncClient) -> None:
    for path, key in (("/identity/v3/no", "error"), ("/compute/v2.1/no", "title")):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert key in answer.json()
