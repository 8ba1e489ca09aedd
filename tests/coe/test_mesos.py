"""The client for Mesos and Marathon against simulated ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from cloudsim.coe.mesos.bay import MesosBay
from cloudsim.coe.misbehaviour import Kind
from shared.coe.connect import Channel
from shared.coe.errors import Rubbish
from shared.coe.mesos import Mesos
from shared.coe.mesos_api import Master
from shared.coe.mesos_rules import CAME_BACK, NO_ROOM
from shared.coe.port import CoeNode, Resources
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from tests.coe.engines import NOWHERE, Engines, engines, named, on

MARK = "op-1"
HALF = {"upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 1.0}}


@pytest.fixture
async def sim() -> AsyncIterator[Engines]:
    async with engines() as found:
        yield found


async def doors(sim: Engines, bay: MesosBay, *, seconds: float = 5.0) -> tuple[Channel, Channel]:
    master = await sim.open("mesos", bay, plain=True, seconds=seconds)
    marathon = await sim.open("marathon", bay, plain=True, handler=bay.handle_marathon, seconds=seconds)
    return master, marathon


async def made(sim: Engines, *, workers: int = 3, heeds: bool = True) -> tuple[MesosBay, Mesos]:
    """A master, and agents `W-0`, … of 2 cores and 4 GiB."""
    bay = MesosBay(sim.clock, heeds_maintenance=heeds)
    for at in range(workers):
        bay.add_node(f"W-{at}", address=f"10.0.0.{at + 100}", labels={"disk": "ssd"})
    master, marathon = await doors(sim, bay)
    nowhere = sim.channel("mesos", NOWHERE)
    ways = [Master(nowhere, frozenset({"10.0.0.9"})), Master(master, frozenset({"10.0.0.3", "172.24.4.3"}))]
    return bay, Mesos(ways, [sim.channel("marathon", NOWHERE), marathon])


def add(bay: MesosBay, name: str, instances: int, more: Mapping[str, object] | None = None, **asks: float) -> None:
    """An app that any client could post."""
    bay.create(
        {"id": f"/{name}", "instances": instances, "cpus": 0.5, "mem": 256.0, "constraints": [], **asks, **(more or {})}
    )
    bay.settle()


async def closed(mesos: Mesos, *names: str, mark: str = MARK) -> list[CoeNode]:
    look = await mesos.look()
    nodes = [named(look, name) for name in names]
    await mesos.close_nodes(nodes, mark)
    return nodes


def hosts(bay: MesosBay) -> list[str]:
    return sorted(str(task["node"]) for task in bay.tasks())


async def test_agents_and_tasks_are_seen(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=1)
    add(bay, "shop/web", 2, mem=512.0)
    bay.add_app("large", 3, cpus=64)

    look = await mesos.look()

    (node,) = look.nodes
    assert (node.name, node.ready, node.problem, node.open, node.manager) == ("W-0", True, "", True, False)
    assert (node.addresses, node.labels) == (("10.0.0.100", "W-0"), {"disk": "ssd"})
    assert node.capacity == Resources(2, 4 * 2**30)
    assert look.find(Node("id", "worker", 0, "other", "172.24.4.9", "10.0.0.100")) == node
    running = [work for work in look.works if work.node == node.id]
    assert [(one.name, one.asks, one.stays, one.waiting) for one in running] == [
        ("/shop/web", Resources(0.5, 512 * 2**20), False, "")
    ] * 2
    large = [work for work in look.works if work.node is None]
    assert [(one.name, one.asks.cpu, one.waiting) for one in large] == [
        ("/large", 64, "no agent's offer was taken: InsufficientCpus")
    ] * 3
    assert await mesos.health() == {"api": "ok", "W-0.Ready": "True"}


async def test_a_drain_keeps_to_the_minimum_health_capacity(sim: Engines) -> None:
    bay, mesos = await made(sim)
    add(bay, "web", 6, HALF)
    assert hosts(bay) == ["W-0"] * 2 + ["W-1"] * 2 + ["W-2"] * 2
    nodes = await closed(mesos, "W-0", "W-1")
    assert [one.open for one in (await mesos.look()).nodes] == [False, False, True]

    told = await mesos.drain(nodes, force=False)

    # Three may be away at one time. Of two cores only one is free elsewhere, so two go, and the others wait for room.
    assert {one.told() for one in told} == {
        "/web",
        f"/web ({NO_ROOM})",
        "/web (6 of its 6 instances are healthy, and 3 must stay healthy)",
    }
    assert hosts(bay).count("W-2") == 4
    bay.add_node("W-3", address="10.0.0.103")
    assert [one.told() for one in await mesos.drain(nodes, force=False)] == ["/web"]
    assert await mesos.drain(nodes, force=False) == []
    assert hosts(bay) == ["W-2"] * 4 + ["W-3"] * 2


async def test_an_app_without_a_wish_moves_one_by_one(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=2)
    add(bay, "web", 4, cpus=0.1)
    nodes = await closed(mesos, "W-0")
    assert hosts(bay).count("W-0") == 2

    told = await mesos.drain(nodes, force=False)

    assert [one.told() for one in told] == [
        "/web",
        "/web (4 of its 4 instances are healthy, and one at a time is moved)",
    ]
    assert hosts(bay).count("W-0") == 1
    await mesos.drain(nodes, force=False)
    assert await mesos.drain(nodes, force=False) == []
    assert hosts(bay) == ["W-1"] * 4


async def test_nothing_is_killed_that_has_no_room_elsewhere(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=2)
    add(bay, "web", 2, HALF, cpus=1.5)
    nodes = await closed(mesos, "W-0")

    (told,) = await mesos.drain(nodes, force=False)

    assert told.told() == f"/web ({NO_ROOM})"
    assert hosts(bay) == ["W-0", "W-1"]


async def test_a_marathon_that_does_not_heed_maintenance_is_not_fought(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=2, heeds=False)
    add(bay, "web", 1, {"constraints": [["hostname", "CLUSTER", "W-0"]]})
    nodes = await closed(mesos, "W-0")
    await sim.clock.advance(60)

    (told,) = await mesos.drain(nodes, force=False)
    assert told.told() == "/web"
    (told,) = await mesos.drain(nodes, force=False)
    assert told.told() == f"/web ({CAME_BACK})"
    before = bay.tasks()
    await mesos.drain(nodes, force=False)
    assert bay.tasks() == before

    assert await mesos.drain(nodes, force=True) == []
    assert [one["mode"] for one in bay.nodes()] == ["UP"]
    assert bay.tasks() == []
    await mesos.open_nodes(nodes, MARK)
    assert sorted(str(one["mode"]) for one in bay.nodes()) == ["UP", "UP"]


async def test_force_asks_no_app(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=2)
    add(bay, "web", 4, cpus=0.1)
    nodes = await closed(mesos, "W-0")
    for _ in range(2):
        told = await mesos.drain(nodes, force=True)
    assert told == []
    assert hosts(bay) == ["W-1"] * 4


async def test_windows_are_ours_by_mark_and_others_stay(sim: Engines) -> None:
    bay, mesos = await made(sim)
    theirs = {
        "machine_ids": [{"hostname": "w-2", "ip": "10.0.0.102"}, {"hostname": "elsewhere", "ip": "10.9.9.9"}],
        "unavailability": {"start": {"nanoseconds": 1}},
    }
    await (await doors(sim, bay))[0].call("POST", "/maintenance/schedule", json={"windows": [theirs]})
    nodes = await closed(mesos, "W-0", "W-1", "W-2")
    await mesos.close_nodes(nodes, MARK)
    assert bay.cluster.windows[0] == theirs
    (ours,) = bay.cluster.windows[1:]
    assert ours["machine_ids"] == [{"hostname": "w-0", "ip": "10.0.0.100"}, {"hostname": "w-1", "ip": "10.0.0.101"}]
    assert len(str(ours["unavailability"]["duration"]["nanoseconds"])) == 15

    await mesos.open_nodes(nodes, "op-2")
    assert len(bay.cluster.windows) == 2
    await mesos.close_nodes(nodes[:1], "op-2")
    await mesos.open_nodes(nodes, MARK)
    assert [len(one["machine_ids"]) for one in bay.cluster.windows] == [2, 1]
    assert [one.open for one in (await mesos.look()).nodes] == [False, True, False]
    await mesos.open_nodes(nodes, "op-2")
    await mesos.open_nodes(nodes, "op-2")
    assert bay.cluster.windows == [theirs]


async def test_a_schedule_that_somebody_overwrites_is_written_again(sim: Engines) -> None:
    bay, mesos = await made(sim)
    node = named(await mesos.look(), "W-0")
    bay.misbehave("status", method="POST", path="/maintenance/schedule", status=200, message="", count=1)
    await mesos.close_nodes([node], MARK)
    assert len(bay.cluster.windows) == 1
    bay.misbehave("status", method="POST", path="/maintenance/schedule", status=200, message="")
    with pytest.raises(CloudError, match="Somebody else changes") as told:
        await mesos.open_nodes([node], MARK)
    assert told.value.retryable


async def test_the_leader_is_followed_within_the_bay_alone(sim: Engines) -> None:
    bay, _ = await made(sim)
    second = MesosBay(sim.clock, own_address="10.0.0.4:5050")
    second.lead("10.0.0.3:5050")
    (one, marathon), (two, _) = await doors(sim, bay), await doors(sim, second)
    ways = [Master(two, frozenset({"10.0.0.4"})), Master(one, frozenset({"10.0.0.3"}))]
    assert len((await Mesos(ways, [marathon]).look()).nodes) == 3
    assert second.requests == ["GET /master/redirect"]

    bay.lead("169.254.169.254:80")
    second.lead("169.254.169.254:80")
    with pytest.raises(CloudError, match=r"169\.254\.169\.254 leads, which is no master of this bay") as told:
        await Mesos(ways, [marathon]).look()
    assert (told.value.service, told.value.retryable) == ("mesos", True)


async def test_a_leader_that_changes_in_between_is_an_error_for_now(sim: Engines) -> None:
    bay, mesos = await made(sim)
    await mesos.look()
    bay.lead("10.0.0.4:5050")
    with pytest.raises(Rubbish) as told:
        await mesos.look()
    assert told.value.retryable


async def test_mesos_and_marathon_without_a_leader(sim: Engines) -> None:
    bay, mesos = await made(sim)
    bay.misbehave("status", path="/master", status=503, message="No leader elected")
    with pytest.raises(CloudError, match="Mesos answered 503") as told:
        await mesos.look()
    assert (told.value.service, told.value.status, told.value.retryable) == ("mesos", 503, True)
    assert "No leader elected" not in (await mesos.health())["api"], "without TLS it may be anybody's text"
    bay.behave()
    bay.misbehave("status", path="/v2/leader", status=404, message='{"message": "There is no leader"}')
    health = await mesos.health()
    assert "Marathon answered 404: no reason given" in health["api"]
    assert health["W-0.Ready"] == "True"


@pytest.mark.parametrize(("kind", "path"), [("hang", "/master"), ("hang", "/v2"), ("rubbish", "/v2"), ("drop", "/")])
async def test_what_does_not_answer_is_an_error_of_this_bay(sim: Engines, kind: Kind, path: str) -> None:
    bay = MesosBay(sim.clock)
    master, marathon = await doors(sim, bay, seconds=0.2)
    mesos = Mesos([Master(master, frozenset({"10.0.0.3"}))], [marathon])
    bay.misbehave(kind, path=path)
    with pytest.raises(CloudError) as told:
        await mesos.look()
    assert told.value.service == ("marathon" if path == "/v2" else "mesos")
    assert told.value.retryable
    if path == "/v2":
        assert "Marathon" in (await mesos.health())["api"]
    else:
        with pytest.raises(CloudError):
            await mesos.health()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/master/redirect", "<html>"),
        ("/master/state", "<html>"),
        ("/master/state", '{"slaves": [], "frameworks": null, "x": 1'),
        ("/master/state", '{"slaves": [{"id": "s"}], "frameworks": []}'),
        ("/master/state", '{"slaves": [], "frameworks": [{"tasks": [{"id": 5}]}]}'),
        ("/maintenance/schedule", '{"windows": [{"machine_ids": []}]}'),
        (
            "/maintenance/schedule",
            '{"windows": [{"machine_ids": [], "unavailability": {"start": {"nanoseconds": 1.5}}}]}',
        ),
        ("/v2/apps", '{"apps": [{"id": "/web", "instances": "3"}]}'),
        ("/v2/tasks", '{"tasks": [{"id": "t", "appId": "/web", "stagedAt": "yesterday"}]}'),
        ("/v2/queue", "[]"),
    ],
)
async def test_answers_that_make_no_sense(sim: Engines, path: str, body: str) -> None:
    bay, mesos = await made(sim)
    bay.misbehave("status", path=path, status=200, message=body)
    with pytest.raises(Rubbish):
        await mesos.look()


async def test_an_agent_that_is_lost(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=2)
    nodes = await closed(mesos, "W-0")
    bay.fail_node("W-0", silent=False)
    health = await mesos.health()
    assert (health["W-0.Ready"], health["W-1.Ready"]) == ("False", "True")
    assert "no connection" in health["W-0.problem"]
    bay.remove_node("W-0")
    await sim.clock.advance(120)
    assert [one.name for one in (await mesos.look()).nodes] == ["W-1", "w-0"]
    assert await mesos.drain(nodes, force=False) == []
    assert len(bay.cluster.windows) == 1
    await mesos.forget(nodes)
    await mesos.forget(nodes)
    assert bay.cluster.windows == []


async def test_a_new_server_with_the_address_of_one_that_was_sent_away_joins(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=2, heeds=False)
    bay.add_app("bound", constraints=[["hostname", "CLUSTER", "W-0"]])
    nodes = await closed(mesos, "W-0")
    await sim.clock.advance(60)
    for _ in range(2):
        told = await mesos.drain(nodes, force=True)
    assert told == []
    assert bay.cluster.modes == {("w-0", "10.0.0.100"): "DOWN"}
    bay.remove_node("W-0")
    found = (await mesos.look()).find(Node("id", "worker", 0, "W-0", "", "10.0.0.100"))
    assert found is not None
    assert (found.ready, found.open, found.problem) == (False, False, "it is closed for maintenance, and has no agent")
    assert await mesos.health() == {"api": "ok", "W-1.Ready": "True"}
    await mesos.close_nodes([found], MARK)
    assert await mesos.drain([found], force=True) == []
    await mesos.forget([found])
    assert bay.cluster.windows == []
    bay.add_node("W-0", address="10.0.0.100")
    assert named(await mesos.look(), "W-0").open


async def test_a_task_that_takes_its_time_is_killed_once(sim: Engines) -> None:
    bay, mesos = await made(sim, workers=2)
    bay.stop_seconds = 10
    add(bay, "web", 2, cpus=0.1)
    nodes = await closed(mesos, "W-0")
    for _ in range(3):
        assert [one.told() for one in await mesos.drain(nodes, force=False)] == ["/web"]
    await sim.clock.advance(11)
    assert await mesos.drain(nodes, force=False) == []
    assert bay.requests.count("POST /v2/tasks/delete") == 1
    assert on(await mesos.look(), "W-1") == ["/web", "/web"]
