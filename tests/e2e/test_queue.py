"""The queue as clients of both names meet it: no end is seen before the end, and nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.contracts.http.bays import OperationOut
from shared.contracts.http.events import StatusEvent
from shared.domain.queue import MOST_QUEUED
from tests.support.jobs import control, reason, rows, settled
from tests.support.queues import NO_HOST, SPEED, next_fails, node_count, room, shape, standstill, workers_of
from tests.support.wire import Wire, detail, until_ended, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

READY = 11
_FACES = ["bays", "clusters"]
each_face = pytest.mark.parametrize("face", _FACES)
Watched = TypeVar("Watched")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    extra = {"JEROBOAM_BAYS_PER_PROJECT": "1000"}
    async with LocalStack(
        tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.1, extra_environment=extra
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(stack: LocalStack) -> AsyncIterator[tuple[Wire, Wire]]:
    """Two clients of one project: its member, and the cloud's administrator."""
    async with wires(stack, "demo", "admin") as (demo, admin):
        yield demo, admin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(people: tuple[Wire, Wire]) -> Wire:
    return people[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(demo: Wire) -> list[str]:
    """Bays of two workers that stand, made all at once."""
    model = await demo.template()
    made = [await demo.create(cluster_template_id=model, node_count=2) for _ in range(READY)]
    ends = await asyncio.gather(*(settled(demo.client, bay) for bay in made))
    assert set(ends) == {"CREATE_COMPLETE"}, ends
    return made


@pytest_asyncio.fixture(loop_scope="module")
async def bay(demo: Wire, pool: list[str]) -> str:
    """One that no other test has."""
    if pool:
        return pool.pop()
    made = await demo.create(node_count=2)
    assert await settled(demo.client, made) == "CREATE_COMPLETE", await reason(demo.client, made)
    return made


# what is seen meanwhile


@each_face
async def test_a_look_right_after_the_answer_sees_it_under_way(demo: Wire, bay: str, face: str) -> None:
    """Terraform's race: it takes the first *_COMPLETE that it sees for the end of its own change."""
    changed = await demo("PATCH", f"/v1/{face}/{bay}", node_count(3))
    assert (changed.status_code, changed.json()) == (202, {"uuid": bay})
    for path in ("bays", "clusters"):
        assert (await demo.get(f"/v1/{path}/{bay}"))["status"] == "UPDATE_IN_PROGRESS"
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    again = await demo("PATCH", f"/v1/bays/{bay}", node_count(2), version=1)
    assert (again.status_code, again.json()["status"]) == (200, "UPDATE_IN_PROGRESS")
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert len((await demo.get(f"/v1/{face}/{bay}"))["node_addresses"]) == 2


@each_face
async def test_a_change_during_the_creation_is_awaited_too(demo: Wire, face: str) -> None:
    bay = await demo.create(node_count=1)
    assert (await demo.get(f"/v1/{face}/{bay}"))["status"] == "CREATE_IN_PROGRESS"
    if face == "bays":
        assert (await demo("PATCH", f"/v1/bays/{bay}", node_count(2))).status_code == 202
    else:
        await demo.resize(bay, 2)
    assert await _seen_until_quiet(demo, bay, face) == {"UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"}
    ended = [(one["kind"], one["state"]) for one in await until_ended(demo, bay)]
    assert ended == [("create", "done"), ("resize", "done")]
    assert len((await demo.get(f"/v1/{face}/{bay}"))["node_addresses"]) == 2


async def test_nobody_sees_the_end_before_the_queue_is_empty(demo: Wire, bay: str, stack: LocalStack) -> None:
    """Three resizes, one after another, while somebody asks all the time at each name."""
    watchers = await _three_resizes(demo, bay, stack, *(_seen_until_quiet(demo, bay, face) for face in _FACES))
    for seen in await asyncio.gather(*watchers):
        assert seen == {"UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"}
    assert [one["state"] for one in await until_ended(demo, bay)] == ["done"] * 4
    assert (await shape(demo, stack, bay))[:2] == (4, 4)


async def test_nor_does_the_stream_of_events_tell_of_it(demo: Wire, bay: str, stack: LocalStack) -> None:
    """Who stops at the first *_COMPLETE of the stream has waited for all three."""
    (told,) = await _three_resizes(demo, bay, stack, _told_until_quiet(demo, bay))
    assert await told == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


# order, collapse, and nodes that are named


async def test_each_in_its_turn_and_the_named_nodes_go(demo: Wire, bay: str, stack: LocalStack) -> None:
    first, second = await workers_of(stack, bay)
    await demo.resize(bay, 4)
    await demo.resize(bay, 3, first)
    await demo.resize(bay, 2, second)
    await demo.resize(bay, 3)
    ended = await until_ended(demo, bay)
    assert [one["state"] for one in ended] == ["done"] * 5
    begun = [one["started_at"] for one in ended]
    assert begun == sorted(begun)
    assert all(one["finished_at"] <= later for one, later in zip(ended, begun[1:], strict=False))
    wanted, there, left = await shape(demo, stack, bay)
    assert (wanted, there) == (3, 3)
    assert not {first, second} & set(left)


async def test_what_only_counts_collapses_to_the_last(demo: Wire, bay: str, stack: LocalStack) -> None:
    async with standstill(stack):
        await demo.resize(bay, 3)
        for count in (5, 6):
            await demo.resize(bay, count)
        assert (await demo("PATCH", f"/v1/bays/{bay}", node_count(1))).status_code == 202
        assert (await demo.get(f"/v1/clusters/{bay}"))["node_count"] == 1
    ended = [(one["kind"], one["state"], one["error"]) for one in await until_ended(demo, bay)]
    replaced = ("resize", "cancelled", "Replaced by a later resize.")
    assert ended == [("create", "done", None), ("resize", "done", None), *[replaced] * 2, ("resize", "done", None)]
    assert (await shape(demo, stack, bay))[:2] == (1, 1)


async def test_two_clients_at_once_lose_nothing(people: tuple[Wire, Wire], bay: str, stack: LocalStack) -> None:
    """Every request that was accepted is an operation, each follows the one before it, and the last one is what is."""
    demo, admin = people
    counts = (3, 4, 5, 6, 7, 8)
    async with standstill(stack):
        answers = await asyncio.gather(
            *(
                (demo, admin)[n % 2]("PATCH", f"/v1/{('bays', 'clusters')[n // 2 % 2]}/{bay}", node_count(count))
                for n, count in enumerate(counts)
            )
        )
        assert {one.status_code for one in answers} == {202}
        shown = (await demo.get(f"/v1/bays/{bay}"))["node_count"]
    query = "SELECT state, request->>'was' AS was, request->>'node_count' AS wanted FROM operations WHERE bay_id = $1"
    asked = (await rows(stack, f"{query} ORDER BY seq", UUID(bay)))[1:]
    assert sorted(int(one["wanted"]) for one in asked) == list(counts)
    kept = [one for one in asked if one["state"] != "cancelled"]
    assert (kept[0], kept[-1]) == (asked[0], asked[-1])
    assert [one["was"] for one in kept] == ["2", *(one["wanted"] for one in kept[:-1])]
    await until_ended(demo, bay)
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert (await shape(demo, stack, bay))[:2] == (shown, shown) == (int(asked[-1]["wanted"]),) * 2


# as many as may, and what overtakes them


async def test_the_seventeenth_is_refused_and_a_delete_overtakes_sixteen(
    demo: Wire, bay: str, stack: LocalStack
) -> None:
    async with standstill(stack):
        await demo.resize(bay, 3)
        leaves = (await workers_of(stack, bay))[0]
        for number in range(MOST_QUEUED):  # naming a node keeps one from being replaced by the next
            await demo.resize(bay, 3 - number % 2, *([leaves] if number % 2 else []))
        last = {"node_count": 1, "nodes_to_remove": [leaves]}
        for refused in (
            await demo("POST", f"/v1/clusters/{bay}/actions/resize", last),
            await demo("PATCH", f"/v1/bays/{bay}", node_count(5)),
            await demo("PATCH", f"/v1/clusters/{bay}", node_count(5)),
        ):
            assert refused.status_code == 409, refused.text
            assert int(refused.headers["Retry-After"]) > 0
            assert detail(refused).startswith(f"{MOST_QUEUED} operations of ")
        shown = await demo.get(f"/v1/clusters/{bay}")
        assert (shown["status"], shown["node_count"]) == ("UPDATE_IN_PROGRESS", 2)
        mine = shown["cluster_id"]

        assert (await demo("DELETE", f"/v1/bays/{bay}")).status_code == 204
        for face in ("bays", "clusters"):
            assert (await demo.get(f"/v1/{face}/{bay}"))["status"] == "DELETE_IN_PROGRESS"
        late = await demo("PATCH", f"/v1/clusters/{bay}", node_count(9))
        why = 'Updating a cluster when status is "DELETE_IN_PROGRESS" is not supported.'
        assert (late.status_code, detail(late)) == (400, why)
        told = (await demo.get(f"/v1/bays/{bay}/operations"))["operations"][::-1]
        waited = [(one["state"], one["error"]) for one in told if one["kind"] == "resize"][1:]
        assert waited == [("cancelled", "A delete overtook it.")] * MOST_QUEUED
        assert (told[-1]["kind"], [one["kind"] for one in told].count("delete")) == ("delete", 1)
    assert await until_ended(demo, bay) == []
    assert mine not in {one["id"] for one in (await control(stack, "/heat/stacks"))["stacks"]}


# what fails


async def test_after_a_failed_resize_the_next_goes_on(demo: Wire, bay: str, stack: LocalStack) -> None:
    await next_fails(stack, bay, "kube_minions/2/server")
    await demo.resize(bay, 4)
    await demo.resize(bay, 3)
    assert await _seen_until_quiet(demo, bay, "clusters") == {"UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"}
    _create, failed, done = await until_ended(demo, bay)
    assert (failed["state"], NO_HOST in failed["error"]) == ("failed", True)
    assert (done["state"], done["error"]) == ("done", None)
    assert (await shape(demo, stack, bay))[:2] == (3, 3)


async def test_a_failed_creation_cancels_what_waits_and_says_why(demo: Wire, stack: LocalStack) -> None:
    async with standstill(stack):
        bay = await demo.create(node_count=1, name="doomed")
        await next_fails(stack, bay, "kube_minions/0/server")
        await demo.resize(bay, 2)
        assert (await demo("PATCH", f"/v1/bays/{bay}", node_count(3))).status_code == 202
    failed, replaced, cancelled = await until_ended(demo, bay)
    assert (failed["state"], replaced["state"], cancelled["state"]) == ("failed", "cancelled", "cancelled")
    assert cancelled["error"] == f"Cancelled, because the bay's creation failed: {failed['error']}"
    for face in ("bays", "clusters"):
        shown = await demo.get(f"/v1/{face}/{bay}")
        assert (shown["status"], shown["status_reason"]) == ("CREATE_FAILED", failed["error"])
        assert NO_HOST in shown["status_reason"]
    refused = await demo("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 2})
    why = 'Resizing a cluster when status is "CREATE_FAILED" is not supported.'
    assert (refused.status_code, detail(refused)) == (400, why)


# quotas


async def test_what_does_not_fit_is_refused_at_once(people: tuple[Wire, Wire], bay: str, stack: LocalStack) -> None:
    demo, admin = people
    async with room(demo, admin, 1) as limit:
        why = f"Resource limit exceeded: 3 servers needed, 1 left of {limit}."
        for refused in (
            await demo("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 5}),
            await demo("PATCH", f"/v1/clusters/{bay}", node_count(5)),
            await demo("PATCH", f"/v1/bays/{bay}", node_count(5)),
        ):
            assert (refused.status_code, detail(refused)) == (403, why)
        shown = await demo.get(f"/v1/clusters/{bay}")
        assert (shown["status"], shown["node_count"]) == ("CREATE_COMPLETE", 2)
        await demo.resize(bay, 3)
        assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert (await shape(demo, stack, bay))[:2] == (3, 3)


async def test_what_no_longer_fits_ends_when_its_turn_comes(
    people: tuple[Wire, Wire], bay: str, stack: LocalStack
) -> None:
    demo, admin = people
    first = (await workers_of(stack, bay))[0]
    async with standstill(stack) as go_on:
        await demo.resize(bay, 1, first)
        await demo.resize(bay, 5)
        async with room(demo, admin, 2) as limit:  # others have taken the rest
            await go_on()
            ended = await until_ended(demo, bay)
    assert [one["state"] for one in ended] == ["done", "done", "failed"]
    shown = await demo.get(f"/v1/clusters/{bay}")
    assert shown["status"] == "UPDATE_FAILED"
    assert shown["status_reason"] == (
        f"Resource limit exceeded: 4 servers needed, 3 left of {limit}. Nothing was changed."
    )
    assert len(await workers_of(stack, bay)) == 1


# helpers


async def _seen_until_quiet(demo: Wire, bay: str, face: str) -> set[str]:
    """Every status that somebody sees who asks all the time, until nothing is under way any more."""
    seen: set[str] = set()
    async with asyncio.timeout(60):
        while True:
            # Looked at before the status: once all has ended, the status that follows is the last.
            told = (await demo.get(f"/v1/{face}/{bay}/operations"))["operations"]
            seen.add((await demo.get(f"/v1/{face}/{bay}"))["status"])
            if all(one["state"] not in {"active", "queued"} for one in told):
                return seen
            await asyncio.sleep(0.005)


async def _three_resizes(
    demo: Wire, bay: str, stack: LocalStack, *watching: Coroutine[Any, Any, Watched]
) -> list[asyncio.Task[Watched]]:
    """Ask for three that stay three; the watchers begin after the first."""
    leaves = (await workers_of(stack, bay))[0]
    await demo.resize(bay, 3)
    tasks = [asyncio.create_task(one) for one in watching]
    await demo.resize(bay, 2, leaves)
    await demo.resize(bay, 4)
    return tasks


async def _told_until_quiet(demo: Wire, bay: str) -> list[str]:
    """Every status that the stream of events tells, doubles apart, until it has told the end of three resizes."""
    told: list[str] = []
    ended: set[str] = set()
    async with asyncio.timeout(60), aclosing(demo.client.events(bay)) as events:
        async for event in events:
            if isinstance(event.data, StatusEvent) and told[-1:] != [event.data.became]:
                told.append(event.data.became)
            if isinstance(event.data, OperationOut) and (event.data.kind, event.data.state) == ("resize", "done"):
                ended.add(str(event.data.id))
            if len(ended) == 3 and told[-1] == "UPDATE_COMPLETE":
                break
    return told
