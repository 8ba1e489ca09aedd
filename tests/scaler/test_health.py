"""What is concluded of bays from what their nodes report: by Postgres, and only written when it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.scaler import health
from shared.db.repositories import health as told
from shared.db.repositories import node_health
from tests.scaler.played_coe import refused
from tests.scaler.town import Town
from tests.scaler.ward import LIMIT, NEVER, falls_silent, ward, well

READY = {"api": "ok", "master-0.Ready": "True", "node-0.Ready": "True", "node-1.Ready": "True", "node-2.Ready": "True"}
MANY = 10_000


async def test_a_bay_whose_nodes_are_well_is_healthy(town: Town) -> None:
    it = await ward(town)
    await it.round()
    assert await it.health() == (None, {}), "nobody has said anything"
    await it.report()
    await it.round()
    assert await it.health() == ("HEALTHY", READY)


async def test_what_is_the_same_is_not_written(town: Town) -> None:
    it = await well(town)
    before = await it.version()
    await it.time_passes(200)
    await it.report()
    await it.round()
    assert await it.version() == before
    await it.report("node-1", healthy=False, problem="disk")
    await it.round()
    assert await it.version() != before


@pytest.mark.parametrize(
    ("problem", "units", "why"),
    [
        ("the disk is full", {}, "the disk is full"),
        (None, {"kubelet": "failed", "docker": "active"}, "kubelet is failed"),
    ],
)
async def test_a_node_that_says_so_is_not_ready(
    town: Town, problem: str | None, units: dict[str, str], why: str
) -> None:
    it = await well(town)
    await it.report("node-1", healthy=False, problem=problem, **units)
    await it.round()
    assert await it.health() == ("UNHEALTHY", READY | {"node-1.Ready": "False", "node-1.problem": why})
    await it.report("node-1")
    await it.round()
    assert await it.health() == ("HEALTHY", READY)


async def test_without_a_master_there_is_no_api(town: Town) -> None:
    it = await well(town)
    await it.report("master-0", healthy=False, problem="etcd")
    await it.round()
    status, reason = await it.health()
    assert (status, reason["api"], reason["node-0.Ready"]) == ("UNHEALTHY", "No master is well.", "True")


async def test_a_node_that_is_late_is_silent(town: Town) -> None:
    it = await well(town, labels={"auto_healing_enabled": "false"})
    await falls_silent(it, "node-2", seconds=LIMIT - 5)
    assert (await it.health())[0] == "HEALTHY"
    await falls_silent(it, "node-2", seconds=6)
    status, reason = await it.health()
    assert (status, reason["node-2.Ready"]) == ("UNHEALTHY", "False")
    assert reason["node-2.problem"].startswith("its agent has been silent since 20")
    await it.report()
    await it.round()
    assert await it.health() == ("HEALTHY", READY)


async def test_an_agent_that_promises_nothing_has_twice_seven_minutes(town: Town) -> None:
    """Nodes keep the agent that they were born with, and older ones do not try again when they do not get through."""
    it = await well(town, labels={"auto_healing_enabled": "false"})
    await town.sql("UPDATE node_reports SET next_within = DEFAULT")
    await falls_silent(it, "node-2", seconds=NEVER - 10)
    assert (await it.health())[0] == "HEALTHY"
    await falls_silent(it, "node-2", seconds=10)
    assert (await it.health())[0] == "UNHEALTHY"


async def test_a_silence_that_nobody_else_has_broken_may_be_ours(town: Town) -> None:
    """The API may have been away, and those who did not get through try again for `GRACE`."""
    it = await well(town, labels={"auto_healing_enabled": "false"})
    await it.time_passes(200)
    await it.report("master-0", "node-0", "node-1")
    await it.time_passes(LIMIT - 199)
    await it.round()
    assert (await it.health())[0] == "HEALTHY", "nobody was heard since it should have been"
    await it.report("master-0", "node-0", "node-1")
    await it.round()
    assert (await it.health())[0] == "HEALTHY", "they have only just been heard again"
    await it.time_passes(91)
    await it.round()
    assert (await it.health())[0] == "UNHEALTHY"


async def test_a_node_that_never_reported_counts_from_its_birth(town: Town) -> None:
    it = await ward(town, labels={"auto_healing_enabled": "false"})
    await it.report("master-0", "node-0", "node-1")
    await it.round()
    status, reason = await it.health()
    assert (status, "node-2.Ready" in reason) == ("HEALTHY", False)
    await it.time_passes(NEVER, *it.names)
    await it.round()
    assert ((await it.health())[0], await it.reason("node-2.Ready")) == ("UNHEALTHY", "False")


async def test_nobody_becomes_silent_while_an_operation_changes_nodes(town: Town) -> None:
    it = await well(town)
    await town.resize(it.bay, 2)
    await falls_silent(it, "node-2")
    assert await it.health() == ("HEALTHY", READY)
    await it.end()
    await falls_silent(it, "node-2", seconds=1)
    assert (await it.health())[0] == "UNHEALTHY"


async def test_a_node_that_has_left_is_told_of_no_more(town: Town) -> None:
    it = await well(town)
    await it.report("node-2", healthy=False, problem="disk")
    await it.round()
    await town.server_left(it.bay, it.server("node-2"))
    await it.round()
    status, reason = await it.health()
    assert (status, sorted(reason)) == ("HEALTHY", ["api", "master-0.Ready", "node-0.Ready", "node-1.Ready"])
    assert await town.rows("SELECT FROM node_health WHERE server_id = $1", it.server("node-2")) == []


async def test_of_many_nodes_only_those_are_named_that_are_not_well(town: Town) -> None:
    it = await well(town, 150)
    assert await it.health() == ("HEALTHY", {"api": "ok", "nodes": "151 of 151 are ready"})
    await it.report("node-7", healthy=False, problem="disk")
    await it.round()
    assert (await it.health())[1] == {
        "api": "ok",
        "nodes": "150 of 151 are ready",
        "node-7.Ready": "False",
        "node-7.problem": "disk",
    }


# what others say


async def test_what_the_cloud_and_the_authority_say_stays(town: Town) -> None:
    it = await well(town, labels={"auto_healing_enabled": "false"})
    await it.cloud_says({"cloud.stack": "changed"})
    await town.sql(
        'UPDATE bays SET health_status_reason = health_status_reason || \'{"certificates.expiring": "soon"}\''
    )
    assert (await it.health())[0] == "UNHEALTHY"
    await it.report("node-1", healthy=False, problem="disk")
    await it.round()
    status, reason = await it.health()
    assert (status, reason["cloud.stack"], reason["certificates.expiring"]) == ("UNHEALTHY", "changed", "soon")
    await it.report("node-1")
    await it.round()
    assert (await it.health())[0] == "UNHEALTHY", "the cloud still says so"
    await it.cloud_says({}, ill=False)
    assert await it.health() == ("HEALTHY", READY | {"certificates.expiring": "soon"})


async def test_a_server_that_the_cloud_calls_broken_is_not_ready_at_once(town: Town) -> None:
    it = await well(town, labels={"auto_healing_enabled": "false"})
    await it.cloud_says({"cloud.server.node-1": "Server node-1 is SHUTOFF in Nova."})
    await it.round()
    status, reason = await it.health()
    assert (status, reason["node-1.Ready"], reason["node-1.problem"]) == (
        "UNHEALTHY",
        "False",
        "Server node-1 is SHUTOFF in Nova.",
    )


async def test_the_owner_s_word_counts_for_ten_minutes(town: Town) -> None:
    it = await well(town, labels={"auto_healing_enabled": "false"})
    async with town.engine.begin() as conn:
        await told.tell(conn, it.bay, "UNHEALTHY", {"api": "slow", "cloud.server.x": "made up"})
    assert await it.health() == ("UNHEALTHY", {"api": "slow"})
    await it.report("node-1", healthy=False, problem="disk")
    await it.round()
    assert await it.health() == ("UNHEALTHY", {"api": "slow"})
    await it.time_passes(601, *it.names)
    await it.round()
    assert (await it.health())[1] == READY | {"node-1.Ready": "False", "node-1.problem": "disk"}


async def test_what_an_owner_says_does_not_hide_the_cloud_s_trouble(town: Town) -> None:
    it = await well(town)
    await it.cloud_says({"cloud.stack": "gone"})
    async with town.engine.begin() as conn:
        await told.tell(conn, it.bay, "HEALTHY", {"api": "ok"})
    assert await it.health() == ("UNHEALTHY", {"api": "ok", "cloud.stack": "gone"})


# bays that have to be asked


async def test_a_bay_that_nobody_reports_of_is_asked_itself(town: Town) -> None:
    it = await ward(town)
    await it.round()
    assert await it.ask() == 0, "it may report yet"
    await it.time_passes(NEVER)
    await it.round()
    it.coe.said = {"api": "ok", "node-0.Ready": "True", "node-1.Ready": "False", "node-1.problem": "PIDs"}
    assert await it.ask() == 1
    assert await it.health() == ("UNHEALTHY", it.coe.said)
    found = await town.rows("SELECT server_id, healthy, problem FROM node_health ORDER BY 1")
    assert [(row["healthy"], row["problem"]) for row in found] == [(True, None), (False, "PIDs")]


async def test_while_nothing_changes_it_is_asked_less_and_less_often(town: Town) -> None:
    it = await ward(town)
    await it.time_passes(NEVER)
    await it.round()
    pauses = []
    for _ in range(6):
        await it.ask()
        pauses.append((await town.rows("SELECT every_seconds FROM bay_checks"))[0]["every_seconds"])
    assert pauses == [60, 120, 240, 480, 600, 600]
    before = await it.version()
    await it.ask()
    assert await it.version() == before
    it.coe.said = {"api": "ok", "node-0.Ready": "False"}
    await it.ask()
    assert (await town.rows("SELECT every_seconds FROM bay_checks"))[0]["every_seconds"] == 60


@pytest.mark.parametrize("reached", [True, False])
async def test_one_that_cannot_be_reached_is_unknown_until_somebody_is_heard(town: Town, reached: bool) -> None:
    it = await well(town)
    await it.time_passes(NEVER)
    await it.round()
    assert await it.health() == ("HEALTHY", READY), "nothing is known yet"
    if reached:
        it.coe.dead = refused()
    else:
        town.access.out_of_reach.add(it.bay)
    await it.ask()
    assert await it.health() == ("UNKNOWN", {"api": "The cluster bay is not accessible."})
    assert it.coe.calls == (["health"] if reached else [])
    await it.report()
    await it.round()
    assert await it.health() == ("HEALTHY", READY)
    assert await it.ask() == 0, "its nodes tell again"


async def test_a_bay_that_fails_us_holds_up_no_other(town: Town) -> None:
    bays = [await ward(town) for _ in range(2)]
    for it in bays:
        await it.time_passes(NEVER)
        await it.round()
    bays[0].coe.dead = ValueError("not expected")  # type: ignore[assignment] # a lie of the engine
    assert await bays[0].ask() == 2
    assert [(await it.health())[0] for it in bays] == [None, "HEALTHY"]


# scale


async def test_ten_thousand_bays_at_rest_are_one_query_and_no_write(town: Town) -> None:
    it = await well(town, 1)
    await town.sql(
        "INSERT INTO bays (id, project_id, user_id, name, baymodel_id, driver, status, stack_name, node_count, "
        "master_count, health_status, coe_health) SELECT gen_random_uuid(), 'p', 'u', 'b', baymodel_id, driver, "
        "'CREATE_COMPLETE', 's', 3, 1, 'HEALTHY', 'HEALTHY' FROM bays, generate_series(1, $1) WHERE id = $2",
        MANY,
        it.bay,
    )
    await town.sql(
        "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) SELECT b.id, n || '', "
        "CASE n WHEN 0 THEN 'master' ELSE 'worker' END, n, 'n' || n, '', '' FROM bays b, generate_series(0, 3) n "
        "WHERE b.id <> $1",
        it.bay,
    )
    await town.sql(
        "INSERT INTO node_reports (bay_id, server_id, healthy, revision, next_within) "
        "SELECT bay_id, server_id, true, '', 240 FROM nodes WHERE bay_id <> $1",
        it.bay,
    )
    await town.sql(
        "INSERT INTO node_health (bay_id, server_id, healthy) SELECT bay_id, server_id, true FROM nodes "
        "WHERE bay_id <> $1",
        it.bay,
    )
    await town.sql("VACUUM ANALYZE")
    assert not await health.look(town.deps())
    query = node_health._FIND.text.replace(":limit", "200")
    plan = json.loads((await town.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))[0][0])
    assert _visited(plan[0]["Plan"]) <= 15 * MANY * 2, "each row of four nodes a bay, a few times"
    print(f"{MANY} bays, {4 * MANY} nodes: {plan[0]['Execution Time']:.0f} ms")


def _visited(node: dict[str, Any]) -> int:
    here = 0
    if "Relation Name" in node:
        here = int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
    return here + sum(map(_visited, node.get("Plans", ())))
