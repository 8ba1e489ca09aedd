"""Autoscaling from the look to the operation: real Postgres as jb_scaler, engines that are played or on the wire."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from typing_extensions import override

from services.scaler.autoscale import RAREST, Autoscaler
from shared.coe.port import Look, Resources
from tests.scaler.autoscaled import (
    WireAccess,
    bay,
    decisions,
    leased,
    look,
    memo_of,
    policy,
    resized,
    resizes,
    time_passes,
    until_quiet,
    waits,
)
from tests.scaler.played_coe import PlayedCoe, refused
from tests.scaler.town import Town
from tests.support.coe import docker_bay, kubernetes_bay, mesos_bay


async def test_pods_that_wait_make_a_resize_and_say_why(town: Town) -> None:
    """By the wire: TLS, Kubernetes' own lists, a scheduler that finds no room."""
    bay_id, _ = await bay(town, 2)
    town.access = access = WireAccess(bays=town.access.bays)
    async with kubernetes_bay(nodes=2, masters=1) as wire:
        access.wires[bay_id] = wire
        wire.engine.add_deployment("web", 6, cpu="900m")
        await look(town)
    ((count, desired, reason),) = await decisions(town, bay_id)
    assert (count, desired) == (2, 3)
    assert reason.startswith("2 pods wait (default/web-")
    assert reason.endswith("for room; 1 more node fits them.")
    (asked,) = await town.rows("SELECT *, request::text AS request FROM operations WHERE bay_id = $1", bay_id)
    assert (asked["kind"], asked["state"], asked["requested_by"]) == ("resize", "active", "service:scaler")
    whole = {"node_count": 3, "nodegroup": "default-worker", "nodes_to_remove": [], "rollback": False, "was": 2}
    assert json.loads(asked["request"]) == whole
    (row,) = await town.rows("SELECT operation_id, seen FROM scaling_decisions WHERE bay_id = $1", bay_id)
    assert row["operation_id"] == asked["id"]
    assert json.loads(row["seen"])["more"] == 1
    (after,) = await town.rows("SELECT status, node_count FROM bays WHERE id = $1", bay_id)
    assert tuple(after) == ("UPDATE_IN_PROGRESS", 3)
    history = await town.rows("SELECT event, became, reason, operation_id FROM bay_history ORDER BY seq DESC LIMIT 2")
    assert [tuple(row) for row in history] == [
        ("autoscaling", "UPDATE_IN_PROGRESS", reason, asked["id"]),
        ("update asked", "UPDATE_IN_PROGRESS", None, None),
    ]
    (told,) = await town.rows("SELECT service, name FROM outbox")
    assert tuple(told) == ("scaler", "bay.resize.requested")


async def test_a_swarm_grows_with_its_tasks_and_shrinks_without(town: Town) -> None:
    bay_id, _ = await bay(town, 2)
    await town.sql("UPDATE bays SET driver = 'swarm_mode_fedora_atomic' WHERE id = $1", bay_id)
    town.access = access = WireAccess(bays=town.access.bays)
    async with docker_bay(nodes=2, masters=1) as wire:
        access.wires[bay_id] = wire
        wire.engine.add_service("web", 7, cpu=0.9)
        await look(town)
        ((count, desired, reason),) = await decisions(town, bay_id)
        assert (count, desired) == (2, 3), reason
        assert "task" in reason
        await resized(town, bay_id)
        await town.sql("UPDATE bays SET node_count = 2 WHERE id = $1", bay_id)
        wire.engine.scale("web", 0)
        await until_quiet(town, bay_id)
    assert (await decisions(town, bay_id))[-1][:2] == (2, 1)


async def test_a_mesos_bay_grows_with_what_marathon_cannot_place_and_shrinks_without(town: Town) -> None:
    bay_id, _ = await bay(town, 2)
    await town.sql("UPDATE bays SET driver = 'mesos_ubuntu' WHERE id = $1", bay_id)
    town.access = access = WireAccess(bays=town.access.bays)
    async with mesos_bay(nodes=2) as wire:
        access.wires[bay_id] = wire
        wire.engine.add_app("web", 6, cpus=0.9)
        await wire.clock.advance(60)
        await look(town)
        ((count, desired, reason),) = await decisions(town, bay_id)
        assert (count, desired) == (2, 3), reason
        assert reason.startswith("2 tasks wait (/web")
        await resized(town, bay_id)
        await town.sql("UPDATE bays SET node_count = 2 WHERE id = $1", bay_id)
        wire.engine.scale("web", 0)
        await until_quiet(town, bay_id)
    assert (await decisions(town, bay_id))[-1][:2] == (2, 1)


async def test_a_quiet_bay_shrinks_and_one_under_change_is_passed_over(town: Town) -> None:
    bay_id, _ = await bay(town, 3, busy=False)
    await look(town)
    assert await resizes(town, bay_id) == []
    await time_passes(town, bay_id, 599)
    await look(town)
    assert await resizes(town, bay_id) == []
    await time_passes(town, bay_id, 601)
    await look(town)
    assert await resizes(town, bay_id) == [1]
    ((_, _, reason),) = await decisions(town, bay_id)
    assert reason == "For 20 minutes 2 nodes have had no work; what runs fits on 1 node."
    seen = len(town.access.bays[bay_id].calls)
    await look(town)
    assert len(town.access.bays[bay_id].calls) == seen


async def test_a_bay_that_hangs_holds_up_no_other(town: Town) -> None:
    hanging, _ = await bay(town)
    other, played = await bay(town)
    waits(played, "shop/web-9", asks=Resources(1.5, 1))
    town.access = access = WireAccess(bays=town.access.bays)
    async with kubernetes_bay(nodes=3) as wire:
        access.wires[hanging] = wire
        wire.engine.misbehave("hang")
        scaler = Autoscaler(town.deps())
        await scaler.search()
        await town.sql("UPDATE bay_checks SET next_at = now()")
        task = asyncio.create_task(scaler.run())
        try:
            async with asyncio.timeout(30):
                while not await resizes(town, other) or await leased(town, other):
                    await asyncio.sleep(0.02)
                while not wire.engine.requests:
                    await asyncio.sleep(0.02)
            assert await leased(town, hanging)  # it is still being looked at
            assert await decisions(town, hanging) == []
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_written_where_nothing_changes(town: Town) -> None:
    bay_id, _ = await bay(town)
    await look(town)
    before = await _state(town)
    for _ in range(3):
        await look(town)
    assert await _state(town) == before
    assert await decisions(town, bay_id) == []
    assert await resizes(town, bay_id) == []


async def _state(town: Town) -> list[list[Any]]:
    """All but the checks: where rows lie and which transaction wrote them."""
    tables = ("bays", "operations", "scaling_decisions", "bay_history", "outbox", "nodes", "nodegroups")
    return [await town.rows(f"SELECT ctid::text, xmin::text FROM {table} ORDER BY 1") for table in tables]


async def test_a_full_bay_says_so_once_and_says_when_it_is_over(town: Town) -> None:
    bay_id, played = await bay(town, 3, labels={"auto_scaling_enabled": "true", "max_node_count": "3"})
    waits(played, "shop/web-9", asks=Resources(1.5, 1))
    for _ in range(3):
        await look(town)
    (full,) = await decisions(town, bay_id)
    assert full[:2] == (3, 3)
    assert full[2].endswith("1 more node fits them, and the group may have 3 at most.")
    played.works.pop()
    await look(town)
    assert (await decisions(town, bay_id))[1:] == [(3, 3, "All work has room.")]


async def test_who_cannot_be_seen_is_asked_ever_more_rarely_and_keeps_its_size(town: Town) -> None:
    bay_id, played = await bay(town, busy=False)
    played.dead = refused()
    pauses = []
    for _ in range(9):
        await look(town)
        (row,) = await town.rows("SELECT every_seconds FROM bay_checks WHERE bay_id = $1", bay_id)
        pauses.append(row["every_seconds"])
    assert pauses == [60, 60, 120, 240, 480, 600, 600, 600, 600]
    assert pauses[-1] == RAREST
    ((count, desired, reason),) = await decisions(town, bay_id)
    assert (count, desired) == (3, 3)
    assert reason == (
        "What runs in the cluster cannot be seen (The bay's Kubernetes did not answer: cannot connect); its size stays."
    )
    played.dead = None
    await look(town)
    (row,) = await town.rows("SELECT every_seconds FROM bay_checks WHERE bay_id = $1", bay_id)
    assert row["every_seconds"] == 60


async def test_what_is_our_own_fault_says_nothing_of_the_bay(town: Town) -> None:
    bay_id, played = await bay(town)
    await look(town)
    before = await memo_of(town, bay_id)
    played.dead = refused(service="certs")
    for _ in range(4):
        await look(town)
    assert await memo_of(town, bay_id) == before
    assert await decisions(town, bay_id) == []


async def test_a_policy_that_says_no_ends_the_looks_and_yes_begins_them(town: Town) -> None:
    bay_id, played = await bay(town)
    await look(town)
    await policy(town, bay_id, enabled=False)
    waits(played, "shop/web-9", asks=Resources(1.5, 1))
    await look(town)
    assert await town.rows("SELECT FROM bay_checks") == []
    await look(town)
    assert await resizes(town, bay_id) == []
    await town.sql("UPDATE scaling_policies SET policy = '{\"enabled\": true}' WHERE bay_id = $1", bay_id)
    await look(town)
    assert await resizes(town, bay_id) == [4]


_OTHER_OPERATION = """
    INSERT INTO operations (id, bay_id, kind, state, service, step, requested_by)
    VALUES (gen_random_uuid(), $1, 'rotate_ca', 'active', 'certs', 'rotate_ca.make', 'u')
"""


@dataclass
class _Meanwhile(PlayedCoe):
    """An engine during whose look the bay's owner does something."""

    town: Town | None = None
    statement: str = ""
    bay_id: UUID | None = None

    @override
    async def look(self) -> Look:
        assert self.town is not None
        await self.town.sql(self.statement, self.bay_id)
        return await super().look()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bays SET node_count = 7 WHERE id = $1",
        "UPDATE bays SET status = 'UPDATE_IN_PROGRESS' WHERE id = $1",
        "UPDATE bays SET wanted = 'gone' WHERE id = $1",
        "INSERT INTO scaling_policies (bay_id, policy) VALUES ($1, '{\"enabled\": false}')",
        "UPDATE nodegroups SET max_node_count = 3 WHERE bay_id = $1 AND role = 'worker'",
        _OTHER_OPERATION,
        "DELETE FROM bays WHERE id = $1",
    ],
    ids=["resized", "changing", "going", "policy", "range", "operation", "gone"],
)
async def test_what_happens_during_a_look_is_seen_before_anything_is_done(town: Town, statement: str) -> None:
    bay_id, played = await bay(town)
    town.access.bays[bay_id] = slow = _Meanwhile(
        nodes=played.nodes, works=played.works, town=town, statement=statement, bay_id=bay_id
    )
    waits(slow, "shop/web-9", asks=Resources(1.5, 1))
    await look(town)
    assert await town.rows("SELECT FROM operations WHERE bay_id = $1 AND kind = 'resize'", bay_id) == []
    assert await decisions(town, bay_id) == []
    if "DELETE" not in statement:
        assert await memo_of(town, bay_id) == {}  # nothing was done, so nothing is remembered
