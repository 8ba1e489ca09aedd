"""What kubectl and docker ask for beside the objects: discovery, tables, watches, networks, counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cloudsim.coe.docker.bay import DockerBay
from cloudsim.coe.kubernetes.bay import KubernetesBay
from tests.support.coe import PlayedBay, docker_bay, kubernetes_bay

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture
async def bay() -> AsyncIterator[PlayedBay[KubernetesBay]]:
    async with kubernetes_bay(nodes=2, masters=1) as played:
        yield played


@pytest.fixture
async def client(bay: PlayedBay[KubernetesBay], tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as found:
        yield found


@pytest.fixture
async def swarm() -> AsyncIterator[PlayedBay[DockerBay]]:
    async with docker_bay(nodes=2) as played:
        yield played


@pytest.fixture
async def docker(swarm: PlayedBay[DockerBay], tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{swarm.url}/v1.43", verify=swarm.context(tmp_path)) as found:
        yield found


async def test_discovery_names_every_resource_of_every_group(client: httpx.AsyncClient) -> None:
    groups = (await client.get("/apis")).json()["groups"]
    versions = ["v1", *(one["groupVersion"] for group in groups for one in group["versions"])]
    found: dict[str, dict[str, object]] = {}
    for version in versions:
        path = "/api/v1" if version == "v1" else f"/apis/{version}"
        found |= {one["name"]: one for one in (await client.get(path)).json()["resources"]}
    assert found["deployments"]["shortNames"] == ["deploy"]
    assert {"nodes", "deployments/scale", "persistentvolumeclaims", "poddisruptionbudgets"} <= found.keys()
    assert (await client.get("/apis/apps/v9")).status_code == 404


async def test_openapi_says_that_the_server_checks_fields(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi/v3")).json()["paths"]
    told = (await client.get(paths["apis/apps/v1"]["serverRelativeURL"])).json()["paths"]
    patch = told["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert [one["name"] for one in patch["parameters"]] == ["fieldValidation"]
    assert (await client.get("/openapi/v3/apis/none/v1")).status_code == 404


async def test_lists_and_objects_come_as_tables(bay: PlayedBay[KubernetesBay], client: httpx.AsyncClient) -> None:
    bay.engine.add_deployment("web", 2)
    table = (await client.get("/api/v1/nodes", headers=TABLE)).json()
    assert [one["name"] for one in table["columnDefinitions"]] == ["Name", "Status", "Roles", "Version", "Age"]
    assert table["rows"][0]["cells"][:4] == ["master-0", "Ready", "control-plane", "v1.28.4"]
    one = (await client.get("/apis/apps/v1/namespaces/default/deployments/web", headers=TABLE)).json()
    assert one["rows"][0]["cells"][:4] == ["web", "2/2", 2, 2]
    assert (await client.get("/api/v1/nodes")).json()["kind"] == "NodeList"


async def test_a_table_of_nothing_is_one(client: httpx.AsyncClient) -> None:
    table = (await client.get("/api/v1/namespaces/default/pods", headers=TABLE)).json()
    assert (table["kind"], table["rows"]) == ("Table", [])


async def test_a_watch_ends_so_that_who_watches_lists_anew(
    bay: PlayedBay[KubernetesBay], client: httpx.AsyncClient
) -> None:
    asked = asyncio.create_task(client.get("/api/v1/pods", params={"watch": "true"}))
    while not bay.engine.requests:
        await asyncio.sleep(0.01)
    assert not asked.done()
    await bay.clock.advance(5)
    answer = await asked
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")


async def test_services_get_addresses_and_ports_of_their_own(client: httpx.AsyncClient) -> None:
    specs = []
    for name, kind in (("a", "ClusterIP"), ("b", "NodePort"), ("c", "NodePort")):
        body = {"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}]}}
        specs.append((await client.post(SERVICES, json=body)).json()["spec"])
    assert len({one["clusterIP"] for one in specs}) == 3
    assert [one["ports"][0].get("nodePort") for one in specs] == [None, 30000, 30001]


async def test_networks_of_a_swarm(docker: httpx.AsyncClient) -> None:
    made = await docker.post("/networks/create", json={"Name": "back", "Labels": {"of": "shop"}})
    assert made.status_code == 201
    assert (await docker.get("/networks/back")).json()["Driver"] == "overlay"
    for label, count in (("of=shop", 1), ("of", 1), ("of=other", 0)):
        query = {"filters": f'{{"label": {{"{label}": true}}}}'}
        assert len((await docker.get("/networks", params=query)).json()) == count
    assert (await docker.delete("/networks/back")).status_code == 204
    assert (await docker.get("/networks/back")).status_code == 404


async def test_services_of_a_stack_with_their_counts(docker: httpx.AsyncClient) -> None:
    for name, stack in (("shop_web", "shop"), ("other", "other")):
        labels = {"com.docker.stack.namespace": stack}
        await docker.post("/services/create", json={"Name": name, "Labels": labels, "TaskTemplate": {}})
    query = {"filters": '{"label": {"com.docker.stack.namespace=shop": true}}', "status": "true"}
    (service,) = (await docker.get("/services", params=query)).json()
    assert service["ServiceStatus"] == {"RunningTasks": 1, "DesiredTasks": 1, "CompletedTasks": 0}
    assert len((await docker.get("/tasks", params={"filters": query["filters"]})).json()) == 1
    assert (await docker.get("/secrets")).json() == []
