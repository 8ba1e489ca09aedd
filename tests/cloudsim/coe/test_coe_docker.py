"""A swarm's nodes, services and tasks, over docker's API; and classic Swarm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudsim.coe.docker.bay import DockerBay
from tests.support.coe import PlayedBay, classic_bay, docker_bay


@pytest.fixture
async def bay() -> AsyncIterator[PlayedBay[DockerBay]]:
    async with docker_bay(nodes=3) as played:
        yield played


@pytest.fixture
async def client(bay: PlayedBay[DockerBay], tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as found:
        yield found


async def turn(client: httpx.AsyncClient, node: str, availability: str) -> httpx.Response:
    shown = (await client.get(f"/v1.43/nodes/{node}")).json()
    spec = shown["Spec"] | {"Availability": availability}
    version = {"version": str(shown["Version"]["Index"])}
    return await client.post(f"/v1.43/nodes/{node}/update", params=version, json=spec)


def places(engine: DockerBay, service: str = "web") -> list[str | None]:
    return sorted((task["node"] for task in engine.tasks() if task["service"] == service), key=str)


async def test_who_it_is(client: httpx.AsyncClient) -> None:
    assert (await client.head("/_ping")).text == ""
    assert (await client.get("/_ping")).text == "OK"
    assert (await client.get("/v1.24/version")).json()["ApiVersion"] == "1.43"
    swarm = (await client.get("/info")).json()["Swarm"]
    assert (swarm["LocalNodeState"], swarm["ControlAvailable"], swarm["Nodes"], swarm["Managers"]) == (
        "active",
        True,
        4,
        1,
    )
    new = await client.get("/v1.99/info")
    told = "client version 1.99 is too new. Maximum supported API version is 1.43"
    assert (new.status_code, new.json()) == (400, {"message": told})
    assert (await client.get("/v1.5/info")).status_code == 400
    assert (await client.get("/containers/json")).status_code == 404


async def test_drained_nodes_lose_their_tasks_to_others(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_service("agent", everywhere=True)
    bay.engine.add_service("web", 4, cpu=0.5)
    assert places(bay.engine) == ["master-0", "node-0", "node-1", "node-2"]
    (node,) = (one["id"] for one in bay.engine.nodes() if one["name"] == "node-0")
    assert (await turn(client, node, "drain")).status_code == 200
    assert "node-0" not in places(bay.engine)
    assert len(places(bay.engine)) == 4
    assert places(bay.engine, "agent") == ["master-0", "node-1", "node-2"]
    left = (await client.get("/tasks", params={"filters": '{"node":["node-0"],"desired-state":["shutdown"]}'})).json()
    assert {task["Status"]["State"] for task in left} == {"shutdown"}
    assert (await turn(client, "node-0", "active")).status_code == 200
    assert "node-0" in places(bay.engine, "agent")


async def test_a_paused_node_keeps_what_it_has(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_service("web", 4)
    await turn(client, "node-1", "pause")
    bay.engine.scale("web", 8)
    assert places(bay.engine).count("node-1") == 1


async def test_tasks_without_room_wait_with_the_schedulers_words(bay: Any, client: httpx.AsyncClient) -> None:
    await turn(client, "node-0", "drain")
    bay.engine.add_service("big", 1, cpu=4)
    bay.engine.add_service("picky", 1, constraints=["node.labels.disk==ssd"])
    waits = {task["service"]: task["waits"] for task in bay.engine.tasks()}
    for service, why in (("big", "insufficient resources"), ("picky", "scheduling constraints not satisfied")):
        assert waits[service] == f"no suitable node ({why} on 3 nodes; 1 node not available for new tasks)"
    bay.engine.label("node-1", {"disk": "ssd"})
    bay.engine.add_node("node-3", cpu=8)
    assert (places(bay.engine, "big"), places(bay.engine, "picky")) == (["node-3"], ["node-1"])


async def test_an_update_from_an_old_version_is_out_of_sequence(bay: Any, client: httpx.AsyncClient) -> None:
    node = (await client.get("/nodes/node-0")).json()
    bay.engine.label("node-0", {"by": "somebody"})
    version = {"version": str(node["Version"]["Index"])}
    refused = await client.post(f"/nodes/{node['ID']}/update", params=version, json=node["Spec"])
    assert refused.status_code == 500
    assert refused.json() == {"message": "rpc error: code = Unknown desc = update out of sequence"}
    missing = await client.post(f"/nodes/{node['ID']}/update", json=node["Spec"])
    assert (missing.status_code, missing.json()["message"][:20]) == (400, "invalid node version")


async def test_nodes_are_removed_when_they_are_down(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_service("web", 4)
    node = (await client.get("/nodes/node-2")).json()["ID"]
    refused = await client.delete(f"/nodes/{node}")
    told = f"rpc error: code = FailedPrecondition desc = node {node} is not down and can't be removed"
    assert (refused.status_code, refused.json()["message"]) == (400, told)
    bay.engine.remove_node("node-2")
    await bay.clock.advance(14)
    assert (await client.get(f"/nodes/{node}")).json()["Status"]["State"] == "ready"
    await bay.clock.advance(1)
    assert (await client.get(f"/nodes/{node}")).json()["Status"]["State"] == "down"
    assert len([one for one in bay.engine.tasks() if one["wanted"] == "running" and one["node"] != "node-2"]) == 4
    assert (await client.delete(f"/nodes/{node}")).status_code == 200
    assert (await client.get(f"/nodes/{node}")).status_code == 404
    master = await client.delete("/nodes/master-0", params={"force": "1"})
    assert "is a cluster manager and is a member of the raft cluster" in master.json()["message"]


async def test_a_task_that_nobody_restarts_is_lost(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_service("once", 1, restart="none", constraints=["node.hostname==node-0"])
    assert places(bay.engine, "once") == ["node-0"]
    await turn(client, "node-0", "drain")
    assert places(bay.engine, "once") == []


async def test_services_over_the_api(bay: Any, client: httpx.AsyncClient) -> None:
    spec = {
        "Name": "api",
        "TaskTemplate": {"ContainerSpec": {"Image": "api:1"}},
        "Mode": {"Replicated": {"Replicas": 2}},
    }
    made = (await client.post("/services/create", json=spec)).json()["ID"]
    assert (await client.post("/services/create", json=spec)).status_code == 409
    assert (await client.post("/services/create", json=spec | {"Name": "no good"})).status_code == 400
    bad = {"Name": "bad", "Mode": {"Replicated": {"Replicas": "two"}}}
    assert (await client.post("/services/create", json=bad)).status_code == 400
    assert len(places(bay.engine, "api")) == 2
    shown = (await client.get("/services/api")).json()
    version = {"version": str(shown["Version"]["Index"])}
    changed = shown["Spec"] | {"Mode": {"Replicated": {"Replicas": 5}}}
    assert (await client.post(f"/services/{made}/update", params=version, json=changed)).status_code == 200
    assert (await client.post(f"/services/{made}/update", params=version, json=changed)).status_code == 500
    assert len(places(bay.engine, "api")) == 5
    assert [one["ID"] for one in (await client.get("/services", params={"filters": '{"name":["api"]}'})).json()] == [
        made
    ]
    assert (await client.delete("/services/api")).status_code == 200
    assert bay.engine.tasks() == []
    assert (await client.get("/services/api")).json() == {"message": "service api not found"}


async def test_old_docker_words_it_otherwise(tmp_path: Path) -> None:
    async with docker_bay(nodes=1, api="1.24", version="1.12.6") as old:
        old.engine.add_service("big", 1, cpu=64)
        async with httpx.AsyncClient(base_url=old.url, verify=old.context(tmp_path)) as client:
            (task,) = (await client.get("/v1.24/tasks")).json()
            assert task["Status"]["Message"] == "no suitable node (insufficient resources on 2 nodes)"
            node = (await client.get("/nodes/node-0")).json()
            refused = await client.post("/nodes/node-0/update", params={"version": "1"}, json=node["Spec"])
            assert refused.json() == {"message": "rpc error: code = 2 desc = update out of sequence"}


async def test_a_docker_that_is_no_manager_says_so() -> None:
    async with docker_bay(manager=False, tls=False) as bay, httpx.AsyncClient(base_url=bay.url) as client:
        assert (await client.get("/nodes")).status_code == 503
        assert (await client.get("/info")).json()["Swarm"]["ControlAvailable"] is False


async def test_classic_swarm_moves_only_what_asked_for_it(tmp_path: Path) -> None:
    async with classic_bay(nodes=2) as bay:
        bay.engine.add_container("db", node="node-0", cpu=1, memory=512)
        moving = bay.engine.add_container("web", node="node-0", cpu=1, again=True)
        async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as client:
            lines = (await client.get("/info")).json()["SystemStatus"]
            assert ["Nodes", "2"] in lines
            assert [f"  └ {key}" for key in ("Reserved CPUs", "Reserved Memory")] == [
                key for key, _ in lines[lines.index([" node-0", "10.0.0.4:2375"]) :][4:6]
            ]
            assert ["  └ Reserved Memory", "512 MiB / 4 GiB"] in lines
            full = await client.post("/containers/create", params={"name": "x"}, json={"HostConfig": {"CpuShares": 9}})
            assert (full.status_code, full.text) == (500, "no resources available to schedule container\n")
            bay.engine.remove_node("node-0")
            await bay.clock.advance(30)
            names = [one["Names"][0] for one in (await client.get("/containers/json")).json()]
            assert sorted(names) == ["/node-0/db", "/node-1/web"]
            assert moving not in [one["id"] for one in bay.engine.containers()]
            assert ["  └ Status", "Unhealthy"] in (await client.get("/info")).json()["SystemStatus"]
            await bay.clock.advance(150)
            assert ["Nodes", "1"] in (await client.get("/info")).json()["SystemStatus"]
            assert (await client.post("/containers/web/stop")).status_code == 204
            assert (await client.post("/containers/web/stop")).status_code == 304
