"""Operations at the door: how they are asked for, queued, overtaken and promoted.

Locks: whoever writes here holds the bay's row (`bays.lock`) first, so two requests for one bay follow one another.
What a worker does with an operation that it has claimed is in `claims.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.bay import BayFailed
from shared.contracts.registry import BY_NAME
from shared.db.repositories import bays, nodegroups, outbox
from shared.db.tables import bays as bay_table
from shared.db.tables import operation_steps, operations
from shared.domain.bay import Bay
from shared.domain.bay_state import BayEvent, BayStatus, allows
from shared.domain.errors import Conflict, InvalidInput
from shared.domain.operation import FLOWS, Flow, OperationKind, OperationState, StepState
from shared.domain.queue import (
    DEFAULT_WORKERS,
    MOST_QUEUED,
    REPLACED,
    Busy,
    Door,
    Live,
    node_count_of,
    nodegroup_of,
    projected,
    replaced,
    takes,
)

_UNDER_WAY = (StepState.RUNNING.value, StepState.WAITING.value)
_LIVE = (OperationState.ACTIVE.value, OperationState.QUEUED.value)

RETRY_AFTER = 30
"""Seconds after which it is worth asking again for a place in a full queue."""


async def ask(
    conn: AsyncConnection,
    bay: Bay,
    *,
    kind: OperationKind,
    request: Mapping[str, object],
    requested_by: str,
    timeout_minutes: int | None,
    busy: Busy,
    door: Door = Door.UPDATE,
    word: str = "bay",
    warnings: Sequence[str] = (),
    service: str = "api",
    reason: str | None = None,
) -> UUID:
    """Accept a change of the bay: it starts now, or waits behind what is under way. The operation's id.

    `bay` was read by `bays.lock` in this transaction, which the caller rolls back when this raises. `word` is what the
    caller's face calls a bay. A resize's `was` is written here, since what it follows is decided here; its node_count
    becomes the bay's, or that of the further nodegroup which it is about. `reason` goes to the bay's history.

    Raises:
        InvalidInput: the bay's state does not take such a request, in Magnum's words (contract §2.2).
        Conflict: as many wait as may; `retry_after` says when to come again.
    """
    check_state(bay, door, busy, word)
    queue = await live(conn, bay.id)
    pointless = replaced(queue, kind, request)
    left = queue[: len(queue) - len(pointless)]
    if sum(one.queued for one in left) >= MOST_QUEUED:
        raise Conflict(
            f"{MOST_QUEUED} operations of {word} {bay.id} are waiting already, which is as many as may.",
            retry_after=RETRY_AFTER,
        )
    await collapse(conn, pointless)
    await bays.apply_event(conn, bay.id, BayEvent.UPDATE_ASKED, reason=reason, requested_by=requested_by)
    if kind is OperationKind.RESIZE:
        request = await _resize(conn, bay, left, request)
    return await enqueue(
        conn,
        bay_id=bay.id,
        kind=kind,
        request=request,
        requested_by=requested_by,
        timeout_minutes=timeout_minutes,
        service=service,
        warnings=warnings,
    )


def check_state(bay: Bay, door: Door, busy: Busy, word: str) -> None:
    """Refuse what the bay's state does not take. Raises InvalidInput, in Magnum's words."""
    if not takes(door, bay.status, busy):
        raise InvalidInput(f'{door.value} a {word} when status is "{bay.status.value}" is not supported.')


async def live(conn: AsyncConnection, bay_id: UUID) -> list[Live]:
    """The operation under way and those that wait behind it, in their order."""
    columns = operations.c
    query = (
        select(columns.id, columns.kind, columns.state, columns.request)
        .where(columns.bay_id == bay_id, columns.state.in_(_LIVE))
        .order_by(columns.seq)
    )
    rows = await conn.execute(query)
    return [Live(row.id, OperationKind(row.kind), OperationState(row.state), row.request) for row in rows]


async def collapse(conn: AsyncConnection, pointless: Sequence[Live]) -> None:
    """End what a later resize makes pointless before it has begun. The caller holds the bay's lock."""
    ids = [one.id for one in pointless]
    await conn.execute(
        update(operations)
        .where(operations.c.id.in_(ids))
        .values(state=OperationState.CANCELLED.value, finished_at=func.now(), error=REPLACED)
    )


async def _resize(
    conn: AsyncConnection, bay: Bay, before: Sequence[Live], request: Mapping[str, object]
) -> dict[str, object]:
    """The request with its nodegroup and the count that it follows; the bay's row, or the group's, gets its count."""
    nodegroup = nodegroup_of(request)
    whole = {**request, "nodegroup": nodegroup}
    if nodegroup == DEFAULT_WORKERS:
        was = projected(before)
        whole["was"] = bay.node_count if was is None else was
        await bays.set_counts(conn, bay.id, node_count=node_count_of(request))
    else:
        await nodegroups.set_count(conn, bay.id, nodegroup, node_count_of(request))
    return whole


async def enqueue(
    conn: AsyncConnection,
    *,
    bay_id: UUID,
    kind: OperationKind,
    request: Mapping[str, object],
    requested_by: str,
    timeout_minutes: int | None,
    service: str = "api",
    warnings: Sequence[str] = (),
) -> UUID:
    """Write an operation with its steps; tell its first service if nothing else is under way for the bay.

    `timeout_minutes` sets the deadline, as Postgres sees it; None or 0 = none. It counts from now; that of a change
    that has to queue counts from its start (`claims`), until which the minutes travel in its request. `service` is the
    caller, whose relay will publish the message; `warnings` are what the requester was told. The caller holds the bay's
    lock and has moved its status.
    """
    flow = FLOWS[kind]
    operation_id = uuid4()
    busy = await conn.scalar(
        select(func.count()).select_from(operations).where(operations.c.bay_id == bay_id, operations.c.state.in_(_LIVE))
    )
    later = bool(busy) and kind is not OperationKind.DELETE
    timed = timeout_minutes and not later
    await conn.execute(
        insert(operations).values(
            id=operation_id,
            bay_id=bay_id,
            kind=kind.value,
            state=OperationState.QUEUED.value if busy else OperationState.ACTIVE.value,
            service=flow.steps[0].service.value,
            step=flow.steps[0].name,
            request={**request, **({TIMEOUT: timeout_minutes} if later else {})},
            requested_by=requested_by,
            deadline=func.now() + func.make_interval(0, 0, 0, 0, 0, timeout_minutes) if timed else None,
            warnings=list(warnings),
        )
    )
    await conn.execute(insert(operation_steps), _steps(operation_id, flow))
    if not busy:
        await tell(conn, service, flow.requested, operation_id, bay_id)
    return operation_id


async def request_delete(
    conn: AsyncConnection, bay: Bay, requested_by: str, *, forced: bool = False, service: str = "api"
) -> UUID | None:
    """Delete overtakes: cancel what waits, end what runs, and queue the delete. The caller holds the bay's lock.

    What runs under a live lease cannot be ended here, because its holder may be inside a call to the cloud. It sees
    `wanted = gone` before its next mutating call and when it applies its result, ends as superseded and promotes the
    delete. If its holder is dead, the next claim after lease and quarantine does the same. An operation that nobody
    holds is superseded here and the delete starts at once.

    `forced`: nothing that stands in its way ends it any more (`shared.worker.settle`), whether it starts now or is
    under way. That is a fact of the bay, not of the operation, so that steps under way see it at their next look.

    Returns the delete's id, or None when one is already under way.
    """
    mine = operations.c.bay_id == bay.id
    if forced:
        await bays.force(conn, bay.id)
    if bay.status is BayStatus.DELETE_IN_PROGRESS:
        if forced and not bay.forced:
            await bays.apply_event(conn, bay.id, BayEvent.DELETE_ASKED, reason=FORCED, requested_by=requested_by)
            await _hurry(conn, bay.id)
        return None
    await bays.want_gone(conn, bay.id)
    reason = FORCED if forced else None
    await bays.apply_event(conn, bay.id, BayEvent.DELETE_ASKED, reason=reason, requested_by=requested_by)
    await _cancel_queued(conn, bay.id, "A delete overtook it.")
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
    await _hurry(conn, bay.id)
    return await enqueue(
        conn,
        bay_id=bay.id,
        kind=OperationKind.DELETE,
        request={},
        requested_by=requested_by,
        timeout_minutes=DELETE_MINUTES,
        service=service,
    )


async def _hurry(conn: AsyncConnection, bay_id: UUID) -> None:
    """What is under way looks again at once."""
    active = operations.c.state == OperationState.ACTIVE.value
    await conn.execute(update(operations).where(operations.c.bay_id == bay_id, active).values(next_run_at=func.now()))


FORCED = "An administrator forced the deletion: what cannot be removed is left behind."
"""The status_reason of a bay whose deletion was forced, until something stands in the way."""

DELETE_MINUTES = 60
"""How long a delete is retried before it says what blocks it."""

TIMEOUT = "timeout_minutes"
"""Where a request that had to queue holds its minutes; None or 0 = none."""


async def promote_next(conn: AsyncConnection, bay_id: UUID, *, service: str, otherwise: str) -> None:
    """Start the oldest queued operation of the bay, after the active one has ended in the same transaction.

    A bay that cannot be changed any more cancels all that wait, with `otherwise` as the reason. The caller holds the
    bay's lock.
    """
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
    if flow.kind is not OperationKind.DELETE:
        if not await _can_change(conn, bay_id):
            await _cancel_queued(conn, bay_id, otherwise)
            return
        # Nobody else ever sees the status in between: it was set in this transaction.
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


async def _cancel_queued(conn: AsyncConnection, bay_id: UUID, why: str) -> None:
    await conn.execute(
        update(operations)
        .where(operations.c.bay_id == bay_id, operations.c.state == OperationState.QUEUED.value)
        .values(state=OperationState.CANCELLED.value, finished_at=func.now(), error=why)
    )


async def history(conn: AsyncConnection, bay_id: UUID) -> list[dict[str, object]]:
    """The bay's last hundred operations, newest first, each with its steps in order, as JSON-ready values."""
    rows = await conn.execute(_HISTORY, {"bay": bay_id})
    return [dict(row.doc) for row in rows]


DOCUMENT: Final = """json_build_object(
        'id', o.id, 'seq', o.seq, 'kind', o.kind, 'state', o.state, 'error', o.error, 'warnings', o.warnings,
        'requested_by', o.requested_by, 'created_at', o.created_at,
        'started_at', (SELECT min(s.started_at) FROM operation_steps s WHERE s.operation_id = o.id),
        'finished_at', o.finished_at,
        'steps', (
            SELECT json_agg(json_build_object(
                'name', s.name, 'service', s.service, 'sentence', s.sentence, 'state', s.state,
                'attempt', s.attempt, 'note', s.note, 'started_at', s.started_at, 'finished_at', s.finished_at
            ) ORDER BY s.position)
            FROM operation_steps s WHERE s.operation_id = o.id
        )
    )"""
"""An operation `o` as people read it, in SQL; `OperationOut` of the HTTP contract documents it."""

_HISTORY = text(f"SELECT {DOCUMENT} AS doc FROM operations o WHERE o.bay_id = :bay ORDER BY o.seq DESC LIMIT 100")  # noqa: S608


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
