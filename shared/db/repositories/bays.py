"""Bays: the one place where a status changes, with its history row in the same transaction (rule 5).

Where notifications are on, the change is told from here too, in that transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts import cadf
from shared.db.repositories import notifications
from shared.db.tables import bay_history, bays, tombstones
from shared.domain.bay import Bay, Wanted
from shared.domain.bay_state import BayEvent, BayStatus, after
from shared.domain.errors import NotFound

_COLUMNS = (
    bays.c.id,
    bays.c.project_id,
    bays.c.user_id,
    bays.c.name,
    bays.c.baymodel_id,
    bays.c.status,
    bays.c.wanted,
    bays.c.generation,
    bays.c.stack_name,
    bays.c.stack_id,
    bays.c.node_count,
    bays.c.master_count,
    bays.c.create_timeout,
    bays.c.driver,
    bays.c.spec,
    bays.c.api_address,
    bays.c.created_at,
    bays.c.forced,
)


async def insert_bay(conn: AsyncConnection, *, id: UUID, reason: str | None = None, **columns: object) -> None:  # noqa: A002
    """Write a new bay in CREATE_IN_PROGRESS and the first line of its history."""
    status = BayStatus.CREATE_IN_PROGRESS
    await conn.execute(insert(bays).values(id=id, status=status.value, **columns))
    await _remember(conn, id, "create asked", None, status, reason, None)
    await notifications.tell(conn, id, cadf.CREATE_ASKED)


async def get(conn: AsyncConnection, bay_id: UUID) -> Bay | None:
    """The bay, None when there is none."""
    row = (await conn.execute(select(*_COLUMNS).where(bays.c.id == bay_id))).first()
    return _bay(row) if row else None


async def many(conn: AsyncConnection, bay_ids: Sequence[UUID]) -> list[Bay]:
    """Those of the bays that there are, at once."""
    rows = await conn.execute(select(*_COLUMNS).where(bays.c.id.in_(bay_ids)))
    return [_bay(row) for row in rows]


async def lock(conn: AsyncConnection, bay_id: UUID) -> Bay | None:
    """The bay, held until the transaction ends. Whoever changes a bay or its operations takes this lock first."""
    row = (await conn.execute(select(*_COLUMNS).where(bays.c.id == bay_id).with_for_update())).first()
    return _bay(row) if row else None


async def apply_event(
    conn: AsyncConnection,
    bay_id: UUID,
    event: BayEvent,
    *,
    reason: str | None = None,
    operation_id: UUID | None = None,
    faults: Mapping[str, str] | None = None,
    requested_by: str | None = None,
) -> BayStatus:
    """Move the bay by `event` and write the history row; `reason` becomes its status_reason.

    `requested_by` is the user whose wish it is, for the notification; it is not needed with `operation_id`.

    Raises:
        NotFound: there is no such bay.
        IllegalTransition: the state table does not have the move; nothing is changed.
    """
    was = await conn.scalar(select(bays.c.status).where(bays.c.id == bay_id).with_for_update())
    if was is None:
        raise NotFound(f"Bay {bay_id} could not be found.")
    became = after(BayStatus(was), event)
    await conn.execute(
        update(bays)
        .where(bays.c.id == bay_id)
        .values(status=became.value, status_reason=reason, faults=dict(faults or {}), updated_at=func.now())
    )
    await _remember(conn, bay_id, event.value, was, became, reason, operation_id)
    change = cadf.CHANGES.get(event)
    await notifications.tell(conn, bay_id, change, operation_id=operation_id, requested_by=requested_by)
    return became


async def want_gone(conn: AsyncConnection, bay_id: UUID) -> None:
    """From here on every step of another operation stops by itself."""
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(wanted=Wanted.GONE.value))


async def force(conn: AsyncConnection, bay_id: UUID) -> None:
    """From here on its deletion lets nothing stand in its way; there is no way back."""
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(forced=True))


async def is_forced(conn: AsyncConnection, bay_id: UUID) -> bool:
    """Whether an administrator forced the deletion of the bay."""
    return bool(await conn.scalar(select(bays.c.forced).where(bays.c.id == bay_id)))


async def tell_obstacle(conn: AsyncConnection, bay_id: UUID, reason: str, operation_id: UUID) -> None:
    """Record what a forced deletion passes over: a line of the history, and the status_reason until the next one."""
    status = await conn.scalar(select(bays.c.status).where(bays.c.id == bay_id).with_for_update())
    if status is None:
        return
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(status_reason=reason, updated_at=func.now()))
    await _remember(conn, bay_id, OBSTACLE, status, BayStatus(status), reason, operation_id)


async def note(conn: AsyncConnection, bay_id: UUID, event: str, reason: str, operation_id: UUID | None) -> None:
    """Record what moves nothing and people should know: a line of the history. The caller holds the bay's lock."""
    status = await conn.scalar(select(bays.c.status).where(bays.c.id == bay_id))
    if status is not None:
        await _remember(conn, bay_id, event, status, BayStatus(status), reason, operation_id)


OBSTACLE = "obstacle passed over"
"""What the history calls it; it is no event of the state table, since nothing moves."""


async def set_template(
    conn: AsyncConnection, bay_id: UUID, *, baymodel_id: str, spec: Mapping[str, object], labels: Mapping[str, object]
) -> None:
    """What the bay is made of after an upgrade; `labels` are its columns about labels by name."""
    values = {"baymodel_id": UUID(baymodel_id), "spec": dict(spec), "updated_at": func.now(), **labels}
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(values))


async def set_counts(conn: AsyncConnection, bay_id: UUID, *, node_count: int) -> None:
    """What the owner asked for."""
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(node_count=node_count))


async def set_stack(conn: AsyncConnection, bay_id: UUID, stack_id: str) -> None:
    """The id that Heat gave to the stack whose name we had chosen."""
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(stack_id=stack_id))


async def set_addresses(
    conn: AsyncConnection, bay_id: UUID, *, api: str | None, masters: Sequence[str], workers: Sequence[str]
) -> None:
    """Where the bay can be reached."""
    await conn.execute(
        update(bays)
        .where(bays.c.id == bay_id)
        .values(api_address=api, master_addresses=list(masters), node_addresses=list(workers))
    )


async def set_versions(conn: AsyncConnection, bay_id: UUID, *, coe: str, container: str) -> None:
    """What runs on the bay, as its driver knows it."""
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(coe_version=coe, container_version=container))


async def bury(conn: AsyncConnection, bay: Bay) -> None:
    """Remove the row and all that hangs on it, leaving a tombstone.

    The tombstone lets the slow sweep delete a stack that turns up late, and keeps a late result from resurrecting
    the bay (architecture, Delete overtakes).
    """
    stone = {"bay_id": bay.id, "project_id": bay.project_id, "stack_name": bay.stack_name}
    await conn.execute(pg_insert(tombstones).values(stone).on_conflict_do_nothing())
    await conn.execute(delete(bays).where(bays.c.id == bay.id))


async def _remember(
    conn: AsyncConnection,
    bay_id: object,
    event: str,
    was: str | None,
    became: BayStatus,
    reason: str | None,
    operation_id: UUID | None,
) -> None:
    await conn.execute(
        insert(bay_history).values(
            bay_id=bay_id, event=event, was=was, became=became.value, reason=reason, operation_id=operation_id
        )
    )


def _bay(row: Row[*tuple[Any, ...]]) -> Bay:
    values = dict(row._mapping)
    return Bay(**{**values, "status": BayStatus(values["status"]), "wanted": Wanted(values["wanted"])})
