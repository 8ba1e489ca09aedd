"""Whom the scaler heals, when, and when it lets things be."""

from __future__ import annotations

import json
from itertools import pairwise
from uuid import UUID

import pytest

from shared.db.repositories import bays as bays_repository
from shared.db.repositories import health as told
from shared.domain.healing import DRAIN, PATIENCE
from shared.domain.operation import FLOWS, OperationKind
from tests.scaler.played_coe import refused
from tests.scaler.town import Town
from tests.scaler.ward import LIMIT, NEVER, Ward, falls_silent, ward, well


async def test_a_silent_worker_is_healed(town: Town) -> None:
    it = await well(town)
    await falls_silent(it, "node-1", seconds=360)
    (asked,) = await it.heals()
    assert asked == {
        "server_id": it.server("node-1"),
        "node": "node-1",
        "role": "worker",
        "place": it.server("node-1"),
        "problem": await it.reason("node-1.problem"),
        "nodegroup": "default-worker",
        "node_count": 3,
        "nodes_to_remove": [it.server("node-1")],
    }
    query = "SELECT became, reason FROM bay_history WHERE bay_id = $1 ORDER BY seq DESC LIMIT 1"
    (line,) = await town.rows(query, it.bay)
    assert tuple(line) == ("UPDATE_IN_PROGRESS", "healing node node-1: agent silent for 6 min")
    (operation,) = await town.rows("SELECT * FROM operations WHERE bay_id = $1", it.bay)
    assert (operation["requested_by"], operation["step"]) == ("service:scaler", "heal.reboot")
    assert operation["deadline"] is not None
    await it.round()
    assert len(await it.heals()) == 1, "one at a time"


async def test_ten_minutes_after_its_first_missed_report_another_server_is_on_its_way(town: Town) -> None:
    """The budget of shared/domain/healing.py, by a clock that is moved: what is left is Heat's and Nova's."""
    earliest = 180.0  # what a node that reports at its soonest has after its last report
    it = await well(town, 4)
    await it.time_passes(earliest + 151, *it.but("node-1"))
    await it.round()
    passed = 151.0 + 15
    (operation,) = [UUID(str(row["id"])) for row in await town.rows("SELECT id FROM operations")]
    await _step(town, operation, "heal.watch", finished="heal.reboot")
    it.coe.node("node-1", "10.0.0.11", ready=False)
    assert await town.turn(operation) == "heal.watch"
    await it.time_passes(PATIENCE, *it.but("node-1"))
    passed += 10 + PATIENCE
    assert await town.turn(operation) == "heal.stack"
    passed += DRAIN
    assert passed <= 420, "three minutes are left for the server to be made"
    assert await town.leaving(operation) == ["node-1"]
    assert it.coe.closed() == {"node-1"}


@pytest.mark.parametrize("driver", ["k8s_fedora_atomic", "k8s_ubuntu", "swarm_fedora_atomic", "mesos_ubuntu"])
@pytest.mark.parametrize(("label", "heals"), [(None, True), ("true", True), ("false", False), ("no", False)])
async def test_auto_healing_enabled(town: Town, driver: str, label: str | None, heals: bool) -> None:
    it = await well(town, labels={} if label is None else {"auto_healing_enabled": label})
    await town.sql("UPDATE bays SET driver = $1", driver)
    await falls_silent(it, "node-1")
    assert bool(await it.heals()) == heals
    assert await it.reason("node-1.Ready") == "False"


async def test_a_node_that_calls_itself_ill_gets_five_minutes(town: Town) -> None:
    it = await well(town)
    await it.report("node-1", healthy=False, problem="disk")
    await it.round()
    assert await it.heals() == []
    await it.time_passes(290, *it.names)
    await it.round()
    assert await it.heals() == []
    await it.time_passes(11, *it.names)
    await it.round()
    assert await it.healed() == ["node-1"]
    assert (await it.heals())[0]["problem"] == "disk"


async def test_what_the_cloud_calls_broken_is_healed_at_once(town: Town) -> None:
    it = await well(town)
    await it.cloud_says({"cloud.server.node-1": "gone"})
    await it.round()
    assert await it.healed() == ["node-1"]


async def test_who_has_been_ill_for_longest_comes_first(town: Town) -> None:
    it = await well(town, 6)
    await it.time_passes(LIMIT - 10, *it.but("node-4"))
    await falls_silent(it, "node-4", seconds=11)
    await it.end()
    await falls_silent(it, "node-2", "node-4")
    assert await it.healed() == ["node-4", "node-4"]


async def test_when_many_of_a_group_are_ill_nothing_is_done(town: Town) -> None:
    """Two of five are healed, three are not: then it is what they share."""
    it = await well(town, 5)
    await it.report("node-0", "node-1", "node-2", healthy=False, problem="no route")
    await it.round()
    await it.time_passes(301, *it.names)
    await it.round()
    assert await it.heals() == []
    why = await it.reason("healing")
    assert why is not None
    assert why.startswith(
        "Nothing is healed in nodegroup default-worker: 3 of its 5 nodes are not well, more than 40%."
    )
    before = await it.version()
    await it.round()
    assert await it.version() == before
    await it.report("node-2")
    await it.round()
    assert len(await it.heals()) == 1
    assert await it.reason("healing") is None


async def test_a_group_of_one_is_healed_all_the_same(town: Town) -> None:
    it = await well(town, 1)
    await falls_silent(it, "node-0")
    assert await it.healed() == ["node-0"]


async def test_a_bay_that_cannot_reach_us_is_let_be_also_while_its_nodes_come_back(town: Town) -> None:
    """One after the other they are heard again: who comes last is not dead."""
    it = await well(town, 2)
    await it.time_passes(LIMIT + 1, "master-0")
    await it.round()
    assert (await it.heals(), (await it.reason("healing") or "")[:40]) == (
        [],
        "Nothing is healed: 2 of the 3 nodes are ",
    )
    await it.report("node-0")
    await it.round()
    assert await it.heals() == []
    await it.time_passes(301, "master-0", "node-0")
    await it.round()
    assert await it.healed() == ["node-1"]


async def test_when_nobody_reaches_us_no_bay_is_healed(town: Town) -> None:
    """Of three bays of two nodes one each is silent: it is not the nodes."""
    them = [await well(town, 1) for _ in range(3)]
    for it in them:
        await it.time_passes(LIMIT + 1, "master-0")
    for it in them:
        await it.round()
    assert [await it.heals() for it in them] == [[], [], []]
    for it in them[:2]:
        await it.report("node-0")
        await it.round()
    assert await them[2].heals() == [], "those that were silent just now count"
    await them[1].time_passes(301, *them[1].names)
    await them[2].round()
    assert await them[2].healed() == ["node-0"]


async def test_one_node_of_each_of_several_bays_is_healed(town: Town) -> None:
    them = [await well(town, 3) for _ in range(3)]
    for it in them:
        await it.time_passes(LIMIT + 1, *it.but("node-1"))
    for it in them:
        await it.round()
    assert [await it.healed() for it in them] == [["node-1"]] * 3


async def test_a_place_is_healed_three_times_a_day(town: Town) -> None:
    """Also when another server stands there each time."""
    it = await well(town, 4)
    names = ["node-1", "node-7", "node-8", "node-9"]
    for name, new in pairwise(names):
        await falls_silent(it, name)
        assert (await it.healed())[-1] == name
        await it.end(replaced_by=new)
        await it.report()
        await it.round()
        await it.time_passes(400, *it.names)
    assert {one["place"] for one in await it.heals()} == {"s-1-" + it.bay.hex[:8]}
    await falls_silent(it, "node-9")
    assert len(await it.heals()) == 3
    why = await it.reason("healing") or ""
    assert "node-9 is not healed again before" in why
    assert "that was done 3 times within 24 hours" in why
    await it.report("node-9")
    await falls_silent(it, "node-2")
    assert (await it.healed())[-1] == "node-2", "another place is"
    await it.end()
    await it.report()
    await it.time_passes(24 * 3600, *it.names)
    await falls_silent(it, "node-9")
    assert (await it.healed())[-1] == "node-9"


async def test_after_a_healing_that_failed_it_waits_half_an_hour(town: Town) -> None:
    it = await well(town)
    await falls_silent(it, "node-1")
    await it.end("failed")
    await falls_silent(it, "node-1", seconds=60)
    assert len(await it.heals()) == 1
    assert "node-1 could not be healed; that is tried again at" in (await it.reason("healing") or "")
    await falls_silent(it, "node-1", seconds=1800)
    assert len(await it.heals()) == 2


async def test_never_during_another_operation_nor_in_a_bay_that_is_broken(town: Town) -> None:
    it = await well(town)
    operation = await town.resize(it.bay, 2)
    await it.report("node-1", healthy=False, problem="disk")
    await it.round()
    await it.time_passes(301, *it.names)
    await it.round()
    assert await it.heals() == []
    await town.sql("UPDATE operations SET state = 'done', finished_at = now() WHERE id = $1", operation)
    for status in ("CREATE_FAILED", "DELETE_FAILED"):
        await town.sql("UPDATE bays SET status = $1", status)
        await it.round()
        assert await it.heals() == [], status
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED'")
    await it.cloud_says({"cloud.stack": "Stack s is DELETE_IN_PROGRESS; not by this service."})
    await it.round()
    assert await it.heals() == []
    await it.cloud_says({}, ill=False)
    await it.round()
    assert await it.healed() == ["node-1"]


async def test_who_watches_a_bay_himself_heals_it_too(town: Town) -> None:
    it = await well(town)
    async with town.engine.begin() as conn:
        await told.tell(conn, it.bay, "UNHEALTHY", {"api": "ok"})
    await falls_silent(it, "node-1")
    assert await it.heals() == []
    await falls_silent(it, "node-1", seconds=600)
    assert await it.healed() == ["node-1"]


async def test_a_healing_is_asked_once_however_many_scalers_there_are(town: Town) -> None:
    it = await well(town)
    await it.time_passes(LIMIT + 1, *it.but("node-1"))
    async with town.engine.connect() as conn:  # somebody else has the bay: nothing is waited for
        await bays_repository.lock(conn, it.bay)
        await it.round()
        assert (await it.health())[0] == "HEALTHY"
    await it.round()
    await it.round()
    assert await it.healed() == ["node-1"]


# its steps


async def test_a_node_that_says_that_it_is_well_after_its_restart_has_recovered(town: Town) -> None:
    it, operation = await _restarted(town, "node-1")
    assert await town.turn(operation) == "heal.watch"
    await it.report("node-1", healthy=False, problem="starting")
    assert await town.turn(operation) == "heal.watch"
    await it.time_passes(60, *it.names)
    await it.report("node-1")
    assert await town.turn(operation) == "heal.stack"
    assert await town.note(operation, "heal.drain") == "Nothing to do: the restart was enough."
    assert await _memo(town, operation) == {"recovered": True}
    assert it.coe.calls == []


async def test_what_it_said_before_its_restart_does_not_count(town: Town) -> None:
    it, operation = await _restarted(town, "node-1", report_first=True)
    assert await town.turn(operation) == "heal.watch"
    await it.time_passes(PATIENCE + 1, *it.but("node-1"))
    await town.turn(operation)
    assert await town.note(operation, "heal.watch") == (
        "node-1 did not become well within 3.5 minutes of its restart: it is replaced."
    )


async def test_a_server_that_could_not_be_restarted_is_not_waited_for(town: Town) -> None:
    _it, operation = await _restarted(town, "node-1")
    await town.sql("UPDATE operations SET memo = '{\"dead\": true}'")
    assert await town.turn(operation) == "heal.stack"


async def test_a_master_that_does_not_recover_is_not_replaced(town: Town) -> None:
    it, operation = await _restarted(town, "master-0")
    assert (await it.heals())[0].get("nodes_to_remove") is None
    await it.time_passes(PATIENCE + 1, *it.but("master-0"))
    await town.turn(operation)
    assert await town.error(operation) == (
        "master-0 did not become well within 3.5 minutes of its restart. It is a master, which is not replaced: it has "
        "to be repaired by hand."
    )
    (bay,) = await town.rows("SELECT status FROM bays")
    assert bay["status"] == "UPDATE_FAILED"


async def test_an_engine_that_does_not_answer_does_not_keep_a_dead_node(town: Town) -> None:
    it, operation = await _restarted(town, "node-1")
    it.coe.dead = refused(retryable=False)
    await it.time_passes(PATIENCE + 1, *it.but("node-1"))
    assert await town.turn(operation) == "heal.stack"
    assert await town.leaving(operation) == ["node-1"]


async def test_work_that_will_not_go_does_not_keep_a_dead_node(town: Town) -> None:
    it, operation = await _restarted(town, "node-1")
    it.coe.node("node-1", "10.0.0.11")
    it.coe.runs("shop/web", "node-1")
    it.coe.budgets["shop/web"] = "budget shop/web"
    await it.time_passes(PATIENCE + 1, *it.but("node-1"))
    assert await town.turn(operation) == "heal.drain"
    assert await town.turn(operation) == "heal.drain"
    await town.time_passes(it.bay, DRAIN + 1)
    assert await town.turn(operation) == "heal.stack"
    assert await town.left_behind(it.bay) == {"node-1"}, "the sweep strikes it off when it has left"


async def test_a_bay_without_agents_is_watched_by_its_engine(town: Town) -> None:
    it = await ward(town)
    await it.time_passes(NEVER)
    await it.round()
    ready = {f"{name}.Ready": "True" for name in it.names}
    it.coe.said = {"api": "ok", **ready, "node-1.Ready": "False"}
    await it.ask()
    await it.time_passes(301)
    await it.round()
    assert await it.healed() == ["node-1"]
    (operation,) = [UUID(str(row["id"])) for row in await town.rows("SELECT id FROM operations")]
    await _step(town, operation, "heal.watch", finished="heal.reboot")
    assert await town.turn(operation) == "heal.watch"
    it.coe.said = {"api": "ok", **ready}
    await it.ask()
    assert await town.turn(operation) == "heal.stack"
    assert await _memo(town, operation) == {"recovered": True}


def test_the_flow_hands_over_as_its_steps_do() -> None:
    owners = [step.service.value for step in FLOWS[OperationKind.HEAL].steps]
    assert owners == ["provisioner", "scaler", "scaler", *["provisioner"] * 4]


async def _restarted(town: Town, name: str, *, report_first: bool = False) -> tuple[Ward, UUID]:
    """A bay in which this node was silent, and the provisioner has just restarted it."""
    it = await well(town, 4)
    await falls_silent(it, name)
    (row,) = await town.rows("SELECT id FROM operations WHERE kind = 'heal'")
    if report_first:
        await it.report(name)
    operation = UUID(str(row["id"]))
    await _step(town, operation, "heal.watch", finished="heal.reboot")
    return it, operation


async def _step(town: Town, operation: UUID, step: str, *, finished: str) -> None:
    """Somebody else has done that step, just now."""
    await town.sql("UPDATE operations SET step = $2, service = 'scaler' WHERE id = $1", operation, step)
    await town.sql(
        "UPDATE operation_steps SET state = 'done', started_at = now(), finished_at = now() "
        "WHERE operation_id = $1 AND name = $2",
        operation,
        finished,
    )


async def _memo(town: Town, operation: UUID) -> dict[str, object]:
    (row,) = await town.rows("SELECT memo FROM operations WHERE id = $1", operation)
    found: dict[str, object] = json.loads(row["memo"])
    return found


async def test_who_is_to_go_is_not_healed(town: Town) -> None:
    """The deletion of a group may have failed: its nodes go all the same, when it is asked for again."""
    it = await well(town, 4)
    await town.sql(
        "WITH more AS (INSERT INTO nodegroups (id, bay_id, name, role, wanted, min_node_count) "
        "VALUES (gen_random_uuid(), $1, 'more', 'worker', 'gone', 0) RETURNING id) "
        "INSERT INTO node_pools (bay_id, number, nodegroup_id, generation) SELECT $1, 1, id, 1 FROM more",
        it.bay,
    )
    await town.sql("UPDATE nodes SET pool = 1 WHERE server_id = $1", it.server("node-1"))
    await falls_silent(it, "node-1")
    assert await it.heals() == []
    await town.sql("UPDATE nodegroups SET wanted = 'present' WHERE bay_id = $1", it.bay)
    await it.round()
    assert [(one["node"], one["nodegroup"]) for one in await it.heals()] == [("node-1", "more")]
