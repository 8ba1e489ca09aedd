"""The client for classic Swarm against the simulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cloudsim.coe.docker.bay import DockerBay
from cloudsim.coe.docker.classic import ClassicBay
from shared.coe.errors import Rubbish
from shared.coe.port import Blocker, Resources
from shared.coe.swarm_classic import NOT_AGAIN, ClassicSwarm, read_container, read_info
from shared.domain.errors import CloudError
from tests.coe.engines import NOWHERE, Engines, engines, named, on


@pytest.fixture
async def sim() -> AsyncIterator[Engines]:
    async with engines() as found:
        yield found


async def made(sim: Engines, *, workers: int = 2) -> tuple[ClassicBay, ClassicSwarm]:
    """A manager and workers `w-0`, … of 4 cores and 4 GiB."""
    bay = ClassicBay(sim.clock)
    bay.add_node("m-0", role="master")
    for at in range(workers):
        bay.add_node(f"w-{at}", cpu=4, address=f"10.0.0.{at + 100}", labels={"disk": "ssd"})
    return bay, ClassicSwarm([sim.channel("docker", NOWHERE), await sim.open("docker", bay)])


async def test_nodes_and_containers_are_seen(sim: Engines) -> None:
    bay, swarm = await made(sim)
    bay.add_container("web", node="w-0", cpu=1, memory=512)
    bay.add_container("db", node="w-0", cpu=2, memory=1024)
    bay.add_container("swarm-agent", node="w-0", image="registry.example/swarm:1.2.5")

    look = await swarm.look()

    node = named(look, "w-0")
    assert [one.name for one in look.nodes] == ["w-0", "w-1"]
    assert (node.ready, node.open, node.manager, node.addresses) == (True, True, False, ("10.0.0.100",))
    assert (node.capacity, node.labels) == (Resources(4, 4 * 2**30), {"disk": "ssd"})
    assert on(look, "w-0") == ["db", "web"]
    assert sum(work.asks.cpu for work in look.works) == 3
    assert sum(work.asks.memory for work in look.works) == 1536 * 2**20
    assert await swarm.health() == {"api": "ok", "w-0.Ready": "True", "w-1.Ready": "True"}


async def test_containers_are_in_the_way_until_they_are_stopped_by_force(sim: Engines) -> None:
    bay, swarm = await made(sim)
    for at in range(20):
        bay.add_container(f"web-{at:02}", node="w-0")
    bay.add_container("other", node="w-1")
    bay.add_container("again", node="w-0", again=True)
    node = named(await swarm.look(), "w-0")

    await swarm.close_nodes([node], "op-1")
    told = await swarm.drain([node], force=False)
    assert told == [Blocker(f"web-{at:02}", NOT_AGAIN) for at in range(20)]
    assert all(one["running"] for one in bay.containers())

    assert len(await swarm.drain([node], force=True)) == 4
    assert await swarm.drain([node], force=True) == []
    assert {one["name"] for one in bay.containers() if one["running"]} == {"other", "again"}
    await swarm.open_nodes([node], "op-1")

    # When the server goes the manager starts what asked for that elsewhere, and forgets the node by itself.
    bay.remove_node("w-0")
    await sim.clock.advance(60)
    assert {one["name"]: one["node"] for one in bay.containers() if one["running"]} == {"other": "w-1", "again": "w-1"}
    await swarm.forget([node])
    await sim.clock.advance(600)
    assert [one.name for one in (await swarm.look()).nodes] == ["w-1"]
    assert await swarm.drain([node], force=False) == []


async def test_a_node_that_is_lost_holds_nothing_up(sim: Engines) -> None:
    bay, swarm = await made(sim)
    bay.add_container("web", node="w-0")
    node = named(await swarm.look(), "w-0")
    bay.fail_node("w-0")
    await sim.clock.advance(60)

    told = await swarm.health()
    assert (told["w-0.Ready"], told["w-1.Ready"]) == ("False", "True")
    assert "unhealthy" in told["w-0.problem"]
    assert not named(await swarm.look(), "w-0").open
    assert await swarm.drain([node], force=True) == []


async def test_what_is_no_classic_manager(sim: Engines) -> None:
    bay = DockerBay(sim.clock)
    swarm = ClassicSwarm([await sim.open("docker", bay)])
    with pytest.raises(CloudError, match="no classic Swarm's manager") as told:
        await swarm.look()
    assert told.value.retryable


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/info", "<html>"),
        ("/info", '{"SystemStatus": [["Nodes", "1"], [" w", "10.0.0.4:2375"], ["  \u2514 Reserved CPUs", "few"]]}'),
        ("/info", '{"SystemStatus": [[]]}'),
        ("/info", "[]"),
        ("/containers/json", '[{"Id": "x"}]'),
        ("/containers/json", '[{"Names": ["/w-0/x"]}]'),
    ],
)
async def test_answers_that_make_no_sense(sim: Engines, path: str, body: str) -> None:
    bay, swarm = await made(sim)
    bay.misbehave("status", path=path, status=200, message=body)
    with pytest.raises(Rubbish):
        await swarm.look()


def test_an_older_manager_tells_it_elsewhere() -> None:
    lines = [["\bNodes", "2"], [" one", "10.0.0.4:2375"], ["  \u2514 Reserved Memory", "1.5 GiB / 2 GiB"]]
    lines += [
        [" (unknown)", "10.0.0.5:2375"],
        ["  \u2514 Status", "Pending"],
        ["  \u2514 Error", "no way"],
        ["CPUs", "2"],
    ]
    one, two = read_info({"DriverStatus": lines})
    assert (one.seen.ready, one.reserved.memory, one.seen.capacity.memory) == (True, 3 * 2**29, 2**31)
    assert (two.seen.name, two.seen.problem) == ("10.0.0.5", "Swarm says that it is pending: no way")


def test_links_and_strangers_among_names() -> None:
    linked = read_container({"Id": "1", "Names": ["/w-0/db/web", "/w-0/web"], "Labels": None})
    assert linked is not None
    assert (linked.name, linked.node, linked.own, linked.again) == ("web", "w-0", False, False)
    assert read_container({"Id": "1", "Names": ["/web"]}) is None


def test_names_and_problems_without_measure_are_cut() -> None:
    long = "n" * 1_000
    lines = [["Nodes", "1"], [f" {long}", "10.0.0.4:2375"], ["  \u2514 Status", "Pending"], ["  \u2514 Error", long]]
    (one,) = read_info({"DriverStatus": lines})
    assert (len(one.seen.name), len(one.seen.problem)) == (253, 253)
    container = read_container({"Id": "1", "Names": [f"/{long}/{long}"]})
    assert container is not None
    assert (container.node, len(container.name)) == (one.seen.id, 253)
