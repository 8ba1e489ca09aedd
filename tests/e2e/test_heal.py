"""A node dies, and the bay heals: through the whole local stack, with agents that are played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from tests.e2e.healing import WITHIN, Patients, clinic, others, patients
from tests.support.jobs import control, reason
from tests.support.queues import NO_HOST, next_fails
from tests.support.wire import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[LocalStack, Wire]]:
    extra = {"JEROBOAM_SWEEP_MINUTES": "2"}
    async with clinic(tmp_path_factory.mktemp("stack"), extra_environment=extra) as found:
        yield found


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def afterwards(place: tuple[LocalStack, Wire]) -> AsyncIterator[None]:
    """No bay is left whose nodes fall silent while others are tested."""
    yield
    _, demo = place
    for bay in (await demo.get("/v1/clusters"))["clusters"]:
        await demo("DELETE", f"/v1/clusters/{bay['uuid']}")


async def test_a_dead_server_is_restarted_and_then_replaced_and_the_others_stay(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 3)
    before = await it.workers()
    dead = before[1]
    await it.falls_silent(dead)
    await it.step("heal.watch")
    assert await it.reboots(dead) == 1
    assert (await it.health("UNHEALTHY"))["api"] == "ok"
    await it.patience_ends()
    assert await it.healed() == "UPDATE_COMPLETE", await reason(it.demo.client, it.bay)
    after = await it.workers()
    assert others(before, dead) == set(before) & set(after)
    assert (len(after), await it.in_the_cloud() >= set(after), dead in await it.in_the_cloud()) == (3, True, False)
    (ended, asked), *_ = zip(*[iter(await it.history())] * 2, strict=False)
    assert (ended[0], asked[0]) == ("UPDATE_COMPLETE", "UPDATE_IN_PROGRESS")
    assert asked[1] == f"healing node {it.nodes[dead].name}: agent silent for 7 min"
    await it.meet()
    await it.report()
    (new,) = set(after) - set(before)
    await it.says(f"{it.nodes[new].name}.Ready", "True")
    assert f"{it.nodes[dead].name}.Ready" not in await it.health("HEALTHY")


async def test_nodes_that_are_not_on_record_yet_stay(place: tuple[LocalStack, Wire]) -> None:
    """The stack grew after the healing was told how many nodes there are: nobody leaves but whom it names."""
    it = await patients(*place, 3)
    before = await it.workers()
    dead = before[1]
    await it.falls_silent(dead)
    await it.step("heal.watch")
    await grown(it, 5)
    there = await it.in_the_cloud()
    await it.patience_ends()
    assert await it.healed() == "UPDATE_COMPLETE", await reason(it.demo.client, it.bay)
    assert there - await it.in_the_cloud() == {dead}
    assert len(await it.workers()) == 5


async def grown(it: Patients, count: int) -> None:
    """The bay's first stack has so many workers, of which we have no record."""
    session, wanted = it.demo.client.session, (await it.demo.client.bay(it.bay)).stack_id
    listed = (await session.call("orchestration", "GET", "/stacks", wants_json=True)).json().docs("stacks")
    name = next(one.text("stack_name") for one in listed if one.text("id") == wanted)
    changed = {"parameters": {"number_of_minions": count}}
    await session.call("orchestration", "PATCH", f"/stacks/{name}/{wanted}", json=changed)
    async with asyncio.timeout(WITHIN):
        while True:
            shown = await session.call("orchestration", "GET", f"/stacks/{name}/{wanted}", wants_json=True)
            if shown.json().doc("stack").text("stack_status") == "UPDATE_COMPLETE":
                return
            await asyncio.sleep(0.1)


async def test_when_the_restart_is_enough_nothing_is_replaced(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 2)
    before = await it.workers()
    await it.falls_silent(before[0])
    await it.step("heal.watch")
    await it.report()
    assert await it.healed() == "UPDATE_COMPLETE"
    assert (await it.workers(), await it.reboots(before[0])) == (before, 1)
    notes = await it.notes()
    assert notes["heal.watch"] == f"{it.nodes[before[0]].name} is well again."
    assert notes["heal.stack"] == "Nothing to do: the restart was enough."
    await it.health("HEALTHY")


async def test_a_server_that_is_gone_is_replaced_without_waiting(place: tuple[LocalStack, Wire]) -> None:
    """Before its silence is noticed: the sweep of the cloud has seen it."""
    it = await patients(*place, 3)
    before = await it.workers()
    await it.demo.client.session.delete("compute", f"/servers/{before[2]}")
    assert await it.healed() == "UPDATE_COMPLETE", await reason(it.demo.client, it.bay)
    after = await it.workers()
    assert (set(before[:2]) < set(after), len(after)) == (True, 3)
    assert "Nova does not have the server any more" in (await it.notes())["heal.reboot"]
    await it.health("HEALTHY")


async def test_a_server_in_error_is_not_restarted(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 3)
    before = await it.workers()
    await control(it.stack, f"/servers/{before[0]}/status", "PUT", {"status": "ERROR"})
    assert await it.healed() == "UPDATE_COMPLETE", await reason(it.demo.client, it.bay)
    after = await it.workers()
    assert (set(before[1:]) < set(after), before[0] in await it.in_the_cloud()) == (True, False)
    assert (await it.notes())["heal.reboot"].startswith("Not restarted. The server is in ERROR")


async def test_a_server_that_somebody_stopped_is_started(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 2)
    before = await it.workers()
    await control(it.stack, f"/servers/{before[0]}/status", "PUT", {"status": "SHUTOFF"})
    await it.step("heal.watch")
    await it.report()
    assert await it.healed() == "UPDATE_COMPLETE"
    assert (await it.workers(), await it.reboots(before[0])) == (before, 1)
    await it.health("HEALTHY")


async def test_more_than_two_fifths_of_a_group_are_let_be(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 3)
    before = await it.workers()
    for server in before[:2]:
        said = {"healthy": False, "revision": "x", "units": {"kubelet": "failed"}, "next_within": 240}
        assert (await it.nodes[server].call("PUT", "/nodes/self", said)).status_code == 204
    await it.health("UNHEALTHY")
    await it.ill_for_long()
    await it.says("healing", "2 of its 3 nodes are not well, more than 40%")
    assert (await it.demo.get(f"/v1/clusters/{it.bay}"))["status"] == "CREATE_COMPLETE"
    await it.report(before[0])
    assert await it.at_heal() == before[0]
    await it.report()
    assert await it.healed() == "UPDATE_COMPLETE"
    assert await it.workers() == before


async def test_a_bay_whose_owner_does_not_want_it_is_not_healed(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 2, auto_healing_enabled="false")
    other = await patients(*place, 2)
    await it.falls_silent((await it.workers())[0])
    await it.health("UNHEALTHY")
    await other.falls_silent((await other.workers())[0])
    await other.step("heal.watch")
    await other.report()
    await other.healed()
    assert [one.kind for one in await it.demo.client.operations(it.bay)] == ["create"]


async def test_a_replacement_that_fails_is_told(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 3)
    before = await it.workers()
    await next_fails(it.stack, it.bay, "kube_minions/3/server")
    await it.falls_silent(before[0])
    await it.step("heal.watch")
    await it.patience_ends()
    assert await it.healed() == "UPDATE_FAILED"
    assert NO_HOST in await reason(it.demo.client, it.bay)
    assert set(before[1:]) <= set(await it.workers())


async def test_a_master_is_restarted_and_no_more(place: tuple[LocalStack, Wire]) -> None:
    it = await patients(*place, 3)
    (master,) = [server for server, node in it.nodes.items() if node.role == "master"]
    await it.falls_silent(master)
    await it.step("heal.watch")
    assert await it.reboots(master) == 1
    await it.patience_ends()
    assert await it.healed() == "UPDATE_FAILED"
    assert "It is a master, which is not replaced" in await reason(it.demo.client, it.bay)
    assert master in await it.in_the_cloud()
