"""Operations at the door: how they are asked for, queued, overtaken and promoted.

Locks: whoever writes here holds the bay's row (`bays.lock`) first, so two requests for one bay follow one another.
What a worker does with an operation that it has claimed is in `claims.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.bay import BayFailed
from shared.contracts.registry import BY_NAME
from shared.db.repositories import bays, outbox
from shared.db.tables import bays as bay_table
from shared.db.tables import operation_steps, operations
from shared.domain.bay import Bay
from shared.domain.bay_state import BayEvent, BayStatus, allows
from shared.domain.operation import FLOWS, Flow, OperationKind, OperationState, StepState

_UNDER_WAY = (StepState.RUNNING.value, StepState.WAITING.value)
_LIVE = (OperationState.ACTIVE.value, OperationState.QUEUED.value)


async def enqueue(
    conn: AsyncConnection,
    *,
    bay_id: UUID,
    kind: OperationKind,
    request: Mapping[str, object],
    requested_by: str,
    timeout_minutes: int | None,
    service: str = "api",
) -> UUID:
    """Write an operation with its steps; tell its first service if nothing else is under way for the bay.

    `timeout_minutes` sets the deadline from now, as Postgres sees it; None or 0 = none. `service` is the caller, whose
    relay will publish the message. The caller holds the bay's lock and has moved its status.
    """
    flow = FLOWS[kind]
    operation_id = uuid4()
    busy = await conn.scalar(
        select(func.count()).select_from(operations).where(operations.c.bay_id == bay_id, operations.c.state.in_(_LIVE))
    )
    await conn.execute(
        insert(operations).values(
            id=operation_id,
            bay_id=bay_id,
            kind=kind.value,
            state=OperationState.QUEUED.value if busy else OperationState.ACTIVE.value,
            service=flow.steps[0].service.value,
            step=flow.steps[0].name,
            request=dict(request),
            requested_by=requested_by,
            deadline=func.now() + func.make_interval(0, 0, 0, 0, 0, timeout_minutes) if timeout_minutes else None,
        )
    )
    await conn.execute(insert(operation_steps), _steps(operation_id, flow))
    if not busy:
        await tell(conn, service, flow.requested, operation_id, bay_id)
    return operation_id


async def request_delete(conn: AsyncConnection, bay: Bay, requested_by: str, *, service: str = "api") -> UUID | None:
    """Delete overtakes: cancel what waits, end what runs, and queue the delete. The caller holds the bay's lock.

    What runs under a live lease cannot be ended here, because its holder may be inside a call to the cloud. It sees
    `wanted = gone` before its next mutating call and when it applies its result, ends as superseded and promotes the
    delete. If its holder is dead, the next claim after lease and quarantine does the same. An operation that nobody
    holds is superseded here and the delete starts at once.

    Returns the delete's id, or None when one is already under way.
    """
    if bay.status is BayStatus.DELETE_IN_PROGRESS:
        return None
    await bays.want_gone(conn, bay.id)
    await bays.apply_event(conn, bay.id, BayEvent.DELETE_ASKED)
    mine = operations.c.bay_id == bay.id
    await conn.execute(
        update(operations)
        .where(mine, operations.c.state == OperationState.QUEUED.value)
        .values(state=OperationState.CANCELLED.value, finished_at=func.now(), error="A delete overtook it.")
    )
    ended = await conn.scalar(
        update(operations)
        .where(mine, operations.c.state == OperationState.ACTIVE.value, operations.c.lease_token.is_(None))
        .values(state=OperationState.SUPERSEDED.value, finished_at=func.now(), error="A delete overtook it.")
        .returning(operations.c.id)
    )
    if ended is not None:
        await conn.execute(
            update(operation_steps)
            .where(operation_steps.c.operation_id == ended, operation_steps.c.state.in_(_UNDER_WAY))
            .values(state=StepState.FAILED.value, finished_at=func.now(), note="A delete overtook it.")
        )
    await conn.execute(
        update(operations).where(mine, operations.c.state == OperationState.ACTIVE.value).values(next_run_at=func.now())
    )
    return await enqueue(
        conn,
        bay_id=bay.id,
        kind=OperationKind.DELETE,
        request={},
        requested_by=requested_by,
        timeout_minutes=DELETE_MINUTES,
        service=service,
    )


DELETE_MINUTES = 60
"""How long a delete is retried before it says what blocks it."""


async def promote_next(conn: AsyncConnection, bay_id: UUID, *, service: str) -> None:
    """Start the oldest queued operation of the bay, if nothing is active. The caller holds the bay's lock."""
    row = (
        await conn.execute(
            select(operations.c.id, operations.c.kind)
            .where(operations.c.bay_id == bay_id, operations.c.state == OperationState.QUEUED.value)
            .order_by(operations.c.seq)
            .limit(1)
        )
    ).first()
    if row is None:
        return
    flow = FLOWS[OperationKind(row.kind)]
    if flow.kind is OperationKind.RESIZE and not await _can_change(conn, bay_id):
        # What it waited for failed and left nothing to change: that must not block its predecessor's end.
        await _cancel(conn, row.id, "What it waited for failed, so there is nothing to change.")
        await promote_next(conn, bay_id, service=service)
        return
    if flow.kind is OperationKind.RESIZE:
        await bays.apply_event(conn, bay_id, BayEvent.UPDATE_ASKED, operation_id=row.id)
    await conn.execute(
        update(operations)
        .where(operations.c.id == row.id)
        .values(state=OperationState.ACTIVE.value, next_run_at=func.now())
    )
    await tell(conn, service, flow.requested, row.id, bay_id)


async def _can_change(conn: AsyncConnection, bay_id: UUID) -> bool:
    status = await conn.scalar(select(bay_table.c.status).where(bay_table.c.id == bay_id))
    return status is not None and allows(BayStatus(status), BayEvent.UPDATE_ASKED)


async def _cancel(conn: AsyncConnection, operation_id: UUID, why: str) -> None:
    await conn.execute(
        update(operations)
        .where(operations.c.id == operation_id)
        .values(state=OperationState.CANCELLED.value, finished_at=func.now(), error=why)
    )


async def history(conn: AsyncConnection, bay_id: UUID) -> list[dict[str, object]]:
    """The bay's last hundred operations, newest first, each with its steps in order, as JSON-ready values."""
    rows = await conn.execute(_HISTORY, {"bay": bay_id})
    return [dict(row.doc) for row in rows]


_HISTORY = text(
    """
    SELECT json_build_object(
        'id', o.id, 'seq', o.seq, 'kind', o.kind, 'state', o.state, 'error', o.error,
        'requested_by', o.requested_by, 'created_at', o.created_at, 'finished_at', o.finished_at,
        'steps', (
            SELECT json_agg(json_build_object(
                'name', s.name, 'service', s.service, 'sentence', s.sentence, 'state', s.state,
                'attempt', s.attempt, 'note', s.note, 'started_at', s.started_at, 'finished_at', s.finished_at
            ) ORDER BY s.position)
            FROM operation_steps s WHERE s.operation_id = o.id
        )
    ) AS doc
    FROM operations o WHERE o.bay_id = :bay ORDER BY o.seq DESC LIMIT 100
    """
)


async def tell(conn: AsyncConnection, service: str, name: str, operation_id: UUID, bay_id: UUID) -> None:
    """Queue the message `name` ("look at this operation") for the relay of `service`."""
    versions = BY_NAME[name]
    await outbox.add(
        conn, service, versions[max(versions)].model_validate({"operation_id": operation_id, "bay_id": bay_id})
    )


async def tell_failure(conn: AsyncConnection, service: str, operation_id: UUID, bay_id: UUID, reason: str) -> None:
    """Queue bay.failed with the reason that people read."""
    await outbox.add(conn, service, BayFailed(operation_id=operation_id, bay_id=bay_id, reason=reason))


def _steps(operation_id: UUID, flow: Flow) -> list[dict[str, object]]:
    return [
        {
            "operation_id": operation_id,
            "position": position,
            "name": step.name,
            "service": step.service.value,
            "sentence": step.sentence,
        }
        for position, step in enumerate(flow.steps)
    ]
