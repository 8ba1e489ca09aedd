"""What a drain would not move without force is told as held, by every engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from cloudsim.coe.docker.bay import DockerBay
from cloudsim.coe.docker.classic import ClassicBay
from shared.coe.kubernetes_budgets import Kept
from shared.coe.mesos_state import read_cluster, read_marathon, works
from shared.coe.port import Look, Work
from shared.coe.swarm import SwarmMode
from shared.coe.swarm_classic import ClassicSwarm
from tests.coe.conftest import Clusters
from tests.coe.engines import Engines, engines


@pytest.fixture
async def sim() -> AsyncIterator[Engines]:
    async with engines() as found:
        yield found


def held(found: Look | Iterable[Work]) -> set[str]:
    """What is, up to the part of its name that is drawn."""
    works = found.works if isinstance(found, Look) else found
    return {work.name.rpartition("/")[2].partition("-")[0].partition(".")[0] for work in works if work.held}


@pytest.mark.parametrize("version", ["1.2.7", "1.5.8", "1.21.2", "1.28.4", "1.33.1"])
async def test_pods_that_nobody_starts_again_or_a_budget_keeps(clusters: Clusters, version: str) -> None:
    bay, kubernetes = await clusters.new(version, nodes=2)
    budgets = version != "1.2.7"
    for name in ("kept", "free", "twice", "loose"):
        bay.add_deployment(name, 2)
    if budgets:
        bay.add_budget("all", "kept", min_available=2)
        bay.add_budget("one", "free", max_unavailable=1)
        bay.add_budget("first", "twice", max_unavailable=1)
        bay.add_budget("second", "twice", max_unavailable=1)
    bay.add_daemonset("logs")
    bay.add_pod("mirror", namespace="kube-system", node="w-0", mirror=True)
    bay.add_pod("alone")

    assert held(await kubernetes.look()) == {"alone"} | ({"kept", "twice"} if budgets else set())


def test_of_too_many_budgets_it_is_taken_for_granted() -> None:
    spec = {"selector": {"matchLabels": {"app": "web"}}}
    budget = {"metadata": {"namespace": "a"}, "spec": spec, "status": {"disruptionsAllowed": 1}}
    few, many = Kept([budget], empty_selects=True), Kept([budget] * 200_001, empty_selects=True)
    assert not few.keeps("a", {"app": "web"})
    assert not many.keeps("b", {})
    assert many.keeps("a", {"app": "else"})


async def test_tasks_that_are_not_restarted_or_may_be_nowhere_else(sim: Engines) -> None:
    bay = DockerBay(sim.clock, api="1.41")
    bay.add_node("m-0", role="master")
    for at in range(2):
        bay.add_node(f"w-{at}", address=f"10.0.0.{at + 100}")
    swarm = SwarmMode([await sim.open("docker", bay)])
    bay.add_service("once", restart="none", constraints=["node.hostname==w-0"])
    bay.add_service("pinned", constraints=["node.hostname==w-1"])
    bay.add_service("worker", constraints=["node.role==worker"])
    bay.add_service("free")
    assert held(await swarm.look()) == {"once", "pinned"}


async def test_containers_that_are_not_started_elsewhere(sim: Engines) -> None:
    bay = ClassicBay(sim.clock)
    bay.add_node("m-0", role="master")
    bay.add_node("w-0", cpu=4, address="10.0.0.100")
    swarm = ClassicSwarm([await sim.open("docker", bay)])
    bay.add_container("web", node="w-0")
    bay.add_container("again", node="w-0", again=True)
    bay.add_container("swarm-agent", node="w-0", image="registry.example/swarm:1.2.5")
    assert held(await swarm.look()) == {"web"}


def test_tasks_of_others_and_those_with_a_volume() -> None:
    def task(name: str) -> dict[str, object]:
        return {"id": name, "name": name, "slave_id": "a", "state": "TASK_RUNNING", "resources": {}}

    frameworks = [{"name": "marathon", "tasks": [task("web"), task("db")]}, {"name": "spark", "tasks": [task("job")]}]
    apps = [{"id": "/web", "instances": 1}, {"id": "/db", "instances": 1, "residency": {}}]
    tasks = [{"id": one, "appId": f"/{one}"} for one in ("web", "db")]
    cluster = read_cluster({"slaves": [], "frameworks": frameworks}, ())
    found = works(cluster, read_marathon({"apps": apps}, {"tasks": tasks}, {"queue": []}))
    assert {work.name for work in found if work.held} == {"/db", "spark:job"}
