"""The six rules as far as one database can show them: claims, leases, outcomes, retries and the overtaking delete."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories import bays, claims
from shared.domain.bay_state import BayStatus
from shared.domain.errors import CloudError, StaleLease
from shared.domain.operation import OperationKind, Service
from shared.domain.retry import CRASHES_ALLOWED, SURPRISES_ALLOWED
from shared.runtime.settings import Timing
from shared.worker.dispatch import Dispatcher
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait
from tests.worker.world import TIMING, World, done

_LEASE_OVER = "UPDATE operations SET lease_until = now() - interval '31 seconds' WHERE lease_token IS NOT NULL"
_IN_QUARANTINE = "UPDATE operations SET lease_until = now() - interval '29 seconds' WHERE lease_token IS NOT NULL"
_DUE = "UPDATE operations SET next_run_at = now()"


async def test_a_step_that_is_done_hands_over_to_the_next_service(world: World) -> None:
    bay_id = await world.bay()
    assert await world.run_due(world.dispatcher())
    assert await world.states(bay_id) == [("create", "active", "create.render")]
    async with world.engine.connect() as conn:
        told = [tuple(row) for row in await conn.exec_driver_sql("SELECT service, name FROM outbox ORDER BY seq")]
    assert told == [("api", "bay.create.requested"), ("certs", "bay.authorities.ready")]
    assert not await world.run_due(world.dispatcher())


async def test_of_many_claimers_one_wins(world: World) -> None:
    await world.bay()
    dispatcher = world.dispatcher()
    claimed = await asyncio.gather(*(dispatcher.claim() for _ in range(8)))
    assert len([one for one in claimed if one is not None]) == 1


async def test_an_expired_lease_is_left_alone_until_its_quarantine_is_over(world: World) -> None:
    await world.bay()
    dispatcher = world.dispatcher()
    assert await dispatcher.claim() is not None
    await world.sql(_IN_QUARANTINE)
    assert await dispatcher.claim() is None
    await world.sql(_LEASE_OVER)
    again = await dispatcher.claim()
    assert again is not None
    assert again.attempt == 2


async def test_the_result_of_a_lost_lease_is_dropped(world: World) -> None:
    bay_id = await world.bay()

    async def slow(_ctx: StepContext[None]) -> Outcome:
        await world.sql(_LEASE_OVER)
        assert await world.dispatcher().claim() is not None  # somebody else takes over meanwhile

        async def write(conn: AsyncConnection) -> None:
            await bays.set_stack(conn, bay_id, "made too late")

        return Done(write)

    await world.run_due(world.dispatcher(slow))
    assert await world.states(bay_id) == [("create", "active", "create.authorities")]
    assert (await world.get(bay_id)).stack_id is None


async def test_the_guard_stops_a_step_whose_lease_is_gone(world: World) -> None:
    await world.bay()
    reached = asyncio.Event()

    async def careful(ctx: StepContext[None]) -> Outcome:
        await world.sql(_LEASE_OVER)
        assert await world.dispatcher().claim() is not None
        await ctx.guard()
        reached.set()
        return Done()

    await world.run_due(world.dispatcher(careful))
    assert not reached.is_set()


async def test_a_step_is_cancelled_when_its_lease_cannot_be_kept(world: World) -> None:
    await world.bay()
    cancelled = asyncio.Event()

    async def endless(_ctx: StepContext[None]) -> Outcome:
        await world.sql("UPDATE operations SET lease_token = gen_random_uuid()")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return Done()

    await world.run_due(world.dispatcher(endless, timing=Timing.scaled(0.01)))
    assert cancelled.is_set()


async def test_a_step_is_cancelled_when_the_database_cannot_renew_in_time(world: World) -> None:
    bay_id = await world.bay()
    cancelled = asyncio.Event()

    async def endless(_ctx: StepContext[None]) -> Outcome:
        async with world.engine.begin() as conn:  # holds the row, so every renewal waits until its time is up
            await conn.exec_driver_sql("SELECT 1 FROM operations FOR UPDATE")
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        return Done()

    await world.run_due(world.dispatcher(endless, timing=Timing.scaled(0.02)))
    assert cancelled.is_set()
    assert await world.states(bay_id) == [("create", "active", "create.authorities")]


async def test_a_wait_ends_at_the_deadline(world: World) -> None:
    bay_id = await world.bay()
    await world.sql("UPDATE operations SET deadline = now() - interval '1 second'")

    async def patient(_ctx: StepContext[None]) -> Outcome:
        return Wait(1, note="Heat is still busy.")

    assert await world.run_due(world.dispatcher(patient))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_FAILED
    assert "the time is up. Heat is still busy." in await _reason(world)


async def test_without_a_deadline_a_wait_ends_when_nothing_changes(world: World) -> None:
    bay_id = await world.bay()
    changed = [time.time()]

    async def waits(_ctx: StepContext[None]) -> Outcome:
        return Wait(30, note="Heat is still busy.", memo={"changed_at": changed[0]})

    await world.sql("UPDATE operations SET deadline = NULL")
    assert await world.run_due(world.dispatcher(waits))
    await world.sql("UPDATE operation_steps SET started_at = now() - interval '3 hours'")
    for seconds_ago, status in ((0, BayStatus.CREATE_IN_PROGRESS), (3 * 3600, BayStatus.CREATE_FAILED)):
        changed[0] = time.time() - seconds_ago
        await world.sql(_DUE)
        assert await world.run_due(world.dispatcher(waits))
        assert (await world.get(bay_id)).status is status
    assert "nothing has changed for 120 minutes. Heat is still busy." in await _reason(world)


async def test_going_back_waits_a_moment(world: World) -> None:
    bay_id = await world.bay()

    async def again(_ctx: StepContext[None]) -> Outcome:
        return Back("create.authorities", 30)

    assert await world.run_due(world.dispatcher(again))
    assert not await world.run_due(world.dispatcher(again))
    assert await world.states(bay_id) == [("create", "active", "create.authorities")]


async def test_without_a_deadline_failures_are_bounded(world: World) -> None:
    bay_id = await world.bay()
    await world.sql("UPDATE operations SET deadline = NULL, failures = 120")

    async def away(_ctx: StepContext[None]) -> Outcome:
        raise CloudError("Heat is out.", service="orchestration", status=503, retryable=True)

    assert await world.run_due(world.dispatcher(away))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_FAILED


async def test_what_was_queued_behind_a_failed_create_is_cancelled(world: World) -> None:
    bay_id = await world.bay()
    await world.enqueue(bay_id, OperationKind.RESIZE)

    async def broken(_ctx: StepContext[None]) -> Outcome:
        return Broke("No valid host was found.")

    assert await world.run_due(world.dispatcher(broken))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_FAILED
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["failed", "cancelled"]


async def test_a_lease_is_renewed_while_its_step_works(world: World) -> None:
    bay_id = await world.bay()
    timing = Timing.scaled(0.02)
    before: list[object] = []

    async def read() -> object:
        async with world.engine.connect() as conn:
            return (await conn.exec_driver_sql("SELECT lease_until FROM operations")).scalar()

    async def patient(_ctx: StepContext[None]) -> Outcome:
        before.append(await read())
        async with asyncio.timeout(30):
            while await read() == before[0]:
                await asyncio.sleep(0.01)
        return Done()

    assert await world.run_due(world.dispatcher(patient, timing=timing))
    assert (await world.states(bay_id))[0][2] == "create.render"


async def test_waiting_counts_nothing_against_the_step(world: World) -> None:
    bay_id = await world.bay()

    async def patient(_ctx: StepContext[None]) -> Outcome:
        return Wait(30, note="Heat: CREATE_IN_PROGRESS")

    for _ in range(CRASHES_ALLOWED + 2):
        await world.sql(_DUE)
        assert await world.run_due(world.dispatcher(patient))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_IN_PROGRESS
    assert await world.note(bay_id, "create.authorities") == "Heat: CREATE_IN_PROGRESS"


async def test_a_step_that_kills_its_worker_fails_after_five_times(world: World) -> None:
    bay_id = await world.bay()
    for _ in range(CRASHES_ALLOWED):
        assert await world.dispatcher().claim() is not None
        await world.sql(_LEASE_OVER)
    assert await world.run_due(world.dispatcher())
    bay = await world.get(bay_id)
    assert bay.status is BayStatus.CREATE_FAILED
    assert "the worker stopped 5 times in step create.authorities" in await _reason(world)


async def test_an_unexpected_exception_fails_after_three_times_and_shows_no_text_of_it(world: World) -> None:
    bay_id = await world.bay()

    async def broken(_ctx: StepContext[None]) -> Outcome:
        raise RuntimeError("secret text")

    for _ in range(SURPRISES_ALLOWED):
        await world.sql(_DUE)
        assert await world.run_due(world.dispatcher(broken))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_FAILED
    reason = await _reason(world)
    assert "RuntimeError" in reason
    assert "secret" not in reason


@pytest.mark.parametrize(("status", "retryable"), [(503, True), (409, True), (429, True), (None, True)])
async def test_a_passing_fault_is_retried_with_the_cloud_s_words(
    world: World, status: int | None, retryable: bool
) -> None:
    bay_id = await world.bay()
    answers: list[Outcome | None] = [None, Done()]

    async def flaky(_ctx: StepContext[None]) -> Outcome:
        answer = answers.pop(0)
        if answer is None:
            raise CloudError("Heat is out.", service="orchestration", status=status, retryable=retryable)
        return answer

    assert await world.run_due(world.dispatcher(flaky))
    assert (await world.note(bay_id, "create.authorities") or "").startswith("Heat is out. Trying again in")
    assert not await world.run_due(world.dispatcher(flaky))
    await world.sql(_DUE)
    assert await world.run_due(world.dispatcher(flaky))
    assert (await world.states(bay_id))[0][2] == "create.render"


async def test_a_refusal_fails_at_once_with_the_cloud_s_words(world: World) -> None:
    bay_id = await world.bay()

    async def refused(_ctx: StepContext[None]) -> Outcome:
        raise CloudError("Quota exceeded for cores.", service="compute", status=403, retryable=False)

    assert await world.run_due(world.dispatcher(refused))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_FAILED
    assert "Quota exceeded for cores." in await _reason(world)


async def test_retries_end_at_the_deadline(world: World) -> None:
    bay_id = await world.bay()
    await world.sql("UPDATE operations SET deadline = now() - interval '1 second'")

    async def away(_ctx: StepContext[None]) -> Outcome:
        raise CloudError("Heat is out.", service="orchestration", status=503, retryable=True)

    assert await world.run_due(world.dispatcher(away))
    assert (await world.get(bay_id)).status is BayStatus.CREATE_FAILED
    assert "the time is up, and the last answer was: Heat is out." in await _reason(world)


async def test_the_index_allows_one_active_operation_a_bay(world: World) -> None:
    bay_id = await world.bay()
    await world.enqueue(bay_id, OperationKind.RESIZE)
    assert [state for _kind, state, _step in await world.states(bay_id)] == ["active", "queued"]
    with pytest.raises(IntegrityError, match="operations_one_active"):
        await world.sql("UPDATE operations SET state = 'active'")


async def test_a_delete_starts_at_once_when_nobody_holds_the_operation(world: World) -> None:
    bay_id = await world.bay()
    await world.enqueue(bay_id, OperationKind.RESIZE)
    await world.delete(bay_id)
    assert (await world.get(bay_id)).status is BayStatus.DELETE_IN_PROGRESS
    assert await world.states(bay_id) == [
        ("create", "superseded", "create.authorities"),
        ("resize", "cancelled", "resize.plan"),
        ("delete", "active", "delete.credentials"),
    ]


async def test_a_delete_waits_for_the_holder_who_then_ends_as_superseded(world: World) -> None:
    bay_id = await world.bay()

    async def overtaken(_ctx: StepContext[None]) -> Outcome:
        await world.delete(bay_id)
        assert [state for _k, state, _s in await world.states(bay_id)] == ["active", "queued"]
        return Done()

    assert await world.run_due(world.dispatcher(overtaken))
    assert [state for _k, state, _s in await world.states(bay_id)] == ["superseded", "active"]
    assert (await world.get(bay_id)).status is BayStatus.DELETE_IN_PROGRESS


async def test_a_guard_before_a_mutating_call_sees_the_delete(world: World) -> None:
    bay_id = await world.bay()
    called = asyncio.Event()

    async def overtaken(ctx: StepContext[None]) -> Outcome:
        await world.delete(bay_id)
        await ctx.guard()
        called.set()
        return Done()

    assert await world.run_due(world.dispatcher(overtaken))
    assert not called.is_set()
    assert [state for _k, state, _s in await world.states(bay_id)] == ["superseded", "active"]


async def test_a_delete_behind_a_dead_holder_starts_after_lease_and_quarantine(world: World) -> None:
    bay_id = await world.bay()
    assert await world.dispatcher().claim() is not None
    await world.delete(bay_id)
    await world.sql(_IN_QUARANTINE)
    assert not await world.run_due(world.dispatcher())
    await world.sql(_LEASE_OVER)
    assert await world.run_due(world.dispatcher())
    assert [state for _k, state, _s in await world.states(bay_id)] == ["superseded", "active"]


async def test_deleting_twice_is_deleting_once(world: World) -> None:
    bay_id = await world.bay()
    first = await world.delete(bay_id)
    assert first is not None
    assert await world.delete(bay_id) is None


async def test_a_failed_delete_can_be_asked_for_again(world: World) -> None:
    bay_id = await world.bay()
    await world.delete(bay_id)
    await world.sql("UPDATE operations SET service = 'certs', step = 'delete.authorities' WHERE kind = 'delete'")

    async def blocked(_ctx: StepContext[None]) -> Outcome:
        return Broke("Stack x is DELETE_FAILED.")

    assert await world.run_due(world.dispatcher(delete=blocked))
    assert (await world.get(bay_id)).status is BayStatus.DELETE_FAILED
    assert await world.delete(bay_id) is not None
    assert (await world.get(bay_id)).status is BayStatus.DELETE_IN_PROGRESS


async def test_a_renewal_after_the_bay_is_gone_is_stale(world: World) -> None:
    await world.bay()
    operation = await world.dispatcher().claim()
    assert operation is not None
    await world.sql("DELETE FROM bays")
    async with world.engine.begin() as conn:
        with pytest.raises(StaleLease):
            await claims.renew(conn, operation, lease=TIMING.lease)


def test_a_service_without_all_its_steps_does_not_start(world: World) -> None:
    with pytest.raises(ValueError, match=r"delete\.authorities"):
        Dispatcher(Service.CERTS, world.engine, TIMING, {"create.authorities": done}, None, lambda: None)


async def _reason(world: World) -> str:
    async with world.engine.connect() as conn:
        return str((await conn.exec_driver_sql("SELECT status_reason FROM bays")).scalar())
