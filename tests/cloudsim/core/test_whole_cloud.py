"""The services together: a stack's things seen through Nova, faults on Heat calls, and nothing left over."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from cloudsim.fixtures import project_id
from cloudsim.world import World
from tests.cloudsim.core.conftest import Login, auth_body

HEAT = f"/orchestration/v1/{project_id('demo')}/stacks"
TEMPLATE: dict[str, Any] = {
    "heat_template_version": "2018-08-31",
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {"network": {"get_resource": "net"}, "cidr": "10.0.0.0/24"},
        },
        "nodes": {
            "type": "OS::Heat::ResourceGroup",
            "depends_on": "subnet",
            "properties": {
                "count": 2,
                "resource_def": {
                    "type": "OS::Nova::Server",
                    "properties": {
                        "name": "node-%index%",
                        "image": "coreos",
                        "flavor": "m1.small",
                        "networks": [{"network": {"get_resource": "net"}}],
                    },
                },
            },
        },
    },
}


def _body(name: str) -> dict[str, Any]:
    return {"stack_name": name, "template": TEMPLATE, "timeout_mins": 60}


async def _counts(client: httpx.AsyncClient) -> dict[str, int]:
    counts: dict[str, int] = (await client.get("/control/state?records=false")).json()["counts"]
    return counts


async def test_a_stack_from_birth_to_end(client: httpx.AsyncClient, login: Login, world: World) -> None:
    before = await _counts(client)
    headers = await login()
    made = await client.post(HEAT, json=_body("bay-1"), headers=headers)
    assert made.status_code == 201, made.text
    url = f"{HEAT}/bay-1/{made.json()['stack']['id']}"
    await world.clock.advance(60)
    assert (await client.get(url, headers=headers)).json()["stack"]["stack_status"] == "CREATE_COMPLETE"
    servers = (await client.get("/compute/v2.1/servers/detail?name=node", headers=headers)).json()["servers"]
    assert [s["status"] for s in servers] == ["ACTIVE", "ACTIVE"]
    assert all(address for s in servers for address in s["addresses"].values())
    assert (await client.delete(url, headers=headers)).status_code == 204
    await world.clock.advance(60)
    assert await _counts(client) == before


async def test_a_stack_survives_its_lost_answer_and_can_be_found(server: str, world: World) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        token = await client.post("/identity/v3/auth/tokens", json=auth_body("jeroboam", "demo"))
        headers = {"X-Auth-Token": token.headers["X-Subject-Token"]}
        await client.post("/control/faults", json={"kind": "answer_lost", "method": "POST", "path": "/stacks$"})
        with pytest.raises(httpx.TransportError):
            await client.post(HEAT, json=_body("bay-1"), headers=headers)
        again = await client.post(HEAT, json=_body("bay-1"), headers=headers)
        assert again.status_code == 409
        found = (await client.get(f"{HEAT}?name=bay-1", headers=headers)).json()["stacks"]
        assert len(found) == 1


async def test_a_late_stack_appears_after_the_client_gave_up(server: str, world: World) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        token = await client.post("/identity/v3/auth/tokens", json=auth_body("jeroboam", "demo"))
        headers = {"X-Auth-Token": token.headers["X-Subject-Token"]}
        rule = {"kind": "late", "effect_at": 89, "answer_at": 90, "method": "POST", "path": "/stacks$"}
        await client.post("/control/faults", json=rule)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(HEAT, json=_body("bay-1"), headers=headers, timeout=0.3)
        assert (await client.get(HEAT, headers=headers)).json()["stacks"] == []
        await client.post("/control/clock/advance", json={"seconds": 91})
        assert len((await client.get(HEAT, headers=headers)).json()["stacks"]) == 1


async def test_a_lost_stack_is_gone_without_a_trace(client: httpx.AsyncClient, login: Login, world: World) -> None:
    headers = await login()
    made = await client.post(HEAT, json=_body("bay-1"), headers=headers)
    await world.clock.advance(60)
    assert (await client.post("/control/stacks/bay-1/lose")).status_code == 204
    await world.clock.advance(60)
    shown = await client.get(f"{HEAT}/bay-1/{made.json()['stack']['id']}", headers=headers)
    assert shown.status_code == 404


async def test_reset_ends_running_stacks(client: httpx.AsyncClient, login: Login, world: World) -> None:
    before = await _counts(client)
    await client.post(HEAT, json=_body("bay-1"), headers=await login())
    await world.clock.advance(1)
    assert (await client.post("/control/reset")).status_code == 204
    await world.clock.advance(600)
    assert await _counts(client) == before
    await asyncio.sleep(0)
    again = await client.post(HEAT, json=_body("bay-1"), headers=await login())
    assert again.status_code == 201
