"""How pods are asked to leave when the API is in the way: refusals of one eviction, rounds that end early, budgets."""

from __future__ import annotations

import json

import pytest

from shared.coe.errors import Rubbish
from shared.coe.kubernetes import Kubernetes
from shared.coe.kubernetes_leaving import NOT_ASKED
from shared.coe.port import CoeNode
from shared.domain.errors import CloudError
from tests.coe.conftest import Clusters

_DENIED = 'admission webhook "guard.example.org" denied the request: not now'


async def closed(kubernetes: Kubernetes, *names: str) -> list[CoeNode]:
    found = [node for node in (await kubernetes.look()).nodes if node.name in names]
    await kubernetes.close_nodes(found, "op-1")
    return found


def deleted(requests: list[str]) -> list[str]:
    return [one for one in requests if one.startswith("DELETE /api/v1/namespaces/")]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429])
@pytest.mark.parametrize("version", ["1.11.6", "1.21.2", "1.33.1"])
async def test_an_eviction_that_is_refused_is_about_that_pod_alone(
    clusters: Clusters, version: str, status: int
) -> None:
    bay, kubernetes = await clusters.new(version, nodes=2)
    bay.add_deployment("web", 4)
    bay.add_deployment("guarded", 2)
    nodes = await closed(kubernetes, "w-0")
    here = {pod["name"]: pod["app"] for pod in bay.pods() if pod["node"] == "w-0"}
    assert set(here.values()) == {"web", "guarded"}
    message = json.dumps({"kind": "Status", "status": "Failure", "message": _DENIED, "code": status})
    bay.misbehave("status", path="/pods/guarded-.*/eviction$", method="POST", status=status, message=message)

    told = {blocker.work.partition("/")[2]: blocker.reason for blocker in await kubernetes.drain(nodes, force=False)}

    assert told == {name: _DENIED if app == "guarded" else "" for name, app in here.items()}
    assert deleted(list(bay.requests)) == []


async def test_what_evictions_there_are_is_asked_once_a_round(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new(nodes=2)
    bay.add_deployment("web", 6)
    nodes = await closed(kubernetes, "w-0")

    await kubernetes.drain(nodes, force=False)

    assert bay.requests.count("GET /api/v1") == 1
    await kubernetes.drain(nodes, force=True)
    assert bay.requests.count("GET /api/v1") == 1  # by force nothing is evicted


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"resources": []}',
        '{"resources": [{"name": "pods/eviction", "group": 3, "version": "v1"}, {"name": "pods"}]}',
        '{"resources": [{"kind": "Pod"}]}',
    ],
)
async def test_a_server_that_does_not_say_what_it_has_deletes_nothing(clusters: Clusters, body: str) -> None:
    bay, kubernetes = await clusters.new()
    bay.add_deployment("web", 6)
    nodes = await closed(kubernetes, "w-0")
    bay.misbehave("status", path="^/api/v1$", status=200, message=body)

    with pytest.raises(Rubbish):
        await kubernetes.drain(nodes, force=False)
    assert deleted(list(bay.requests)) == []


async def test_a_discovery_that_is_refused_deletes_nothing(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    bay.add_deployment("web", 6)
    nodes = await closed(kubernetes, "w-0")
    bay.misbehave("status", path="^/api/v1$", status=404, message="404 page not found")

    with pytest.raises(CloudError):
        await kubernetes.drain(nodes, force=False)
    assert deleted(list(bay.requests)) == []


async def test_budgets_are_read_once_a_namespace_and_round(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new(nodes=2)
    bay.add_deployment("web", 6)
    bay.add_budget("all", "web", min_available=6)
    nodes = await closed(kubernetes, "w-0")

    told = await kubernetes.drain(nodes, force=False)

    assert len(told) > 1
    assert {one.reason for one in told} == {"PodDisruptionBudget all allows no disruption now"}
    assert len([one for one in bay.requests if one.endswith("/namespaces/default/poddisruptionbudgets")]) == 1


async def test_a_round_that_is_over_tells_whom_it_has_not_asked(clusters: Clusters) -> None:
    bay, _ = await clusters.new(nodes=2)
    assert clusters.kubectl is not None
    hasty = Kubernetes(clusters.kubectl, round_seconds=0)
    bay.add_deployment("web", 6)
    nodes = await closed(hasty, "w-0")
    here = {f"default/{pod['name']}" for pod in bay.pods() if pod["node"] == "w-0"}
    assert len(here) > 1

    told = await hasty.drain(nodes, force=False)

    assert {blocker.work for blocker in told} == here
    assert sorted(blocker.reason for blocker in told) == ["", *[NOT_ASKED] * (len(here) - 1)]


async def test_pods_that_are_kept_do_not_hold_up_the_others(clusters: Clusters) -> None:
    bay, _ = await clusters.new(nodes=2)
    assert clusters.kubectl is not None
    hasty = Kubernetes(clusters.kubectl, round_seconds=0)
    bay.add_deployment("a-kept", 4)
    bay.add_budget("all", "a-kept", min_available=4)
    bay.add_deployment("web", 2)
    nodes = await closed(hasty, "w-0")
    kept = {f"default/{pod['name']}" for pod in bay.pods() if pod["node"] == "w-0" and pod["app"] == "a-kept"}
    assert kept
    for _ in range(500):  # each asks one pod, whichever
        left = {blocker.work for blocker in await hasty.drain(nodes, force=False)}
        if left == kept:
            break
        await clusters.clock.advance(1)

    assert left == kept


async def test_a_list_of_too_many_bytes_is_given_up(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    page = {"items": [], "metadata": {"continue": "more"}, "more": "x" * (15 * 1024 * 1024)}
    bay.misbehave("status", path="/api/v1/pods", status=200, message=json.dumps(page), count=5)

    with pytest.raises(Rubbish, match="67108864 bytes"):
        await kubernetes.look()


async def test_a_list_of_too_many_items_is_given_up(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    page = {"items": [{"metadata": {"name": "p"}}] * 50_000, "metadata": {"continue": "more"}}
    bay.misbehave("status", path="/api/v1/pods", status=200, message=json.dumps(page), count=5)

    with pytest.raises(Rubbish, match="200000 items"):
        await kubernetes.look()
