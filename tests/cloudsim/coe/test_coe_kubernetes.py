"""A Kubernetes bay's nodes, pods, budgets and evictions, over its own API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudsim.clock import Clock
from cloudsim.coe.kubernetes.bay import KubernetesBay
from tests.support.coe import PlayedBay, kubernetes_bay

MERGE = {"Content-Type": "application/merge-patch+json"}
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def bay() -> AsyncIterator[PlayedBay[KubernetesBay]]:
    async with kubernetes_bay(nodes=3, masters=1) as played:
        played.engine.add_daemonset("kube-proxy")
        yield played


@pytest.fixture
async def client(bay: PlayedBay[KubernetesBay], tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as found:
        yield found


def on(engine: KubernetesBay, node: str | None, app: str = "web") -> list[str]:
    return [pod["name"] for pod in engine.pods() if pod["node"] == node and pod["app"] == app]


async def close(client: httpx.AsyncClient, node: str, closed: bool = True) -> httpx.Response:
    patch = {"spec": {"unschedulable": closed or None}}
    return await client.patch(f"/api/v1/nodes/{node}", json=patch, headers=MERGE)


async def evict(client: httpx.AsyncClient, pod: str, api: str = "policy/v1", **more: Any) -> httpx.Response:
    body = {"apiVersion": api, "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}, **more}
    return await client.post(f"{PODS}/{pod}/eviction", json=body)


async def test_pods_are_placed_where_there_is_room_and_not_on_masters(bay: PlayedBay[KubernetesBay]) -> None:
    bay.engine.add_deployment("web", 3, cpu="1500m")
    assert [len(on(bay.engine, f"node-{number}")) for number in range(3)] == [1, 1, 1]
    assert {pod["node"] for pod in bay.engine.pods() if pod["app"] == "kube-proxy"} == {
        "master-0",
        "node-0",
        "node-1",
        "node-2",
    }


async def test_what_does_not_fit_waits_with_the_schedulers_words(
    bay: PlayedBay[KubernetesBay], client: httpx.AsyncClient
) -> None:
    bay.engine.add_deployment("big", 1, cpu="3", memory="8Gi")
    (pod,) = (await client.get(PODS)).json()["items"]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["conditions"][0] | {"lastTransitionTime": ""} == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/4 nodes are available: "
        "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "3 Insufficient cpu, 3 Insufficient memory. preemption: 0/4 nodes are available: "
        "1 Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod.",
        "lastTransitionTime": "",
    }
    bay.engine.add_node("node-3", cpu=4, memory=16384)
    assert on(bay.engine, "node-3", "big") == [pod["metadata"]["name"]]


async def test_selectors_and_tolerations_choose_nodes(bay: PlayedBay[KubernetesBay]) -> None:
    bay.engine.add_node("gpu-0", labels={"pool": "gpu"})
    bay.engine.add_deployment("train", 1, selector={"pool": "gpu"})
    bay.engine.add_deployment("lost", 1, selector={"pool": "none"})
    assert len(on(bay.engine, "gpu-0", "train")) == 1
    (lost,) = (pod for pod in bay.engine.pods() if pod["app"] == "lost")
    assert "4 node(s) didn't match Pod's node affinity/selector" in lost["waits"]
    master = "node-role.kubernetes.io/control-plane"
    bay.engine.add_deployment("any", 1, selector={master: ""}, tolerations=[{"key": master, "operator": "Exists"}])
    assert len(on(bay.engine, "master-0", "any")) == 1


async def test_an_evicted_pod_is_made_again_elsewhere(bay: PlayedBay[KubernetesBay], client: httpx.AsyncClient) -> None:
    bay.engine.add_deployment("web", 3, cpu="500m")
    assert (await close(client, "node-0")).json()["spec"]["unschedulable"] is True
    (pod,) = on(bay.engine, "node-0")
    answer = await evict(client, pod)
    assert (answer.status_code, answer.json()["status"]) == (201, "Success")
    assert on(bay.engine, "node-0") == []
    assert sum(len(on(bay.engine, f"node-{number}")) for number in (1, 2)) == 3
    assert (await evict(client, pod)).json()["reason"] == "NotFound"
    assert len(on(bay.engine, "node-0", "kube-proxy")) == 1
    (node,) = (one for one in bay.engine.nodes() if one["name"] == "node-0")
    assert node["taints"] == [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    assert "unschedulable" not in (await close(client, "node-0", closed=False)).json()["spec"]
    assert not any(one["taints"] for one in bay.engine.nodes() if one["name"] == "node-0")


async def test_a_budget_refuses_with_its_name_until_there_is_enough(client: httpx.AsyncClient, bay: Any) -> None:
    bay.engine.add_deployment("web", 3, cpu="1500m")
    bay.engine.add_budget("web", "web", min_available=2)
    (first,), (second,) = on(bay.engine, "node-0"), on(bay.engine, "node-1")
    await close(client, "node-0")
    assert (await evict(client, first)).status_code == 201
    refused = await evict(client, second)
    assert refused.status_code == 429
    assert refused.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Cannot evict pod as it would violate the pod's disruption budget.",
        "reason": "TooManyRequests",
        "details": {
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
                }
            ]
        },
        "code": 429,
    }
    budgets = (await client.get("/apis/policy/v1/poddisruptionbudgets")).json()["items"]
    assert budgets[0]["status"]["disruptionsAllowed"] == 0
    bay.engine.add_node("node-3")
    assert (await evict(client, second)).status_code == 201


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [
        ({"min_available": "50%"}, 2),
        ({"max_unavailable": 1}, 1),
        ({"max_unavailable": "50%"}, 2),
        ({"min_available": 4}, 0),
    ],
)
async def test_what_budgets_allow(limit: dict[str, Any], allowed: int, bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_deployment("web", 4)
    bay.engine.add_budget("web", "web", **limit)
    shown = (await client.get("/apis/policy/v1/namespaces/default/poddisruptionbudgets/web")).json()
    assert shown["status"]["disruptionsAllowed"] == allowed


async def test_two_budgets_are_an_error_of_the_server(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_deployment("web", 2)
    bay.engine.add_budget("one", "web", min_available=0)
    bay.engine.add_budget("two", "web", min_available=0)
    answer = await evict(client, bay.engine.pods("default")[0]["name"])
    assert answer.status_code == 500
    assert "more than one PodDisruptionBudget" in answer.json()["message"]


async def test_a_pod_that_waits_or_is_dry_run(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_deployment("web", 1)
    bay.engine.add_budget("web", "web", min_available=1)
    (pod,) = (one["name"] for one in bay.engine.pods("default"))
    bay.engine.scale("web", 2)
    assert (await evict(client, pod, deleteOptions={"dryRun": ["All"]})).status_code == 201
    assert pod in [one["name"] for one in bay.engine.pods("default")]
    wrong = await client.post(f"{PODS}/{pod}/eviction", json={"metadata": {"name": "other"}})
    assert (wrong.status_code, wrong.json()["reason"]) == (400, "BadRequest")
    bay.engine.set_ready(bay.engine.pods("default")[1]["name"], False)
    unready = bay.engine.pods("default")[1]["name"]
    assert (await evict(client, unready)).status_code == 201  # the budget is kept by the other one


async def test_a_pod_takes_its_time_and_a_grace_of_zero_does_not(tmp_path: Path) -> None:
    async with kubernetes_bay(nodes=2, stop_seconds=20, start_seconds=5) as bay:
        bay.engine.add_deployment("web", 1, grace=30)
        assert [(pod["phase"], pod["ready"]) for pod in bay.engine.pods()] == [("Pending", False)]
        await bay.clock.advance(5)
        (pod,) = bay.engine.pods()
        assert pod["ready"]
        async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as client:
            assert (await evict(client, pod["name"])).status_code == 201
            ending = (await client.get(f"{PODS}/{pod['name']}")).json()
            assert ending["metadata"]["deletionGracePeriodSeconds"] == 30
            assert len(bay.engine.pods()) == 2
            await bay.clock.advance(20)
            (left,) = bay.engine.pods()
            await client.delete(f"{PODS}/{left['name']}", params={"gracePeriodSeconds": "0"})
            assert left["name"] not in [one["name"] for one in bay.engine.pods()]


async def test_what_stays_with_its_node_and_what_nobody_makes_again(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_pod("bare", node="node-0")
    bay.engine.add_pod("etcd-node-0", node="node-0", mirror=True, namespace="kube-system")
    for path in (f"{PODS}/bare", "/api/v1/namespaces/kube-system/pods/etcd-node-0"):
        assert (await client.delete(path)).status_code == 200
    names = [pod["name"] for pod in bay.engine.pods()]
    assert "bare" not in names
    assert "etcd-node-0" in names


async def test_a_silent_node_is_unknown_then_its_pods_run_elsewhere(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_deployment("web", 3, cpu="600m")
    (pod,) = on(bay.engine, "node-1")
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1"
    bay.engine.fail_node("node-1")
    before = (await client.get(lease)).json()["spec"]["renewTime"]
    await bay.clock.advance(39)
    assert {one["ready"] for one in bay.engine.nodes()} == {"True"}
    await bay.clock.advance(1)
    ready = {one["type"]: one for one in (await client.get("/api/v1/nodes/node-1")).json()["status"]["conditions"]}
    assert (ready["Ready"]["status"], ready["Ready"]["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert (await client.get(lease)).json()["spec"]["renewTime"] == before
    assert on(bay.engine, "node-1") == [pod]
    await bay.clock.advance(300)
    assert [one["ending"] for one in bay.engine.pods() if one["name"] == pod] == [True]
    assert sum(not one["ending"] for one in bay.engine.pods() if one["app"] == "web") == 3
    bay.engine.remove_node("node-1")
    assert (await client.delete("/api/v1/nodes/node-1")).json()["status"] == "Success"
    assert pod not in [one["name"] for one in bay.engine.pods()]
    assert (await client.delete("/api/v1/nodes/node-1")).status_code == 404


async def test_a_node_that_comes_back_is_well(bay: Any) -> None:
    bay.engine.add_deployment("web", 3)
    bay.engine.fail_node("node-2", silent=False)
    (node,) = (one for one in bay.engine.nodes() if one["name"] == "node-2")
    assert node["ready"] == "False"
    assert {taint["key"] for taint in node["taints"]} == {"node.kubernetes.io/not-ready"}
    bay.engine.mend_node("node-2")
    await bay.clock.advance(1000)
    (node,) = (one for one in bay.engine.nodes() if one["name"] == "node-2")
    assert (node["ready"], node["taints"]) == ("True", [])
    assert len(on(bay.engine, "node-2")) == 1


async def test_pages_selectors_and_fields(bay: Any, client: httpx.AsyncClient) -> None:
    bay.engine.add_deployment("web", 5)
    first = (await client.get("/api/v1/pods", params={"limit": "4"})).json()
    assert (len(first["items"]), first["metadata"]["remainingItemCount"]) == (4, 5)
    names, token = [one["metadata"]["name"] for one in first["items"]], first["metadata"]["continue"]
    while token:
        page = (await client.get("/api/v1/pods", params={"limit": "4", "continue": token})).json()
        names += [one["metadata"]["name"] for one in page["items"]]
        token = page["metadata"].get("continue")
    assert sorted(names) == sorted(pod["name"] for pod in bay.engine.pods())
    here = (
        await client.get("/api/v1/pods", params={"fieldSelector": "spec.nodeName=node-0,status.phase!=Failed"})
    ).json()
    assert {one["spec"]["nodeName"] for one in here["items"]} == {"node-0"}
    chosen = (await client.get("/api/v1/pods", params={"labelSelector": "app in (web, x),!none"})).json()
    assert len(chosen["items"]) == 5
    bad = await client.get("/api/v1/pods", params={"fieldSelector": "spec.color=red"})
    assert (bad.status_code, bad.json()["message"]) == (400, "field label not supported: spec.color")
    for broken in ("rubbish", "e30="):
        assert (await client.get("/api/v1/pods", params={"limit": "1", "continue": broken})).status_code == 400


async def test_patches_in_three_notations_and_conflicts(client: httpx.AsyncClient) -> None:
    path = "/api/v1/nodes/node-0"
    for media, patch in (
        ("application/merge-patch+json", {"metadata": {"annotations": {"a": "1", "b": "2"}}}),
        ("application/strategic-merge-patch+json", {"metadata": {"annotations": {"a": None}}}),
        ("application/json-patch+json", [{"op": "add", "path": "/metadata/annotations/c~1d", "value": "3"}]),
    ):
        answer = await client.patch(path, json=patch, headers={"Content-Type": media})
        assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"]["annotations"] == {"b": "2", "c/d": "3"}
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"unschedulable": True}}
    refused = await client.patch(path, json=stale, headers=MERGE)
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    wrong = await client.patch(path, json={}, headers={"Content-Type": "application/json"})
    assert (wrong.status_code, wrong.json()["reason"]) == (415, "UnsupportedMediaType")
    missing = [{"op": "remove", "path": "/spec/nothing"}]
    answer = await client.patch(path, json=missing, headers={"Content-Type": "application/json-patch+json"})
    assert answer.status_code == 422


async def test_workloads_are_made_scaled_and_deleted_over_the_api(bay: Any, client: httpx.AsyncClient) -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}}
    body = {"metadata": {"name": "db"}, "spec": {"replicas": 2, "template": template}}
    path = "/apis/apps/v1/namespaces/default/statefulsets"
    assert (await client.post(path, json=body)).status_code == 201
    assert (await client.post(path, json=body)).json()["reason"] == "AlreadyExists"
    wrong: list[dict[str, Any]] = [{"replicas": 1}, {"replicas": -1, "template": template}, {"template": {"spec": {}}}]
    for broken in wrong:
        answer = await client.post(path, json={"metadata": {"name": "no"}, "spec": broken})
        assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
    assert [pod["name"] for pod in bay.engine.pods("default")] == ["db-0", "db-1"]
    scaled = await client.put(f"{path}/db/scale", json={"spec": {"replicas": 1}})
    assert scaled.json()["spec"] == {"replicas": 1}
    assert [pod["name"] for pod in bay.engine.pods("default")] == ["db-0"]
    assert (await client.delete(f"{path}/db")).status_code == 200
    assert bay.engine.pods("default") == []


async def test_health_and_what_ails_it(bay: Any, client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await client.get(path)).text == "ok"
    bay.engine.ail("etcd")
    told = await client.get("/readyz")
    assert (told.status_code, "[-]etcd failed: reason withheld" in told.text) == (500, True)
    assert (await client.get("/nothing")).text == "404 page not found\n"


async def test_the_first_release_knows_neither_evictions_nor_budgets(tmp_path: Path) -> None:
    async with kubernetes_bay(nodes=1, masters=1, version="1.2.0") as bay:
        bay.engine.add_deployment("web", 1)
        bay.engine.add_deployment("big", 1, cpu="64")
        context = bay.context(tmp_path, "anybody", "nobody")
        async with httpx.AsyncClient(base_url=bay.url, verify=context) as client:
            (pod,) = on(bay.engine, "node-0")
            assert (await evict(client, pod, "policy/v1beta1")).status_code == 404
            assert (await client.get("/apis/policy/v1beta1/poddisruptionbudgets")).status_code == 404
            assert (await client.get("/apis/apps/v1/daemonsets")).status_code == 404
            assert (await client.get("/apis/extensions/v1beta1/deployments")).status_code == 200
            assert [one["metadata"]["name"] for one in (await client.get("/api/v1/nodes")).json()["items"]] == [
                "node-0"
            ]
            (waits,) = (one for one in (await client.get(PODS)).json()["items"] if one["status"]["phase"] == "Pending")
            assert "conditions" not in waits["status"]
            assert (await client.delete(f"{PODS}/{pod}")).status_code == 200


async def test_which_eviction_each_release_takes(tmp_path: Path) -> None:
    for version, api, status in (
        ("1.20.0", "policy/v1", 400),
        ("1.20.0", "policy/v1beta1", 201),
        ("1.30.1", "policy/v1", 201),
    ):
        async with kubernetes_bay(nodes=1, version=version, clock=Clock(0)) as bay:
            bay.engine.add_deployment("web", 1)
            async with httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as client:
                assert (await evict(client, bay.engine.pods()[0]["name"], api)).status_code == status


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("1.2.0", None),
        ("1.5.8", ("", "")),
        ("1.20.0", ("policy", "v1beta1")),
        ("1.22.0", ("policy", "v1")),
        ("1.30.1", ("policy", "v1")),
    ],
)
async def test_discovery_tells_which_evictions_there_are(
    tmp_path: Path, version: str, told: tuple[str, str] | None
) -> None:
    async with (
        kubernetes_bay(nodes=1, version=version, clock=Clock(0)) as bay,
        httpx.AsyncClient(base_url=bay.url, verify=bay.context(tmp_path)) as client,
    ):
        found = (await client.get("/api/v1")).json()
    known = {one["name"]: one for one in found["resources"]}
    assert (found["kind"], found["groupVersion"]) == ("APIResourceList", "v1")
    assert (known["pods"]["namespaced"], known["nodes"]["namespaced"]) == (True, False)
    assert "deployments" not in known
    eviction = known.get("pods/eviction")
    assert (eviction and (eviction.get("group", ""), eviction.get("version", ""))) == told
