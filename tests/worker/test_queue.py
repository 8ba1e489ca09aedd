"""The queue of a bay: order, limit, collapse, what fails and what overtakes, and what clients see meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.db.engine import make_engine
from shared.db.repositories import operations
from shared.domain.bay_state import BayStatus
from shared.domain.errors import Conflict, InvalidInput
from shared.domain.operation import OperationKind, Service
from shared.domain.queue import MOST_QUEUED, Door
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait
from tests.support.database import as_role
from tests.worker.world import StepOf, World

_DUE = "UPDATE operations SET next_run_at = now()"
_OLD = "UPDATE operations SET created_at = created_at - interval '3 hours'"


_WATCHED = """
    CREATE TABLE seen (n bigserial, status text)
    ;;
    CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO seen (status) SELECT status FROM bays WHERE id = NEW.id; RETURN NULL; END $$
    ;;
    CREATE CONSTRAINT TRIGGER look AFTER INSERT OR UPDATE ON bays DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION look()
"""


async def _broken(_ctx: StepContext[None]) -> Outcome:
    return Broke("No valid host was found.")


def _noting(seen: list[int], *, fails: int | None = None) -> StepOf:
    """A step that notes the count it is to reach, and breaks at one of them."""

    async def step(ctx: StepContext[None]) -> Outcome:
        seen.append(int(str(ctx.operation.request["node_count"])))
        return Broke(f"{fails} is too many.") if seen[-1] == fails else Done()

    return step


def _leaving(number: int) -> dict[str, object]:
    """Naming nodes keeps a resize from being collapsed."""
    return {"nodes_to_remove": [f"server-{number}"]}


async def test_what_queues_runs_in_the_order_of_acceptance(world: World) -> None:
    bay_id = await world.bay()
    for count in (5, 3, 4):
        await world.ask(bay_id, count, request=_leaving(count))
    ran: list[int] = []
    await world.drain(world.workers({"resize.plan": _noting(ran)}))
    assert ran == [5, 3, 4]
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["done"] * 4
    bay = await world.get(bay_id)
    assert (bay.status, bay.node_count) == (BayStatus.UPDATE_COMPLETE, 4)


async def test_no_client_sees_the_end_before_the_queue_is_empty(world: World) -> None:
    # What a commit leaves is what others can see: a deferred trigger writes it down.
    for statement in _WATCHED.split(";;"):
        await world.sql(statement)
    bay_id = await world.bay()
    await world.ask(bay_id, 5, request=_leaving(0))
    await world.ask(bay_id, 9, request=_leaving(1))
    await world.ask(bay_id, 7, request=_leaving(2))
    await world.drain(world.workers({"resize.plan": _noting([], fails=9)}))
    async with world.engine.connect() as conn:
        seen = [row.status for row in await conn.exec_driver_sql("SELECT status FROM seen ORDER BY n")]
        history = [
            tuple(row) for row in await conn.exec_driver_sql("SELECT event, became FROM bay_history ORDER BY seq")
        ]
    assert list(dict.fromkeys(seen)) == ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]
    assert seen[-1] == "UPDATE_COMPLETE"
    assert seen.count("UPDATE_COMPLETE") == 1
    assert history[4:] == [
        ("created", "CREATE_COMPLETE"),
        ("update asked", "UPDATE_IN_PROGRESS"),
        ("updated", "UPDATE_COMPLETE"),
        ("update asked", "UPDATE_IN_PROGRESS"),
        ("update broke", "UPDATE_FAILED"),
        ("update asked", "UPDATE_IN_PROGRESS"),
        ("updated", "UPDATE_COMPLETE"),
    ]


async def test_after_a_failed_change_the_next_goes_on(world: World) -> None:
    bay_id = await world.bay()
    for count in (9, 4):
        await world.ask(bay_id, count, request=_leaving(count))
    ran: list[int] = []
    await world.drain(world.workers({"resize.plan": _noting(ran, fails=9)}))
    assert ran == [9, 4]
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["done", "failed", "done"]
    assert (await world.get(bay_id)).status is BayStatus.UPDATE_COMPLETE


async def test_a_failed_change_with_nothing_behind_it_shows(world: World) -> None:
    bay_id = await world.bay()
    await world.ask(bay_id, 9)
    await world.drain(world.workers({"resize.stack": _broken}))
    assert (await world.get(bay_id)).status is BayStatus.UPDATE_FAILED
    assert await _value(world, "SELECT status_reason FROM bays") == "No valid host was found."
    await world.ask(bay_id, 9)  # an autoscaler pushes again
    await world.drain(world.workers())
    assert (await world.get(bay_id)).status is BayStatus.UPDATE_COMPLETE


@pytest.mark.parametrize("step", ["create.authorities", "create.stack"])
async def test_a_failed_creation_cancels_all_that_waits_and_says_why(world: World, step: str) -> None:
    bay_id = await world.bay()
    for count in (5, 6):
        await world.ask(bay_id, count, request=_leaving(count))
    assert (await world.get(bay_id)).status is BayStatus.UPDATE_IN_PROGRESS
    await world.drain(world.workers({step: _broken}))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_FAILED
    assert await _value(world, "SELECT status_reason FROM bays") == "No valid host was found."
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["failed", "cancelled", "cancelled"]
    assert await _errors(world) == ["Cancelled, because the bay's creation failed: No valid host was found."] * 2
    with pytest.raises(InvalidInput, match='Resizing a bay when status is "CREATE_FAILED" is not supported'):
        await world.ask(bay_id, 3)


async def test_sixteen_may_wait(world: World) -> None:
    bay_id = await world.bay()
    for count in range(MOST_QUEUED):
        await world.ask(bay_id, count, request=_leaving(count))
    with pytest.raises(Conflict, match="16 operations") as refused:
        await world.ask(bay_id, 99)
    assert refused.value.retry_after == operations.RETRY_AFTER
    assert len(await world.states(bay_id)) == 1 + MOST_QUEUED
    assert (await world.get(bay_id)).node_count == MOST_QUEUED - 1
    await world.drain(world.workers())
    await world.ask(bay_id, 99)


async def test_a_full_queue_takes_what_replaces_its_end(world: World) -> None:
    bay_id = await world.bay()
    for count in range(MOST_QUEUED - 1):
        await world.ask(bay_id, count, request=_leaving(count))
    await world.ask(bay_id, 40)
    await world.ask(bay_id, 41)
    with pytest.raises(Conflict):
        await world.ask(bay_id, 42, request=_leaving(42))
    assert (await world.get(bay_id)).node_count == 41


async def test_of_two_who_want_the_last_place_one_gets_it(world: World) -> None:
    bay_id = await world.bay()
    for count in range(MOST_QUEUED - 1):
        await world.ask(bay_id, count, request=_leaving(count))
    asked = [world.ask(bay_id, 50 + number, request=_leaving(number)) for number in range(4)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(one).__name__ for one in answers) == ["Conflict", "Conflict", "Conflict", "UUID"]
    states = [state for _kind, state, _step in await world.states(bay_id)]
    assert states.count("queued") == MOST_QUEUED


async def test_resizes_that_only_count_collapse_to_the_last(world: World) -> None:
    bay_id = await world.bay()
    for count in (5, 6, 7):
        await world.ask(bay_id, count)
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["active", *["cancelled"] * 2, "queued"]
    assert await _errors(world) == ["Replaced by a later resize."] * 2
    ran: list[int] = []
    await world.drain(world.workers({"resize.plan": _noting(ran)}))
    assert ran == [7]


async def test_what_is_under_way_is_never_replaced(world: World) -> None:
    bay_id = await world.bay()
    await world.drain(world.workers())
    for count in (5, 6, 7):
        await world.ask(bay_id, count)
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["done", "active", "cancelled", "queued"]


async def test_neither_another_nodegroup_nor_named_nodes_collapse(world: World) -> None:
    bay_id = await world.bay()
    await world.ask(bay_id, 5)
    await world.ask(bay_id, 1, request={"nodegroup": "other"})
    await world.ask(bay_id, 6, request={"nodegroup": "default-worker"})
    await world.ask(bay_id, 4, request=_leaving(0))
    await world.ask(bay_id, 7)
    await world.ask(bay_id, 8)
    states = [state for _kind, state, _step in await world.states(bay_id)]
    assert states == ["active", *["queued"] * 4, "cancelled", "queued"]


async def test_a_request_is_seen_against_what_will_be(world: World) -> None:
    bay_id = await world.bay()
    await world.ask(bay_id, 5, request=_leaving(0))
    await world.ask(bay_id, 9)
    await world.ask(bay_id, 4, request={"nodegroup": "other"})
    await world.ask(bay_id, 8, request={"nodegroup": None})
    async with world.engine.connect() as conn:
        live = await operations.live(conn, bay_id)
    assert [(one.kind, one.request.get("was"), one.request.get("nodegroup")) for one in live] == [
        (OperationKind.CREATE, None, None),
        (OperationKind.RESIZE, 2, "default-worker"),  # the create's own request, in these tests
        (OperationKind.RESIZE, 5, "default-worker"),
        (OperationKind.RESIZE, None, "other"),
        (OperationKind.RESIZE, 9, "default-worker"),
    ]
    assert (await world.get(bay_id)).node_count == 8


async def test_a_replaced_resize_is_not_what_the_next_follows(world: World) -> None:
    bay_id = await world.bay()
    await world.drain(world.workers())
    for count in (5, 6, 7):
        await world.ask(bay_id, count)
    async with world.engine.connect() as conn:
        assert (await operations.live(conn, bay_id))[-1].request["was"] == 5


async def test_refusing_says_it_in_magnum_s_words(world: World) -> None:
    bay_id = await world.bay()
    for door, verb in ((Door.UPDATE, "Updating"), (Door.RESIZE, "Resizing"), (Door.UPGRADE, "Upgrading")):
        with pytest.raises(InvalidInput) as refused:
            await world.ask(bay_id, 3, busy="refuse", door=door)
        assert refused.value.message == f'{verb} a bay when status is "CREATE_IN_PROGRESS" is not supported.'
    assert len(await world.states(bay_id)) == 1
    assert (await world.get(bay_id)).status is BayStatus.CREATE_IN_PROGRESS
    await world.drain(world.workers())
    await world.ask(bay_id, 3, busy="refuse", door=Door.UPDATE)
    with pytest.raises(InvalidInput, match="UPDATE_IN_PROGRESS"):
        await world.ask(bay_id, 4, busy="refuse", door=Door.UPDATE)
    await world.ask(bay_id, 4, busy="refuse")
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["done", "active", "queued"]


@pytest.mark.parametrize("held", [False, True])
async def test_a_delete_overtakes_the_queue(world: World, held: bool) -> None:
    bay_id = await world.bay()
    for count in (5, 6):
        await world.ask(bay_id, count, request=_leaving(count))
    workers = world.workers()
    holder = workers[list(Service).index(Service.CERTS)]
    operation = await holder.claim() if held else None
    await world.delete(bay_id)
    assert (await world.get(bay_id)).status is BayStatus.DELETE_IN_PROGRESS
    assert await _errors(world) == ["A delete overtook it."] * 2
    with pytest.raises(InvalidInput, match="DELETE_IN_PROGRESS"):
        await world.ask(bay_id, 7)
    if operation is not None:
        await holder.run(operation)
    assert [state for _kind, state, _step in await world.states(bay_id)] == [
        "superseded",
        *["cancelled"] * 2,
        "active",
    ]
    await world.drain(workers)
    assert await world.states(bay_id) == []


async def test_the_time_of_what_waited_counts_from_its_start(world: World) -> None:
    bay_id = await world.bay()
    await world.ask(bay_id, 5)
    await world.sql(_OLD)

    minutes: list[float] = []

    async def patient(ctx: StepContext[None]) -> Outcome:
        assert ctx.operation.deadline is not None
        minutes.append((ctx.operation.deadline - ctx.operation.started_at).total_seconds() / 60)
        return Wait(30, note="Heat is still busy.")

    workers = world.workers({"resize.follow": patient})
    await world.drain(workers)
    await world.sql("UPDATE operation_steps SET started_at = started_at - interval '59 minutes'")
    await world.sql(_DUE)
    await world.drain(workers)
    assert (await world.get(bay_id)).status is BayStatus.UPDATE_IN_PROGRESS
    await world.sql("UPDATE operation_steps SET started_at = started_at - interval '2 minutes'")
    await world.sql(_DUE)
    await world.drain(workers)
    assert minutes == [60.0] * 3
    assert (await world.get(bay_id)).status is BayStatus.UPDATE_FAILED
    assert "the time is up. Heat is still busy." in await _value(world, "SELECT status_reason FROM bays")


async def test_the_rights_that_the_services_have_are_enough(world: World) -> None:
    engines = {
        name: make_engine(as_role(world.dsn, f"jb_{name}"), pool_size=2)
        for name in ("api", *(service.value for service in Service))
    }
    try:
        bay_id = await world.bay()
        for count in (5, 6, 7):
            await world.ask(bay_id, count, engine=engines["api"])
        await world.ask(bay_id, 4, engine=engines["api"], request=_leaving(0))
        own = {service: engines[service.value] for service in Service}
        await world.drain(world.workers({"resize.stack": _noting([], fails=7)}, own))
        assert [state for _kind, state, _step in await world.states(bay_id)] == [
            "done",
            *["cancelled"] * 2,
            "failed",
            "done",
        ]
        for step in ("create.authorities", "create.stack"):
            other = await world.bay()
            await world.ask(other, 5, engine=engines["api"])
            await world.drain(world.workers({step: _broken}, own))
            assert [state for _kind, state, _step in await world.states(other)] == ["failed", "cancelled"]
    finally:
        for engine in engines.values():
            await engine.dispose()


async def test_what_was_warned_of_is_kept(world: World) -> None:
    bay_id = await world.bay()
    async with world.engine.begin() as conn:
        await operations.enqueue(
            conn,
            bay_id=bay_id,
            kind=OperationKind.RESIZE,
            request={"node_count": 3},
            requested_by="u",
            timeout_minutes=None,
            warnings=["Label colour is not known."],
        )
        told = [one["warnings"] for one in await operations.history(conn, bay_id)]
    assert told == [["Label colour is not known."], []]


async def _value(world: World, query: str) -> Any:
    async with world.engine.connect() as conn:
        return (await conn.exec_driver_sql(query)).scalar()


async def _errors(world: World) -> list[str]:
    """What the resizes ended with, the oldest first."""
    query = "SELECT error FROM operations WHERE kind = 'resize' AND error IS NOT NULL ORDER BY seq"
    async with world.engine.connect() as conn:
        return [row.error for row in await conn.exec_driver_sql(query)]
