"""Autoscaling from the look to the operation: real Postgres as jb_scaler, engines that are played or on the wire."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from services.scaler.autoscale import RAREST, Autoscaler, bay_created
from shared.coe.port import Look, Resources, Work
from shared.contracts.bay import BayCreated
from shared.db.repositories import scaling
from tests.scaler.autoscaled import (
    WireAccess,
    bay,
    decisions,
    look,
    memo_of,
    policy,
    resized,
    resizes,
    time_passes,
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
        await _until_quiet(town, bay_id)
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
        await _until_quiet(town, bay_id)
    assert (await decisions(town, bay_id))[-1][:2] == (2, 1)


async def _until_quiet(town: Town, bay_id: UUID) -> None:
    """As if the quiet time and all that follows a change were over."""
    await look(town)
    await time_passes(town, bay_id, 5_000)
    await look(town)


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
                while not await resizes(town, other) or await _leased(town, other):
                    await asyncio.sleep(0.02)
                while not wire.engine.requests:
                    await asyncio.sleep(0.02)
            assert await _leased(town, hanging)  # it is still being looked at
            assert await decisions(town, hanging) == []
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _leased(town: Town, bay_id: UUID) -> bool:
    (row,) = await town.rows("SELECT lease_token FROM bay_checks WHERE bay_id = $1", bay_id)
    return row["lease_token"] is not None


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


async def test_after_a_failed_change_what_stands_counts_and_nothing_shrinks(town: Town) -> None:
    bay_id, played = await bay(town, 2)
    waits(played, *(f"shop/more-{number}" for number in range(6)), asks=Resources(1.9, 1))
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED', node_count = 6 WHERE id = $1", bay_id)
    await look(town)
    ((count, desired, _),) = await decisions(town, bay_id)
    assert (count, desired) == (2, 8)
    played.works.clear()
    await resized(town, bay_id)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay_id)
    for _ in range(2):
        await look(town)
        await time_passes(town, bay_id, 9_000)
    await look(town)
    assert await resizes(town, bay_id) == [8]


async def test_what_went_well_elsewhere_does_not_hide_a_failed_growth(town: Town) -> None:
    bay_id, played = await bay(town, 2)
    waits(played, *(f"shop/more-{number}" for number in range(6)), asks=Resources(1.9, 1))
    for kind, group, state in (
        ("resize", "default-worker", "failed"),
        ("resize", "more", "done"),
        ("heal", "x", "done"),
    ):
        await town.sql(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
            "VALUES (gen_random_uuid(), $1, $2, $3, 'scaler', 's', $4, 'u')",
            bay_id,
            kind,
            state,
            json.dumps({"node_count": 6, "nodegroup": group}),
        )
    await town.sql("UPDATE bays SET status = 'UPDATE_COMPLETE', node_count = 6 WHERE id = $1", bay_id)
    await look(town)
    ((count, desired, _),) = await decisions(town, bay_id)
    assert (count, desired) == (2, 8)


async def test_an_owners_resize_is_not_undone_where_nobody_set_a_maximum(town: Town) -> None:
    bay_id, _ = await bay(town, 6, labels={"auto_scaling_enabled": "true"})
    await town.sql(
        "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
        "VALUES (gen_random_uuid(), $1, 'create', 'done', 'provisioner', 's', '{\"node_count\": 2}', 'u')",
        bay_id,
    )
    town.access.bays[bay_id].works[0] = replace(town.access.bays[bay_id].works[0], asks=Resources(0.1, 1))
    await look(town)
    assert await resizes(town, bay_id) == [2]  # its creation alone


async def test_work_that_a_drain_would_not_move_keeps_its_node(town: Town) -> None:
    bay_id, played = await bay(town, 3, busy=False)
    for at in range(3):
        played.works.append(Work(f"shop/bare-{at}", f"node-{at}", Resources(0.1, 1), stays=False, held=True))
    await _until_quiet(town, bay_id)
    assert await resizes(town, bay_id) == []


class _Noted(tuple[Work, ...]):
    """Work that notes who reads it."""

    readers: set[str]

    @override
    def __iter__(self) -> Iterator[Work]:
        self.readers.add(threading.current_thread().name)
        return super().__iter__()


@dataclass
class _Large(PlayedCoe):
    noted: _Noted | None = None

    @override
    async def look(self) -> Look:
        self.noted = _Noted((await super().look()).works)
        self.noted.readers = set()
        return Look(tuple(self.nodes.values()), self.noted)


async def test_a_large_look_is_reckoned_beside_the_others(town: Town) -> None:
    bay_id, played = await bay(town)
    town.access.bays[bay_id] = large = _Large(nodes=played.nodes, works=played.works)
    await look(town)
    assert large.noted is not None
    assert large.noted.readers == {threading.main_thread().name}
    waits(played, *(f"shop/more-{number}" for number in range(1000)))
    await look(town)
    assert large.noted.readers
    assert threading.main_thread().name not in large.noted.readers
    assert await resizes(town, bay_id) == [10]


async def test_a_failed_growth_is_not_asked_for_again_at_once(town: Town) -> None:
    bay_id, played = await bay(town, 2)
    waits(played, "shop/more", asks=Resources(1.9, 1))
    await look(town)
    await town.sql("UPDATE operations SET state = 'failed' WHERE bay_id = $1", bay_id)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay_id)
    await look(town)
    await time_passes(town, bay_id, 599)
    await look(town)
    assert await resizes(town, bay_id) == [3]
    await time_passes(town, bay_id, 601)
    await look(town)
    assert await resizes(town, bay_id) == [3, 3]


async def test_from_zero_one_node_shows_how_large_they_are_and_that_is_remembered(town: Town) -> None:
    labels = {"auto_scaling_enabled": "true", "min_node_count": "0", "max_node_count": "9"}
    bay_id, played = await bay(town, 0, labels=labels)
    waits(played, *(f"shop/web-{number}" for number in range(8)))
    await look(town)
    assert await resizes(town, bay_id) == [1]
    await resized(town, bay_id)
    await town.nodes(bay_id, [])
    played.node("node-0", "10.0.0.10")
    await look(town)
    assert (await memo_of(town, bay_id)).get("size") is None  # nobody says that this is our node
    known, seen = await bay(town, 1, labels=labels)
    await look(town)
    seen.nodes.clear()
    seen.works.clear()
    await town.nodes(known, [])
    await town.sql("UPDATE bays SET node_count = 0 WHERE id = $1", known)
    waits(seen, *(f"shop/web-{number}" for number in range(8)))
    await look(town)
    assert await resizes(town, known) == [2]  # eight halves of a core on nodes with two


async def test_a_new_bay_is_looked_at_and_only_if_it_is_to_be(town: Town) -> None:
    wanted, _ = await bay(town)
    other, _ = await bay(town, labels={})
    for bay_id in (wanted, other):
        await bay_created(town.deps(), BayCreated(operation_id=uuid4(), bay_id=bay_id))
    assert [row["bay_id"] for row in await town.rows("SELECT bay_id FROM bay_checks")] == [wanted]


async def test_looks_spread_over_their_time(town: Town) -> None:
    for _ in range(12):
        await bay(town)
    await Autoscaler(town.deps()).search()
    rows = await town.rows("SELECT extract(epoch FROM next_at - now()) AS due FROM bay_checks")
    assert len({round(row["due"], 3) for row in rows}) == 12
    assert all(-1 < row["due"] <= 60 for row in rows)


async def test_the_last_two_hundred_decisions_are_kept(town: Town) -> None:
    bay_id, _ = await bay(town)
    for number in range(scaling.KEPT + 3):
        async with town.own.begin() as conn:
            await scaling.add(conn, bay_id, node_count=1, desired=1, reason=f"{number}.", seen={}, operation_id=None)
    found = await decisions(town, bay_id)
    assert [reason for _, _, reason in found] == [f"{number}." for number in range(3, scaling.KEPT + 3)]


async def test_of_two_scalers_one_looks(town: Town) -> None:
    bay_id, played = await bay(town)
    await look(town)
    await town.sql("UPDATE bay_checks SET next_at = now()")
    calls = len(played.calls)
    scalers = [Autoscaler(town.deps()) for _ in range(4)]
    assert sorted(await asyncio.gather(*(one.round() for one in scalers))) == [0, 0, 0, 1]
    for one in scalers:
        await one.finish()
    assert len(played.calls) == calls + 1
    assert not await _leased(town, bay_id)
