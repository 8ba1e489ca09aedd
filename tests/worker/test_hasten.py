"""Making a waiting operation due: only what waits, only in the project that is named, and nothing else changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.db.engine import make_engine
from shared.db.repositories import claims, hasten
from shared.domain.operation import FLOWS, Service
from tests.support.database import as_role
from tests.worker.world import World

MINUTE = timedelta(minutes=1)
WAITS = {"kept": 1, claims.UNTIL_TOLD: True}
TOLD = {**WAITS, hasten.NOTIFIED: True}
ROW = text("SELECT *, next_run_at <= now() AS due FROM operations WHERE bay_id = :bay")


async def _waiting(world: World, *, service: Service = Service.PROVISIONER, until_told: bool = True) -> UUID:
    """A bay whose creation waits in a step of the service for a minute."""
    bay = await world.bay()
    await world.sql(
        "UPDATE operations SET service = :service, step = 'create.follow', next_run_at = now() WHERE bay_id = :bay",
        bay=bay, service=service.value,
    )  # fmt: skip
    async with world.engine.begin() as conn:
        found = (await conn.execute(ROW, {"bay": bay})).one()
        held = await claims.claim(conn, service, lease=60, quarantine=30, operation_id=found.id)
        assert held is not None
        await claims.wait(conn, held, MINUTE, note=None, memo={"kept": 1}, until_told=until_told)
    return bay


async def _row(world: World, bay: UUID) -> Any:
    async with world.engine.connect() as conn:
        return (await conn.execute(ROW, {"bay": bay})).one()


async def _hasten(world: World, bay: UUID, *, project: str = "p", due: bool = True) -> set[UUID]:
    """By the provisioner's own role; the operations found."""
    engine = make_engine(as_role(world.dsn, "jb_provisioner"), pool_size=1)
    try:
        async with engine.begin() as conn:
            return await hasten.heard(conn, Service.PROVISIONER, first=bay, last=bay, project_id=project, due=due)
    finally:
        await engine.dispose()


async def test_what_waits_becomes_due(world: World) -> None:
    bay, other = await _waiting(world), await _waiting(world)
    assert await _hasten(world, bay) == {(row := await _row(world, bay)).id}
    assert (row.due, row.memo, row.attempt, row.state) == (True, TOLD, 0, "active")
    untouched = await _row(world, other)
    assert (untouched.due, untouched.memo) == (False, WAITS)
    async with world.engine.begin() as conn:
        assert await claims.claim(conn, Service.PROVISIONER, lease=60, quarantine=30, operation_id=row.id) is not None


async def test_without_an_end_it_is_only_noted(world: World) -> None:
    bay = await _waiting(world)
    assert await _hasten(world, bay, due=False) == {(row := await _row(world, bay)).id}
    assert (row.due, row.memo) == (False, TOLD)


async def test_a_wait_whose_time_matters_is_not_cut_short(world: World) -> None:
    bay = await _waiting(world, until_told=False)
    assert await _hasten(world, bay) == {(row := await _row(world, bay)).id}
    assert (row.due, row.memo) == (False, {"kept": 1, hasten.NOTIFIED: True})


@pytest.mark.parametrize("then", ["wait", "retry", "go_on"])
async def test_the_next_wait_says_anew_whether_it_may_be_cut_short(world: World, then: str) -> None:
    bay = await _waiting(world)
    await _hasten(world, bay)
    async with world.engine.begin() as conn:
        held = await claims.claim(conn, Service.PROVISIONER, lease=60, quarantine=30)
        assert held is not None
        if then == "wait":
            await claims.wait(conn, held, MINUTE, note=None, memo={"more": 2})
        elif then == "retry":
            await claims.retry(conn, held, MINUTE, note="trouble", failures=1, surprises=0)
        else:
            step = FLOWS[held.kind].step("create.stack")
            await claims.go_on(conn, held, step, memo={"more": 2}, service=Service.PROVISIONER, delay=MINUTE)
    await _hasten(world, bay)
    row = await _row(world, bay)
    more = {} if then == "retry" else {"more": 2}
    assert (row.due, row.memo) == (False, {"kept": 1, hasten.NOTIFIED: True, **more})


async def test_what_somebody_works_on_keeps_its_times_and_its_lease(world: World) -> None:
    bay = await _waiting(world)
    await world.sql("UPDATE operations SET next_run_at = now() WHERE bay_id = :bay", bay=bay)
    async with world.engine.begin() as conn:
        held = await claims.claim(conn, Service.PROVISIONER, lease=60, quarantine=30)
    assert held is not None
    before = await _row(world, bay)
    assert await _hasten(world, bay) == {held.id}
    after = await _row(world, bay)
    assert (after.next_run_at, after.lease_token, after.lease_until) == (
        before.next_run_at, before.lease_token, before.lease_until,
    )  # fmt: skip
    assert after.memo[hasten.NOTIFIED] is True


async def test_what_is_overdue_is_not_put_off(world: World) -> None:
    bay = await _waiting(world)
    await world.sql("UPDATE operations SET next_run_at = now() - interval '1 h' WHERE bay_id = :bay", bay=bay)
    before = await _row(world, bay)
    await _hasten(world, bay)
    assert (await _row(world, bay)).next_run_at == before.next_run_at


@pytest.mark.parametrize("change", ["project", "service", "state"])
async def test_what_is_not_meant_is_left_alone(world: World, change: str) -> None:
    bay = await _waiting(world, service=Service.SCALER if change == "service" else Service.PROVISIONER)
    if change == "state":
        await world.sql("UPDATE operations SET state = 'done', finished_at = now() WHERE bay_id = :bay", bay=bay)
    assert await _hasten(world, bay, project="other" if change == "project" else "p") == set()
    row = await _row(world, bay)
    assert (row.due, row.memo) == (False, WAITS)
