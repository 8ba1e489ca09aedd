"""Bays' APIs in a whole simulated cloud: opened over the control door, with the servers of the bay's stack as nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cloudsim.heat.support import Heat, heat_of, small
from tests.support.coe import TestAuthority, loopback_address

BAY = "0b7b0c5e-0000-4000-8000-00000000000a"
DOOR = "/control/coe"


@pytest.fixture
async def heat() -> AsyncIterator[Heat]:
    """A cloud in virtual time, which closes what was opened."""
    async with heat_of() as found:
        yield found
        await found.world.coe.close()


def nodes(*names: str, image: str = "ubuntu-24.04", bay: str = BAY) -> dict[str, Any]:
    """A template with these servers, each of which signals when it is up."""
    resources: dict[str, Any] = {}
    for name in names:
        resources[f"{name}-up"] = {"type": "OS::Heat::WaitConditionHandle"}
        role = name.partition("-")[0]
        resources[name] = {
            "type": "OS::Nova::Server",
            "properties": {
                "name": name,
                "flavor": "m1.medium",
                "image": image,
                "image_update_policy": "REPLACE",
                "user_data_format": "RAW",
                "user_data": {"get_attr": [f"{name}-up", "curl_cli"]},
                "metadata": {"jeroboam_bay": bay, "jeroboam_role": role},
            },
        }
    return small(resources)


async def opened(heat: Heat, **more: Any) -> str:
    """Open a bay's API; its path below /control."""
    body = {"address": loopback_address(), "port": 0, "bay": BAY, **more}
    answer = await heat.client.post(DOOR, json=body)
    assert answer.status_code == 201, answer.text
    return f"{DOOR}/{answer.json()['address']}/{answer.json()['port']}"


async def do(heat: Heat, path: str, method: str, **arguments: Any) -> Any:
    answer = await heat.client.post(f"{path}/{method}", json=arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def ready(heat: Heat, path: str) -> dict[str, str]:
    return {one["name"]: one["ready"] for one in await do(heat, path, "nodes")}


async def test_servers_are_nodes_after_their_signal_until_they_are_gone(heat: Heat) -> None:
    stack = await heat.make("bay", **nodes("master-0", "worker-0"))
    await heat.make("other", **nodes("worker-9", bay="another"))
    path = await opened(heat)
    assert await ready(heat, path) == {}
    await heat.world.clock.advance(3.2)
    assert [server.get("status") for server in heat.world.store.list("server")] == ["ACTIVE"] * 3
    assert await ready(heat, path) == {}
    await heat.world.clock.advance(1)
    assert await ready(heat, path) == {"master-0": "True", "worker-0": "True"}
    await do(heat, path, "add_deployment", name="web", replicas=2, cpu="1500m")
    assert [pod["node"] for pod in await do(heat, path, "pods")] in (["worker-0", None], [None, "worker-0"])
    assert (await heat.update(stack, **nodes("master-0", "worker-0", "worker-1"))).status_code == 202
    await heat.world.clock.advance(5)
    assert {pod["node"] for pod in await do(heat, path, "pods")} == {"worker-0", "worker-1"}
    assert (await heat.update(stack, **nodes("master-0", "worker-1"))).status_code == 202
    await heat.world.clock.advance(5)
    await ready(heat, path)
    await heat.world.clock.advance(40)
    assert (await ready(heat, path))["worker-0"] == "Unknown"


async def test_a_server_that_stops_is_silent_and_is_mended_by_a_reboot(heat: Heat) -> None:
    await heat.make("bay", **nodes("worker-0"))
    path = await opened(heat)
    await heat.world.clock.advance(5)
    server = heat.servers()["worker-0"]
    await heat.client.put(f"/control/servers/{server}/status", json={"status": "SHUTOFF"})
    await ready(heat, path)
    await heat.world.clock.advance(40)
    assert await ready(heat, path) == {"worker-0": "Unknown"}
    await heat.client.put(f"/control/servers/{server}/status", json={"status": "ACTIVE"})
    assert await ready(heat, path) == {"worker-0": "True"}
    await do(heat, path, "fail_node", name="worker-0", silent=False)
    assert await ready(heat, path) == {"worker-0": "False"}
    reboot = {"reboot": {"type": "HARD"}}
    assert (await heat.client.post(f"/compute/v2.1/servers/{server}/action", json=reboot)).status_code == 202
    await heat.world.clock.advance(5)
    assert await ready(heat, path) == {"worker-0": "True"}


async def test_a_server_that_never_signals_is_no_node(heat: Heat) -> None:
    await heat.client.post("/control/heat/behaviours", json={"effect": "never_signal", "path": "worker-1*"})
    await heat.make("bay", **nodes("worker-0", "worker-1"))
    path = await opened(heat)
    await heat.world.clock.advance(60)
    assert await ready(heat, path) == {"worker-0": "True"}


@pytest.mark.parametrize(("engine", "count"), [("kubernetes", 1), ("docker", 2), ("swarm", 1), ("mesos", 1)])
async def test_a_server_that_replaces_another_is_a_machine_of_its_own(heat: Heat, engine: str, count: int) -> None:
    """Kubernetes knows its node by name; a docker that joins anew is another node, a Mesos agent too."""
    stack = await heat.make("bay", **nodes("worker-0"))
    path = await opened(heat, engine=engine, master_port=0)
    await heat.world.clock.advance(5)
    (before,) = await do(heat, path, "nodes")
    assert (await heat.update(stack, **nodes("worker-0", image="ubuntu-mesos"))).status_code == 202
    await heat.world.clock.advance(20)
    after = await do(heat, path, "nodes")
    assert [one["name"] for one in after] == ["worker-0"] * count
    assert (after[-1].get("id") == before.get("id")) == (engine in ("kubernetes", "swarm"))


async def test_certificates_are_taken_and_changed_while_the_state_stays(heat: Heat, tmp_path: Path) -> None:
    address, first, second = loopback_address(), TestAuthority("first"), TestAuthority("second")
    machines = [{"name": "n", "cpu": 4, "memory": 8192}]

    async def post(authority: TestAuthority, port: int) -> httpx.Response:
        identity = authority.identity(address)
        pems = {"certificate": identity.certificate, "key": identity.key, "ca": identity.authority}
        return await heat.client.post(DOOR, json={"address": address, "port": port, "nodes": machines, **pems})

    made = await post(first, 0)
    port = made.json()["port"]
    await do(heat, f"{DOOR}/{address}/{port}", "add_deployment", name="web")
    changed = await post(second, port)
    assert (made.status_code, changed.status_code) == (201, 200)
    assert (await heat.client.get(DOOR)).json()["endpoints"][0]["tls"] is True
    certificate, key = second.issue("admin", "system:masters")
    file = tmp_path / "client.pem"
    file.write_text(key + certificate)
    context = httpx.create_ssl_context(verify=False)
    context.load_verify_locations(cadata=second.pem)
    context.check_hostname, context.verify_mode = True, 2  # type: ignore[assignment]
    context.load_cert_chain(file)
    async with httpx.AsyncClient(base_url=f"https://{address}:{port}", verify=context) as client:
        assert len((await client.get("/api/v1/pods")).json()["items"]) == 1
    assert key not in repr(heat.world.coe.get(address, port))


@pytest.mark.parametrize("engine", ["docker", "swarm", "mesos"])
async def test_the_other_engines(heat: Heat, engine: str) -> None:
    await heat.make("bay", **nodes("master-0", "worker-0"))
    await heat.world.clock.advance(5)
    path = await opened(heat, engine=engine, master_port=0)
    _, _, _, address, port = path.split("/")
    async with httpx.AsyncClient(base_url=f"http://{address}:{port}") as client:
        answer = await client.get("/v2/info" if engine == "mesos" else "/info")
    assert answer.status_code == 200, answer.text
    shown = (await heat.client.get(DOOR)).json()["endpoints"]
    assert len(shown) == (2 if engine == "mesos" else 1)
    await heat.client.post("/control/reset")
    assert (await heat.client.get(DOOR)).json()["endpoints"] == []


async def test_what_cannot_be_is_refused_with_words(heat: Heat) -> None:
    path = await opened(heat)
    address, port = path.split("/")[3:]
    for body, status in (
        ({"address": "192.0.2.1", "port": 0}, 400),
        ({"address": "nowhere", "port": 0}, 400),
        ({"address": address, "port": int(port)}, 409),
        ({"address": address, "port": 0, "engine": "nomad"}, 400),
        ({"address": address, "port": 0, "options": {"colour": "red"}}, 400),
        ({"address": address, "port": 0, "options": {"version": "new"}}, 400),
        ({"address": address, "port": 0, "certificate": "x"}, 400),
        ({"address": address, "port": 0, "certificate": "x", "key": "y", "ca": "z"}, 400),
        ({"address": address, "port": 0, "unknown": 1}, 400),
    ):
        assert (await heat.client.post(DOOR, json=body)).status_code == status, body
    for call, arguments, status in (
        ("explode", {}, 404),
        ("handle", {}, 404),
        ("add_node", {}, 400),
        ("scale", {"name": "none", "replicas": 1}, 404),
        ("misbehave", {"kind": "dance"}, 400),
    ):
        assert (await heat.client.post(f"{path}/{call}", json=arguments)).status_code == status, call
    assert (await heat.client.post(f"{path}/misbehave", json={"kind": "hang", "count": 1})).json()["result"][
        "kind"
    ] == "hang"
    assert (await heat.client.delete(path)).status_code == 204
    assert (await heat.client.delete(path)).status_code == 404
