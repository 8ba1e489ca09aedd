"""The client for Kubernetes against the simulated ones, old and new, with nothing but the scaler's ClusterRole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared.coe.errors import NotLetIn, Rubbish
from shared.coe.kubernetes import Kubernetes
from shared.coe.kubernetes_pods import CLOSED_BY
from shared.coe.port import Blocker, CoeNode, Look, Resources
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from tests.coe.conftest import STRANGER, Clusters

VERSIONS = ("1.2.7", "1.5.8", "1.11.6", "1.21.2", "1.28.4", "1.33.1")
MASTERS, PAGED, EVICTING = (1, 6), (1, 9), (1, 4)
"""Since when masters are nodes, lists have pages, and pods are evicted."""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def release(version: str) -> tuple[int, int]:
    major, minor, _ = version.split(".")
    return int(major), int(minor)


def one(look: Look, name: str) -> CoeNode:
    return next(node for node in look.nodes if node.name == name)


async def closed(kubernetes: Kubernetes, *names: str, mark: str = "op-1") -> list[CoeNode]:
    found = [one(await kubernetes.look(), name) for name in names]
    await kubernetes.close_nodes(found, mark)
    return found


async def test_nodes_and_pods_are_seen(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version, nodes=1)
    bay.add_deployment("web", 2, cpu="250m", memory="1Gi")
    bay.add_daemonset("logs")
    bay.add_pod("etcd", namespace="kube-system", node="w-0", mirror=True)
    bay.add_pod("alone")
    bay.add_deployment("large", 1, cpu="64")

    look = await kubernetes.look()

    worker = one(look, "w-0")
    assert (worker.ready, worker.problem, worker.open, worker.manager) == (True, "", True, False)
    assert [node.name for node in look.nodes if node.manager] == (["m-0"] if release(version) >= MASTERS else [])
    assert worker.capacity.cpu == pytest.approx(2, abs=0.2)
    assert worker.capacity.memory > 3 * 1024**3
    assert "10.0.0.100" in worker.addresses
    assert look.find(Node("id", "worker", 0, "other", "172.24.4.9", "10.0.0.100")) == worker
    assert look.find(Node("id", "worker", 0, "W-0", "", "")) == worker
    names = {work.name.partition("/")[2].partition("-")[0] for work in look.on(worker)}
    assert {"web", "alone"} >= names
    web = [work for work in look.works if work.name.startswith("default/web-")]
    assert [work.asks for work in web] == [Resources(0.25, 1024**3)] * 2
    stays = {work.name.partition("/")[2].partition("-")[0] for work in look.works if work.stays}
    assert stays == {"logs", "etcd"}
    (large,) = (work for work in look.works if work.name.startswith("default/large-"))
    assert (large.node, large.asks.cpu) == (None, 64)


async def test_what_finds_no_room_says_why(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    bay.add_deployment("large", 1, cpu="64")

    (large,) = (await kubernetes.look()).works

    assert "nsufficient cpu" in large.waiting


async def test_a_list_of_many_pages_is_read_whole(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version, nodes=1)
    bay.add_deployment("tiny", 1_050, cpu="0", memory="0")

    assert len((await kubernetes.look()).works) == 1_050
    assert bay.requests.count("GET /api/v1/pods") == (2 if release(version) >= PAGED else 1)


async def test_a_node_that_is_not_ready_has_a_problem(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version)
    bay.fail_node("w-1")
    await clusters.clock.advance(60)

    told = await kubernetes.health()

    assert told["api"] == "ok"
    assert (told["w-0.Ready"], told["w-1.Ready"]) == ("True", "False")
    assert "w-0.problem" not in told
    assert "tatus" in told["w-1.problem"]
    found = one(await kubernetes.look(), "w-1")
    assert not found.ready
    assert found.problem == told["w-1.problem"]


async def test_an_api_that_is_not_well_says_what_is_not(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version)
    bay.ail("etcd")

    told = await kubernetes.health()

    assert "etcd" in told["api"]
    assert told["w-0.Ready"] == "True"


async def test_nodes_are_closed_and_opened_by_mark(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version)
    nodes = await closed(kubernetes, "w-0", "w-1")
    await kubernetes.close_nodes(nodes, "op-1")

    seen = {node["name"]: node for node in bay.nodes()}
    assert [seen[name]["closed"] for name in ("w-0", "w-1", "w-2")] == [True, True, False]
    assert seen["w-0"]["annotations"][CLOSED_BY] == "op-1"
    assert not one(await kubernetes.look(), "w-0").open

    await kubernetes.open_nodes(nodes, "op-2")
    assert [node["closed"] for node in bay.nodes() if node["name"].startswith("w-")] == [True, True, False]
    await kubernetes.open_nodes(nodes, "op-1")
    await kubernetes.open_nodes(nodes, "op-1")
    assert not any(node["closed"] for node in bay.nodes() if node["name"].startswith("w-"))
    assert not any(CLOSED_BY in node["annotations"] for node in bay.nodes())


async def test_a_node_that_people_closed_stays_closed(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    assert clusters.kubectl is not None
    cordon, kind = {"spec": {"unschedulable": True}}, "application/strategic-merge-patch+json"
    await clusters.kubectl.call("PATCH", "/api/v1/nodes/w-0", json=cordon, kind=kind)

    nodes = await closed(kubernetes, "w-0")
    await kubernetes.open_nodes(nodes, "op-1")

    assert next(node for node in bay.nodes() if node["name"] == "w-0")["closed"]


async def test_a_later_operation_takes_over_what_an_earlier_one_closed(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    nodes = await closed(kubernetes, "w-0", mark="op-1")
    await kubernetes.close_nodes(nodes, "op-2")
    await kubernetes.open_nodes(nodes, "op-1")

    assert next(node for node in bay.nodes() if node["name"] == "w-0")["closed"]


async def test_a_drained_nodes_pods_run_elsewhere(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version, stop_seconds=5)
    bay.add_deployment("web", 6)
    bay.add_daemonset("logs")
    nodes = await closed(kubernetes, "w-0")
    left = {pod["name"] for pod in bay.pods() if pod["node"] == "w-0" and pod["app"] == "web"}
    assert left

    told = await kubernetes.drain(nodes, force=False)
    assert {blocker.work for blocker in told} == {f"default/{name}" for name in left}
    assert {blocker.reason for blocker in told} == {""}
    await clusters.clock.advance(6)

    assert await kubernetes.drain(nodes, force=False) == []
    assert {pod["app"] for pod in bay.pods() if pod["node"] == "w-0"} == {"logs"}
    running = [pod for pod in bay.pods() if pod["app"] == "web" and pod["node"] in ("w-1", "w-2", "m-0")]
    assert len(running) == 6
    deleted = [asked for asked in bay.requests if asked.startswith("DELETE /api/v1/namespaces/default/pods/")]
    assert bool(deleted) == (release(version) < EVICTING)


@pytest.mark.parametrize("version", ["1.5.8", "1.21.2", "1.28.4"])
async def test_a_budget_is_respected_and_named(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version, nodes=2)
    bay.add_deployment("web", 4)
    bay.add_budget("at-least-4", "web", min_available=4)
    bay.add_budget("another", "else", min_available=1)
    nodes = await closed(kubernetes, "w-0")

    told = await kubernetes.drain(nodes, force=False)

    assert told
    assert {blocker.reason for blocker in told} == {"PodDisruptionBudget at-least-4 allows no disruption now"}
    assert len([pod for pod in bay.pods() if pod["node"] == "w-0" and not pod["ending"]]) == len(told)


async def test_a_budget_that_allows_one_lets_one_go_at_a_time(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new(nodes=2)
    bay.add_deployment("web", 4)
    bay.add_budget("web", "web", max_unavailable=1)
    bay.start_seconds = 10
    nodes = await closed(kubernetes, "w-0")
    rounds = 0
    while told := await kubernetes.drain(nodes, force=False):
        assert len([blocker for blocker in told if not blocker.reason]) <= 1
        rounds += 1
        assert rounds < 20
        await clusters.clock.advance(10)

    assert rounds >= 2
    assert len([pod for pod in bay.pods() if pod["node"] == "w-1"]) == 4


async def test_what_nobody_would_start_again_stays_unless_forced(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version)
    bay.add_pod("alone", node="w-0")
    nodes = await closed(kubernetes, "w-0")

    assert await kubernetes.drain(nodes, force=False) == [Blocker("default/alone", "nobody would start it again")]
    await kubernetes.drain(nodes, force=True)
    assert await kubernetes.drain(nodes, force=True) == []
    assert bay.pods() == []


async def test_force_does_not_ask_budgets(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new(nodes=2)
    bay.add_deployment("web", 4)
    bay.add_budget("web", "web", min_available=4)
    nodes = await closed(kubernetes, "w-0")

    await kubernetes.drain(nodes, force=True)

    assert await kubernetes.drain(nodes, force=True) == []


async def test_many_nodes_are_drained_by_one_list(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new(nodes=8)
    bay.add_deployment("web", 16, cpu="10m")
    nodes = await closed(kubernetes, *(f"w-{at}" for at in range(7)))

    await kubernetes.drain(nodes, force=False)

    assert await kubernetes.drain(nodes, force=False) == []
    assert {pod["node"] for pod in bay.pods()} <= {"w-7", "m-0", None}


async def test_nodes_are_forgotten(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version)
    node = one(await kubernetes.look(), "w-0")
    bay.remove_node("w-0")

    await kubernetes.forget([node])
    await kubernetes.forget([node])

    assert [seen.name for seen in (await kubernetes.look()).nodes if not seen.manager and seen.name != "m-0"] == [
        "w-1",
        "w-2",
    ]
    await kubernetes.close_nodes([node], "op-1")
    await kubernetes.open_nodes([node], "op-1")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (kind, what)
        for kind in ("hang", "drop", "rubbish", "status")
        for what in ("look", "health", "close", "drain", "forget")
        if (kind, what) != ("rubbish", "forget")  # what a deletion answers is not read
    ],
)
async def test_an_api_that_fails_is_an_error_of_that_bay(clusters: Clusters, kind: str, what: str) -> None:
    bay, kubernetes = await clusters.new(seconds=0.5)
    bay.add_deployment("web", 6)
    nodes = await closed(kubernetes, "w-0")
    bay.misbehave(kind, path="/api/v1/")  # type: ignore[arg-type]
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "look": kubernetes.look,
        "health": kubernetes.health,
        "close": lambda: kubernetes.close_nodes(nodes, "op-1"),
        "drain": lambda: kubernetes.drain(nodes, force=False),
        "forget": lambda: kubernetes.forget(nodes),
    }

    with pytest.raises(CloudError) as caught:
        await calls[what]()

    assert (caught.value.service, caught.value.retryable) == ("kubernetes", True)


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"items": 3}', b'{"items": [3]}', b'{"items": [{"metadata": {"name": 7}}]}', b'{"items": [{}]}'],
)
async def test_json_of_another_shape_is_an_error_of_that_bay(clusters: Clusters, body: bytes) -> None:
    bay, kubernetes = await clusters.new()
    bay.misbehave("status", path="/api/v1/", status=200, message=body.decode())

    with pytest.raises(Rubbish):
        await kubernetes.look()


async def test_a_list_without_an_end_is_given_up(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    bay.misbehave("status", path="/api/v1/", status=200, message='{"items": [], "metadata": {"continue": "more"}}')

    with pytest.raises(Rubbish, match="without an end"):
        await kubernetes.look()


async def test_a_certificate_without_the_group_is_told_no_for_good(clusters: Clusters) -> None:
    _, kubernetes = await clusters.new(shown=STRANGER)

    with pytest.raises(CloudError, match="forbidden") as caught:
        await kubernetes.look()

    assert (caught.value.status, caught.value.retryable) == (403, False)


async def test_an_api_that_wants_to_know_who_we_are_is_told_apart(clusters: Clusters) -> None:
    bay, kubernetes = await clusters.new()
    bay.misbehave("status", status=401, message="Unauthorized")

    with pytest.raises(NotLetIn):
        await kubernetes.look()
