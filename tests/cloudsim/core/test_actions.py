"""Nova's reboots: taken by state, seen while they go on, and recorded."""

from __future__ import annotations

import httpx

from cloudsim.fixtures import project_id
from cloudsim.world import ServerSpec, World
from tests.cloudsim.core.conftest import Login

NOVA = "/compute/v2.1"


async def test_a_hard_reboot_takes_a_boot_s_time_and_is_recorded(
    client: httpx.AsyncClient, login: Login, world: World
) -> None:
    headers = await login()
    server = world.boot_server(project_id("demo"), ServerSpec(name="n", flavor="2"))
    await world.clock.advance(60)
    path = f"{NOVA}/servers/{server.id}"
    for status in ("ACTIVE", "SHUTOFF", "ERROR"):
        world.store.update(server, status=status)
        done = await client.post(f"{path}/action", json={"reboot": {"type": "HARD"}}, headers=headers)
        assert done.status_code == 202, status
        assert (await client.get(path, headers=headers)).json()["server"]["status"] == "HARD_REBOOT"
        await world.clock.advance(60)
        assert (await client.get(path, headers=headers)).json()["server"]["status"] == "ACTIVE"
    listed = (await client.get(f"{path}/os-instance-actions", headers=headers)).json()["instanceActions"]
    assert [one["action"] for one in listed] == ["reboot", "reboot", "reboot", "create"]


async def test_what_is_no_reboot_or_cannot_be_one_is_refused(
    client: httpx.AsyncClient, login: Login, world: World
) -> None:
    headers, stranger = await login(), await login("alt")
    server = world.boot_server(project_id("demo"), ServerSpec(name="n", flavor="2"))
    path = f"{NOVA}/servers/{server.id}/action"
    hard = {"reboot": {"type": "HARD"}}
    assert (await client.post(path, json=hard, headers=headers)).status_code == 409, "it is still being built"
    await world.clock.advance(60)
    assert (await client.post(path, json={"os-start": None}, headers=headers)).status_code == 400
    assert (await client.post(path, json=hard, headers=stranger)).status_code == 404
    world.store.update(server, status="SHELVED_OFFLOADED")
    assert (await client.post(path, json=hard, headers=headers)).status_code == 409
