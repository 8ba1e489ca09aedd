"""Cinder's volumes follow a bay's work: attached to the server where it runs, free when it has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cloudsim.fixtures import project_id
from tests.cloudsim.coe.test_coe_control import BAY, DOOR, do, nodes
from tests.cloudsim.heat.support import Heat, heat_of
from tests.support.coe import loopback_address

TEXT = {"size": 1, "status": "available", "volume_type": "lvmdriver-1"}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1500Mi"}}}


@pytest.fixture
async def heat() -> AsyncIterator[Heat]:
    """A cloud in virtual time, with the servers of a bay; it closes what was opened."""
    async with heat_of() as found:
        await found.make("bay", **nodes("worker-0", "worker-1"))
        await found.world.clock.advance(5)
        yield found
        await found.world.coe.close()


class Engine:
    """A bay's API without TLS."""

    def __init__(self, heat: Heat, told: dict[str, Any]) -> None:
        self.heat, self.path = heat, f"{DOOR}/{told['address']}/{told['port']}"
        self.url = f"http://{told['address']}:{told['port']}"

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as client:
            answer = await client.request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


async def opened(heat: Heat, engine: str) -> Engine:
    body = {"address": loopback_address(), "port": 0, "master_port": 0, "bay": BAY, "engine": engine}
    answer = await heat.client.post(DOOR, json=body)
    assert answer.status_code == 201, answer.text
    return Engine(heat, answer.json())


def volumes(heat: Heat) -> dict[str, tuple[str, int, str]]:
    """Of each volume by name: its status, its size, and the server that has it."""
    store, names = heat.world.store, {server: name for name, server in heat.servers().items()}
    found = {}
    for one in store.list("volume"):
        held = store.find("volume_attachment", volume_id=one.id)
        where = names[held[0].attrs["server_id"]] if held else ""
        found[str(one.get("name"))] = (str(one.get("status")), int(one.attrs["size"]), where)
    return found


def mine(heat: Heat, name: str) -> str:
    """A volume of the project that the bay is in."""
    owner = heat.world.store.list("server")[0].project_id
    return heat.world.create_volume(owner, {"name": name, **TEXT}).id


def pod(name: str, node: str, **source: object) -> dict[str, Any]:
    containers = [{"name": "web", "image": "nginx"}]
    spec = {"containers": containers, "volumes": [{"name": "data", **source}], "nodeName": node}
    return {"metadata": {"name": name}, "spec": spec}


PODS = "/api/v1/namespaces/default/pods"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


async def test_a_volume_that_a_pod_names_is_where_the_pod_is(heat: Heat) -> None:
    """A second pod on another node waits for it until the first is gone."""
    engine, volume = await opened(heat, "kubernetes"), mine(heat, "data")
    await engine.ask("POST", PODS, pod("first", "worker-0", cinder={"volumeID": volume}))
    assert volumes(heat) == {"data": ("in-use", 1, "worker-0")}
    await engine.ask("POST", PODS, pod("second", "worker-1", cinder={"volumeID": volume}))
    await engine.ask("DELETE", f"{PODS}/first")
    await engine.ask("GET", PODS)
    assert volumes(heat) == {"data": ("in-use", 1, "worker-1")}
    await engine.ask("DELETE", f"{PODS}/second")
    assert volumes(heat) == {"data": ("available", 1, "")}


async def test_a_claim_gets_a_volume_that_goes_with_it(heat: Heat) -> None:
    engine = await opened(heat, "kubernetes")
    made = pod("db", "", persistentVolumeClaim={"claimName": "db"})
    del made["spec"]["nodeName"]
    await engine.ask("POST", PODS, made)
    (waits,) = await do(heat, engine.path, "pods")
    assert (waits["phase"], waits["waits"]) == ("Pending", "pod has unbound immediate PersistentVolumeClaims")
    await engine.ask("POST", CLAIMS, {"metadata": {"name": "db"}, "spec": dict(CLAIM)})
    claim = await engine.ask("GET", f"{CLAIMS}/db")
    assert (claim["status"]["phase"], claim["spec"]["storageClassName"]) == ("Bound", "cinder")
    (runs,) = await do(heat, engine.path, "pods")
    assert volumes(heat) == {claim["spec"]["volumeName"]: ("in-use", 2, runs["node"])}
    (volume,) = heat.world.store.list("volume")
    assert volume.get("metadata") == {"cinder.csi.openstack.org/cluster": BAY}
    await engine.ask("DELETE", f"{PODS}/db")
    await engine.ask("DELETE", f"{CLAIMS}/db")
    assert volumes(heat) == {}
    assert (await engine.ask("GET", "/api/v1/persistentvolumes"))["items"] == []


async def test_a_volume_that_was_there_stays_when_its_claim_goes(heat: Heat) -> None:
    engine, volume = await opened(heat, "kubernetes"), mine(heat, "data")
    source = {"driver": "cinder.csi.openstack.org", "volumeHandle": volume}
    spec = {"capacity": {"storage": "1Gi"}, "claimRef": {"name": "html", "namespace": "default"}, "csi": source}
    await engine.ask("POST", "/api/v1/persistentvolumes", {"metadata": {"name": "data"}, "spec": spec})
    await engine.ask("POST", CLAIMS, {"metadata": {"name": "html"}, "spec": CLAIM | {"volumeName": "data"}})
    await engine.ask("POST", PODS, pod("web", "worker-1", persistentVolumeClaim={"claimName": "html"}))
    assert volumes(heat) == {"data": ("in-use", 1, "worker-1")}
    await engine.ask("DELETE", f"{PODS}/web")
    await engine.ask("DELETE", f"{CLAIMS}/html")
    assert volumes(heat) == {"data": ("available", 1, "")}
    kept = await engine.ask("GET", "/api/v1/persistentvolumes/data")
    assert kept["status"]["phase"] == "Released"


async def test_no_volume_of_another_project_is_attached(heat: Heat) -> None:
    engine = await opened(heat, "kubernetes")
    foreign = heat.world.create_volume(project_id("alt"), {"name": "theirs", **TEXT}).id
    await engine.ask("POST", PODS, pod("web", "worker-0", cinder={"volumeID": foreign}))
    assert volumes(heat) == {"theirs": ("available", 1, "")}


SERVICE: dict[str, Any] = {
    "Name": "redis",
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "redis",
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "data",
                    "VolumeOptions": {"DriverConfig": {"Name": "rexray", "Options": {"size": "3"}}},
                }
            ],
        },
        "Placement": {"Constraints": ["node.hostname == worker-1"]},
    },
}
CONTAINER = {"Image": "redis", "HostConfig": {"VolumeDriver": "rexray", "Binds": ["data:/data"]}}
APP = {
    "id": "redis",
    "constraints": [["hostname", "CLUSTER", "worker-1"]],
    "container": {
        "docker": {
            "parameters": [{"key": "volume-driver", "value": "rexray"}, {"key": "volume", "value": "data:/data"}]
        }
    },
}


async def test_rexray_in_swarm_mode_makes_what_is_missing(heat: Heat) -> None:
    engine = await opened(heat, "docker")
    await engine.ask("POST", "/v1.43/services/create", SERVICE)
    assert volumes(heat) == {"data": ("in-use", 3, "worker-1")}
    await engine.ask("DELETE", "/v1.43/services/redis")
    assert volumes(heat) == {"data": ("available", 3, "")}


async def test_rexray_in_classic_swarm_follows_the_container(heat: Heat) -> None:
    engine = await opened(heat, "swarm")
    body = {"Name": "data", "Driver": "rexray", "DriverOpts": {"size": "2"}}
    await engine.ask("POST", "/v1.22/volumes/create", body)
    assert volumes(heat) == {"data": ("available", 2, "")}
    made = await engine.ask("POST", "/v1.22/containers/create?name=redis", CONTAINER)
    await engine.ask("POST", f"/v1.22/containers/{made['Id']}/start")
    (container,) = await do(heat, engine.path, "containers")
    assert volumes(heat) == {"data": ("in-use", 2, container["node"])}
    await engine.ask("DELETE", "/v1.22/containers/redis")
    assert volumes(heat) == {"data": ("available", 2, "")}


async def test_rexray_under_marathon_takes_what_is_there(heat: Heat) -> None:
    engine, _ = await opened(heat, "mesos"), mine(heat, "data")
    await engine.ask("POST", "/v2/apps", APP)
    assert volumes(heat) == {"data": ("in-use", 1, "worker-1")}
    await engine.ask("DELETE", "/v2/apps/redis")
    assert volumes(heat) == {"data": ("available", 1, "")}
