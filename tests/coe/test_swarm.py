"""The client for docker's swarm mode against the simulated one. tests/native/test_swarm.py has the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from cloudsim.coe.docker.bay import DockerBay
from shared.coe.errors import NotLetIn, Rubbish
from shared.coe.port import Blocker, CoeNode, Resources
from shared.coe.swarm import SwarmMode
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from tests.coe.engines import NOWHERE, Engines, engines, named, on

APIS = ("1.24", "1.30", "1.41", "1.60")
MARK = "op-1"


@pytest.fixture
async def sim() -> AsyncIterator[Engines]:
    async with engines() as found:
        yield found


async def made(sim: Engines, *, api: str = "1.41", workers: int = 2, stop: float = 0.0) -> tuple[DockerBay, SwarmMode]:
    """A manager `m-0` and workers `w-0`, … of 2 cores and 4 GiB."""
    bay = DockerBay(sim.clock, api=api, stop_seconds=stop)
    bay.add_node("m-0", role="master")
    for at in range(workers):
        bay.add_node(f"w-{at}", address=f"10.0.0.{at + 100}")
    return bay, SwarmMode([await sim.open("docker", bay)])


async def closed(swarm: SwarmMode, *names: str, mark: str = MARK) -> list[CoeNode]:
    look = await swarm.look()
    nodes = [named(look, name) for name in names]
    await swarm.close_nodes(nodes, mark)
    return nodes


def availability(bay: DockerBay) -> dict[str, str]:
    return {str(node["name"]): str(node["availability"]) for node in bay.nodes()}


@pytest.mark.parametrize("api", APIS)
async def test_nodes_and_tasks_are_seen(sim: Engines, api: str) -> None:
    bay, swarm = await made(sim, api=api, workers=1)
    bay.add_service("web", 2, cpu=0.5, memory=512)
    bay.add_service("logs", everywhere=True)
    bay.add_service("large", cpu=64)

    look = await swarm.look()

    worker, manager = named(look, "w-0"), named(look, "m-0")
    assert (worker.ready, worker.problem, worker.open, worker.manager) == (True, "", True, False)
    assert (manager.manager, worker.addresses) == (True, ("10.0.0.100",))
    assert worker.capacity == Resources(2, 4 * 2**30)
    assert look.find(Node("id", "worker", 0, "other", "172.24.4.9", "10.0.0.100")) == worker
    web = [work for work in look.works if work.name.startswith("web.")]
    assert [work.asks for work in web] == [Resources(0.5, 512 * 2**20)] * 2
    assert {work.name for work in web} == {"web.1", "web.2"}
    assert {work.name for work in look.works if work.stays} == {f"logs.{worker.id}", f"logs.{manager.id}"}
    (large,) = (work for work in look.works if work.waiting)
    assert (large.name, large.node) == ("large.1", None)
    assert large.waiting == "no suitable node (insufficient resources on 2 nodes)"


@pytest.mark.parametrize("api", APIS)
async def test_a_drain_moves_what_fits_elsewhere(sim: Engines, api: str) -> None:
    bay, swarm = await made(sim, api=api, stop=10)
    bay.add_service("web", 6, cpu=0.5)
    bay.add_service("logs", everywhere=True)
    nodes = await closed(swarm, "w-0")
    here = [Blocker(name, "") for name in on(await swarm.look(), "w-0")]
    assert len(here) == 2

    assert await swarm.drain(nodes, force=False) == here
    assert await swarm.drain(nodes, force=False) == here
    await sim.clock.advance(11)

    assert await swarm.drain(nodes, force=False) == []
    assert availability(bay) == {"m-0": "active", "w-0": "drain", "w-1": "active"}
    assert not named(await swarm.look(), "w-0").open
    assert len([task for task in bay.tasks() if task["service"] == "web" and task["state"] == "running"]) == 6
    await swarm.open_nodes(nodes, MARK)
    assert set(availability(bay).values()) == {"active"}


async def test_nothing_is_stopped_that_has_no_room_elsewhere(sim: Engines) -> None:
    bay, swarm = await made(sim)
    bay.add_service("web", 3, cpu=1.5)
    nodes = await closed(swarm, "w-0")
    (name,) = on(await swarm.look(), "w-0")

    told = await swarm.drain(nodes, force=False)

    assert told == [Blocker(name, "no other node that takes work has room for it; it reserves 1.5 cores")]
    assert availability(bay)["w-0"] == "pause"
    bay.add_node("w-2")
    await swarm.drain(nodes, force=False)
    assert await swarm.drain(nodes, force=False) == []


async def test_of_two_nodes_the_one_whose_tasks_have_room_goes_first(sim: Engines) -> None:
    bay, swarm = await made(sim, workers=3)
    bay.add_service("web", 3, cpu=1.5, constraints=["node.role==worker"])
    nodes = await closed(swarm, "w-0", "w-1")
    bay.add_node("w-3")

    assert len(await swarm.drain(nodes, force=False)) == 1
    assert sorted(availability(bay).values()) == ["active", "active", "active", "drain", "pause"]
    assert sum(task["state"] == "running" for task in bay.tasks()) == 3


@pytest.mark.parametrize(
    ("constraint", "moves"),
    [
        ("node.role == worker", True),
        ("node.hostname==W-0", False),
        ("node.hostname != m-0", True),
        ("node.labels.disk == ssd", False),
        ("engine.labels.zone != b", True),
        ("engine.labels.zone != a", False),
    ],
)
async def test_placement_constraints_are_looked_at_first(sim: Engines, constraint: str, moves: bool) -> None:
    bay, swarm = await made(sim, workers=1)
    bay.label("w-0", {"disk": "ssd"})
    bay.add_service("web", constraints=[constraint, "node.role != manager"])
    assert on(await swarm.look(), "w-0") == ["web.1"]
    bay.add_node("w-1", labels={"zone": "a"})
    nodes = await closed(swarm, "w-0")

    told = await swarm.drain(nodes, force=False)

    assert (availability(bay)["w-0"] == "drain") is moves
    assert moves is (told == [])


async def test_what_would_not_be_started_again_stays_unless_forced(sim: Engines) -> None:
    bay, swarm = await made(sim)
    bay.add_service("once", restart="none", constraints=["node.hostname==w-0"])
    nodes = await closed(swarm, "w-0")

    (told,) = await swarm.drain(nodes, force=False)
    assert told.told() == "once.1 (its restart condition is none, so nobody would start it again)"
    assert availability(bay)["w-0"] == "pause"

    assert await swarm.drain(nodes, force=True) == []
    assert bay.tasks() == []


async def test_a_task_that_finds_no_place_after_all_is_told(sim: Engines) -> None:
    bay, swarm = await made(sim, workers=1)
    bay.add_service("web", cpu=1.5, constraints=["node.role==worker"])
    nodes = await closed(swarm, "w-0")
    assert await swarm.drain(nodes, force=True) == []  # a person did not ask

    (told,) = await swarm.drain(nodes, force=False)

    assert told.work == "web.1"
    assert told.reason.startswith("no suitable node")
    assert await swarm.drain(nodes, force=True) == []


async def test_a_node_that_is_down_holds_nothing_up(sim: Engines) -> None:
    bay, swarm = await made(sim)
    bay.add_service("web", 3)
    nodes = await closed(swarm, "w-0")
    bay.fail_node("w-0")
    await sim.clock.advance(60)

    look = await swarm.look()
    assert not named(look, "w-0").ready
    assert on(look, "w-0") == []
    assert await swarm.drain(nodes, force=False) == []
    assert await swarm.health() == {
        "api": "ok",
        "m-0.Ready": "True",
        "w-0.Ready": "False",
        "w-0.problem": named(look, "w-0").problem,
        "w-1.Ready": "True",
    }
    assert "down" in named(look, "w-0").problem


async def test_a_node_is_forgotten_once_it_is_down(sim: Engines) -> None:
    bay, swarm = await made(sim)
    gone, other = named(await swarm.look(), "w-0"), named(await swarm.look(), "w-1")
    bay.remove_node("w-0")
    bay.remove_node("w-1")

    with pytest.raises(CloudError, match="has not noticed yet that w-0, w-1 is gone") as told:
        await swarm.forget([gone, other])
    assert told.value.retryable
    await sim.clock.advance(60)
    await swarm.forget([gone])
    await swarm.forget([gone])

    assert [node["name"] for node in bay.nodes()] == ["m-0", "w-1"]
    await swarm.close_nodes([gone], MARK)
    await swarm.open_nodes([gone], MARK)
    assert await swarm.drain([gone], force=False) == []


async def test_managers_are_let_alone(sim: Engines) -> None:
    _, swarm = await made(sim)
    manager = named(await swarm.look(), "m-0")
    calls: list[Callable[[], object]] = [
        lambda: swarm.close_nodes([manager], MARK),
        lambda: swarm.drain([manager], force=True),
        lambda: swarm.forget([manager]),
    ]
    for call in calls:
        with pytest.raises(CloudError, match="m-0 manages the swarm") as told:
            await call()  # type: ignore[misc]
        assert not told.value.retryable


async def test_marks(sim: Engines) -> None:
    bay, swarm = await made(sim)
    nodes = await closed(swarm, "w-0", "w-1")
    bay.label("w-0", {"disk": "ssd"})
    await swarm.open_nodes(nodes, "op-2")
    assert availability(bay) == {"m-0": "active", "w-0": "pause", "w-1": "pause"}

    await swarm.close_nodes(nodes[:1], "op-2")
    await swarm.open_nodes(nodes, MARK)
    assert availability(bay) == {"m-0": "active", "w-0": "pause", "w-1": "active"}
    assert bay.nodes()[1]["labels"] == {"jeroboam.closed-by": "op-2", "disk": "ssd"}
    await swarm.open_nodes(nodes, "op-2")
    assert bay.nodes()[1]["labels"] == {"disk": "ssd"}


async def test_what_a_person_closed_stays_closed(sim: Engines) -> None:
    bay, swarm = await made(sim)
    for node, state in (("w-0", "pause"), ("w-1", "drain")):
        found = bay.swarm.find(bay.swarm.nodes, node)
        assert found is not None
        found["Spec"]["Availability"] = state
    nodes = await closed(swarm, "w-0", "w-1")
    await swarm.close_nodes(nodes, "op-2")
    assert await swarm.drain(nodes, force=False) == []
    await swarm.open_nodes(nodes, "op-2")
    assert availability(bay) == {"m-0": "active", "w-0": "pause", "w-1": "drain"}
    assert bay.nodes()[1]["labels"] == {}


async def test_updates_at_the_same_time_all_come_through(sim: Engines) -> None:
    bay, swarm = await made(sim, workers=1)
    node = named(await swarm.look(), "w-0")
    others = [SwarmMode([await sim.open("docker", bay)]) for _ in range(3)]
    await asyncio.gather(*(one.close_nodes([node], f"op-{at}") for at, one in enumerate((swarm, *others))))
    assert bay.nodes()[1]["availability"] == "pause"
    assert bay.nodes()[1]["labels"]["jeroboam.closed-by"].startswith("op-")


@pytest.mark.parametrize("plain", [False, True])
async def test_an_endless_conflict_is_an_error(sim: Engines, plain: bool) -> None:
    """Without TLS nothing of it is quoted, and it is known all the same."""
    bay, swarm = await made(sim, workers=1)
    node = named(await swarm.look(), "w-0")
    swarm = SwarmMode([await sim.open("docker", bay, plain=True)]) if plain else swarm
    outdated = '{"message":"rpc error: code = Unknown desc = update out of sequence"}'
    bay.misbehave("status", method="POST", path="/update", status=500, message=outdated)
    with pytest.raises(CloudError, match="no reason given" if plain else "update out of sequence") as told:
        await swarm.close_nodes([node], MARK)
    assert told.value.retryable
    assert len([one for one in bay.requests if one.startswith("POST")]) == 5


async def test_the_next_manager_is_asked_when_one_does_not_answer(sim: Engines) -> None:
    bay, _ = await made(sim)
    lost = DockerBay(sim.clock, manager=False)
    bad = DockerBay(sim.clock)
    bad.misbehave("rubbish")
    doors = [await sim.open("docker", one) for one in (lost, bad, bay)]
    swarm = SwarmMode([sim.channel("docker", NOWHERE), *doors])
    nodes = await closed(swarm, "w-0")
    assert await swarm.drain(nodes, force=False) == []
    assert availability(bay)["w-0"] == "drain"


async def test_tls_disabled(sim: Engines) -> None:
    bay = DockerBay(sim.clock)
    bay.add_node("m-0", role="master")
    assert await SwarmMode([await sim.open("docker", bay, plain=True)]).health() == {"api": "ok", "m-0.Ready": "True"}


NO_LEADER = '{"message":"rpc error: code = Unknown desc = The swarm does not have a leader. It\'s possible that …"}'


async def test_a_swarm_without_a_leader(sim: Engines) -> None:
    bay, swarm = await made(sim)
    bay.misbehave("status", path="/nodes", status=503, message=NO_LEADER)
    with pytest.raises(CloudError, match="does not have a leader") as told:
        await swarm.look()
    assert (told.value.service, told.value.status, told.value.retryable) == ("docker", 503, True)
    assert "does not have a leader" in (await swarm.health())["api"]


async def test_a_docker_that_hangs_lies_in_tatters_or_shows_a_strange_certificate(sim: Engines) -> None:
    bay = DockerBay(sim.clock)
    swarm = SwarmMode([await sim.open("docker", bay, seconds=0.2)])
    bay.misbehave("hang")
    with pytest.raises(CloudError, match="no whole answer within") as told:
        await swarm.health()
    assert (told.value.status, told.value.retryable) == (None, True)
    bay.behave()
    for kind in ("rubbish", "drop"):
        bay.misbehave(kind)
        with pytest.raises(CloudError):
            await swarm.look()
        bay.behave()
    bay.misbehave("status", status=200, message="<html>welcome</html>")
    with pytest.raises(Rubbish):
        await swarm.look()
    bay.behave()
    bay.misbehave("certificate")
    fresh = SwarmMode([await sim.open("docker", bay)])
    with pytest.raises(CloudError, match="its certificate is not one of this bay") as told:
        await fresh.look()
    assert not isinstance(told.value, NotLetIn)


@pytest.mark.parametrize(
    "nodes",
    [
        '[{"ID": "x"}]',
        '[{"ID": 5, "Spec": {}, "Status": {}, "Version": {"Index": 1}}]',
        '[{"ID": "x", "Spec": null, "Status": {"State": "ready"}, "Version": {"Index": 1}}]',
        '{"nodes": []}',
        '["x"]',
        '[{"ID":"x","Spec":{"Role":"worker","Availability":"active","Labels":{"a":1}},"Status":{"State":"ready"}}]',
        '[{"ID":"x","Spec":{"Role":"worker","Availability":"x"},"Status":{"State":"ready"},"Version":{"Index":"n"}}]',
    ],
)
async def test_a_node_list_that_makes_no_sense(sim: Engines, nodes: str) -> None:
    bay, swarm = await made(sim)
    bay.misbehave("status", path="/nodes$", status=200, message=nodes)
    with pytest.raises(Rubbish):
        await swarm.look()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ('{"ApiVersion": "1.22"}', "swarm mode needs 1.24"),
        ('{"ApiVersion": "new"}', "makes no sense"),
        ("{}", "makes no sense"),
    ],
)
async def test_versions_that_do_not_go(sim: Engines, version: str, said: str) -> None:
    bay, swarm = await made(sim)
    bay.misbehave("status", path="/version", status=200, message=version)
    with pytest.raises(CloudError, match=said):
        await swarm.look()


async def test_a_docker_that_wants_a_newer_version_gets_it(sim: Engines) -> None:
    bay, swarm = await made(sim, api="1.60")
    newer = '{"ApiVersion": "1.60", "MinAPIVersion": "1.50"}'
    bay.misbehave("status", path="/version", status=200, message=newer)
    await swarm.health()
    assert bay.requests[-1] == "GET /v1.50/nodes"


async def test_an_empty_swarm_is_no_error(sim: Engines) -> None:
    bay, swarm = await made(sim)
    for path in ("/nodes", "/tasks", "/services"):
        bay.misbehave("status", path=path, status=200, message="null")
    look = await swarm.look()
    assert (look.nodes, look.works) == ((), ())
