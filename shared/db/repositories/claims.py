"""What a worker does with operations: claim one, keep its lease, and write the outcome of its step.

Every write but the claim is guarded by the lease token. A write that finds no row raises `StaleLease`: somebody else
took the operation over, and the result is dropped (rule 3). Only Postgres's clock counts.

Why nobody can act twice: a holder that cannot renew its lease cancels its call 40 s after the last renewal; no call
takes longer than 30 s, so whatever it had sent has arrived or failed by 70 s; the lease ends at 60 s and is quarantined
for 30 s more, so the next claim comes at 90 s at the earliest. A lease that was given back is free at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, Text, and_, cast, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories import bays
from shared.db.repositories import operations as queue
from shared.db.tables import operation_steps, operations
from shared.domain.bay import Operation
from shared.domain.bay_state import BayStatus, allows
from shared.domain.errors import StaleLease
from shared.domain.operation import FLOWS, OperationKind, OperationState, Service, Step, StepState

_STARTED = func.coalesce(
    select(func.min(operation_steps.c.started_at))
    .where(operation_steps.c.operation_id == operations.c.id)
    .correlate(operations)
    .scalar_subquery(),
    func.now(),
)
_ENDS = func.coalesce(
    operations.c.deadline,
    # What had to queue has no deadline in its row: its minutes run from its start, which nobody knew when it was asked.
    _STARTED + func.make_interval(0, 0, 0, 0, 0, func.nullif(operations.c.request[queue.TIMEOUT].as_integer(), 0)),
)
UNTIL_TOLD: Final = "until_told"
"""In the memo of an operation that waits: a hint may cut the wait short."""
_FREE_AGAIN: dict[str, object] = {"lease_token": None, "lease_until": None}


async def claim(
    conn: AsyncConnection, service: Service, *, lease: float, quarantine: float, operation_id: UUID | None = None
) -> Operation | None:
    """Take a due operation of `service` for `lease` seconds, or that one operation if it is due.

    Returns None when nothing is due, or when the lease on it is live or within its quarantine.
    The attempt is counted here, before any work, so that a step that kills its worker is noticed.
    """
    due = _due(service, quarantine)
    chosen = (
        select(operations.c.id)
        .where(due if operation_id is None else and_(due, operations.c.id == operation_id))
        .order_by(operations.c.next_run_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    token = uuid4()
    row = (
        await conn.execute(
            update(operations)
            .where(operations.c.id == chosen)
            .values(
                lease_token=token, lease_until=func.now() + timedelta(seconds=lease), attempt=operations.c.attempt + 1
            )
            .returning(
                *operations.c,
                _STARTED.label("started_at"),
                _ENDS.label("ends_at"),
                (func.now() > _ENDS).label("overdue"),
            )
        )
    ).first()
    if row is None:
        return None
    operation = _operation(row)
    await _step_begins(conn, operation)
    return operation


async def next_due(conn: AsyncConnection, service: Service, quarantine: float) -> float | None:
    """Seconds until something of `service` is due; None when nothing waits, 0 or less when something is overdue."""
    free = func.greatest(operations.c.next_run_at, operations.c.lease_until + timedelta(seconds=quarantine))
    query = select(func.extract("epoch", func.min(free) - func.now())).where(
        operations.c.state == OperationState.ACTIVE.value, operations.c.service == service.value
    )
    seconds = await conn.scalar(query)
    return None if seconds is None else float(seconds)


async def renew(conn: AsyncConnection, operation: Operation, *, lease: float) -> None:
    """Keep the lease for `lease` seconds more. Raises StaleLease when it is no longer ours."""
    await _write(conn, operation, lease_until=func.now() + timedelta(seconds=lease))


async def wait(
    conn: AsyncConnection,
    operation: Operation,
    delay: timedelta,
    *,
    note: str | None,
    memo: Mapping[str, object],
    until_told: bool = False,
) -> None:
    """The step worked and wants to look again after `delay`; nothing is counted against it.

    With `until_told`, a hint may cut the delay short (`hasten`).
    """
    await _write(
        conn,
        operation,
        **_FREE_AGAIN,
        attempt=0,
        failures=0,
        surprises=0,
        memo=_merged({**memo, UNTIL_TOLD: True} if until_told else memo),
        next_run_at=func.now() + delay,
    )
    await _step_now(conn, operation, StepState.WAITING, note=note)


async def retry(
    conn: AsyncConnection, operation: Operation, delay: timedelta, *, note: str, failures: int, surprises: int
) -> None:
    """The step failed and is tried again after `delay`; the counters are the new totals."""
    await _write(
        conn,
        operation,
        **_FREE_AGAIN,
        attempt=0,
        failures=failures,
        surprises=surprises,
        memo=_merged({}),
        next_run_at=func.now() + delay,
    )
    await _step_now(conn, operation, StepState.WAITING, note=note)


async def go_on(
    conn: AsyncConnection,
    operation: Operation,
    step: Step,
    *,
    memo: Mapping[str, object],
    service: Service,
    delay: timedelta = timedelta(0),
    note: str | None = None,
) -> None:
    """The step is done, or sends the operation back: `step` is next, after `delay`. Another service is told.

    `note` is kept with the step that this was.
    """
    flow = FLOWS[operation.kind]
    fresh = {"attempt": 0, "failures": 0, "surprises": 0, "memo": _merged(memo), "next_run_at": func.now() + delay}
    await _write(conn, operation, **_FREE_AGAIN, **fresh, step=step.name, service=step.service.value)
    await _step_now(conn, operation, StepState.DONE, note=note)
    if step.service is not service:
        handover = flow.handovers[service, step.service]
        await queue.tell(conn, service.value, handover, operation.id, operation.bay_id)


async def finish(
    conn: AsyncConnection,
    operation: Operation,
    state: OperationState,
    *,
    error: str | None,
    service: Service,
    faults: Mapping[str, str] | None = None,
    note: str | None = None,
) -> None:
    """End the operation, move the bay accordingly, tell who listens, and start what was queued behind it.

    `note` is kept with the last step where there is no `error` to say.

    What waits goes on after a failed change too; a failed creation leaves nothing to change and cancels it. The caller
    holds the bay's lock. A superseded operation moves nothing: the delete behind it already has.
    """
    flow = FLOWS[operation.kind]
    await _write(conn, operation, **_FREE_AGAIN, state=state.value, error=error, finished_at=func.now())
    ended = StepState.DONE if state is OperationState.DONE else StepState.FAILED
    await _step_now(conn, operation, ended, note=error or note)
    event = {OperationState.DONE: flow.done, OperationState.FAILED: flow.broke}.get(state)
    bay = await bays.lock(conn, operation.bay_id)
    if event is not None and bay is not None and allows(bay.status, event):
        became = await bays.apply_event(conn, bay.id, event, reason=error, operation_id=operation.id, faults=faults)
        if state is OperationState.DONE:
            await queue.tell(conn, service.value, flow.finished, operation.id, bay.id)
        else:
            await queue.tell_failure(conn, service.value, operation.id, bay.id, error or "")
        if became is BayStatus.DELETE_COMPLETE:
            await bays.bury(conn, bay)
            return
    otherwise = f"Cancelled, because the bay's creation failed: {error}"
    await queue.promote_next(conn, operation.bay_id, service=service.value, otherwise=otherwise)


def _due(service: Service, quarantine: float) -> ColumnElement[bool]:
    return and_(
        operations.c.state == OperationState.ACTIVE.value,
        operations.c.service == service.value,
        operations.c.next_run_at <= func.now(),
        or_(
            operations.c.lease_until.is_(None),
            operations.c.lease_until < func.now() - timedelta(seconds=quarantine),
        ),
    )


async def _write(conn: AsyncConnection, operation: Operation, **values: object) -> None:
    changed = await conn.execute(
        update(operations)
        .where(operations.c.id == operation.id, operations.c.lease_token == operation.lease_token)
        .values(**values)
    )
    if changed.rowcount == 0:
        raise StaleLease(f"The lease on operation {operation.id} is no longer ours.")


async def _step_begins(conn: AsyncConnection, operation: Operation) -> None:
    await conn.execute(
        update(operation_steps)
        .where(operation_steps.c.operation_id == operation.id, operation_steps.c.name == operation.step)
        .values(
            state=StepState.RUNNING.value,
            attempt=operation_steps.c.attempt + 1,
            started_at=func.coalesce(operation_steps.c.started_at, func.now()),
            finished_at=None,
        )
    )


async def _step_now(conn: AsyncConnection, operation: Operation, state: StepState, *, note: str | None) -> None:
    ended = state in (StepState.DONE, StepState.FAILED)
    await conn.execute(
        update(operation_steps)
        .where(operation_steps.c.operation_id == operation.id, operation_steps.c.name == operation.step)
        .values(state=state.value, note=note, finished_at=func.now() if ended else None)
    )


def _merged(memo: Mapping[str, object]) -> ColumnElement[Any]:
    """What is remembered already and this; whether the last wait could be cut short says nothing of the next one."""
    kept = operations.c.memo.op("-")(literal(UNTIL_TOLD, Text))
    return kept.op("||")(cast(dict(memo), operations.c.memo.type))


def _operation(row: Row[Any]) -> Operation:
    return Operation(
        id=row.id,
        bay_id=row.bay_id,
        seq=row.seq,
        kind=OperationKind(row.kind),
        step=row.step,
        attempt=row.attempt,
        failures=row.failures,
        surprises=row.surprises,
        lease_token=row.lease_token,
        started_at=row.started_at,
        deadline=row.ends_at,
        overdue=bool(row.overdue),
        request=row.request,
        memo=row.memo,
    )
