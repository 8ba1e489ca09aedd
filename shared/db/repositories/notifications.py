"""Notifications of a bay's changes: written in the transaction of the change, from the row as it then stands.

Nothing is written unless the engine says as whom (`shared.db.engine.NotifyAs`).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts import cadf
from shared.db.engine import notify_as
from shared.db.repositories import outbox
from shared.db.tables import bay_history, bays, operations
from shared.domain.bay_state import BayEvent

_COLUMNS = tuple(column for column in bays.c if not column.name.startswith("doc"))


async def tell(
    conn: AsyncConnection,
    bay_id: UUID,
    change: cadf.Change | None,
    *,
    operation_id: UUID | None = None,
    requested_by: str | None = None,
) -> None:
    """Queue the notification of `change`; None = nothing to tell.

    The initiator is `requested_by`, else who asked for the operation, else the bay's user. The caller holds the bay's
    lock, so the clock's reading here puts the changes of one bay in order; the transaction's start would not.
    """
    notify = notify_as(conn)
    if notify is None or change is None:
        return
    asked_by, told = await _operation(conn, operation_id)
    if told and change.outcome is cadf.Outcome.PENDING:
        return
    bay = (
        await conn.execute(select(*_COLUMNS, func.clock_timestamp().label("clock")).where(bays.c.id == bay_id))
    ).one()
    notice = cadf.notification(
        change,
        _data(bay),
        id=uuid4(),
        bay_id=bay_id,
        name=bay.name,
        user_id=requested_by or asked_by or bay.user_id,
        host=notify.host,
        at=bay.clock,
    )
    await outbox.add_notification(conn, notify.service, notice)


async def _operation(conn: AsyncConnection, operation_id: UUID | None) -> tuple[str | None, bool]:
    """Who asked for the operation, and whether its being asked for was told already.

    A request that queues moves the bay when it is asked for and again when its turn comes; that is one request. Its
    operation and the history's row are then of one transaction, which shows in their times, and of an earlier one.
    """
    if operation_id is None:
        return None, False
    asked = exists().where(
        bay_history.c.bay_id == operations.c.bay_id,
        bay_history.c.event == BayEvent.UPDATE_ASKED.value,
        bay_history.c.at == operations.c.created_at,
        bay_history.c.at < func.now(),
    )
    row = (await conn.execute(select(operations.c.requested_by, asked).where(operations.c.id == operation_id))).first()
    return (row[0], row[1]) if row else (None, False)


def _data(bay: Row[*tuple[Any, ...]]) -> cadf.ClusterData:
    return cadf.ClusterData(
        status=bay.status,
        status_reason=bay.status_reason,
        project_id=bay.project_id,
        created_at=bay.created_at,
        updated_at=bay.updated_at,
        cluster_template_id=bay.baymodel_id,
        keypair=bay.spec.get("keypair_name"),
        docker_volume_size=bay.spec.get("docker_volume_size"),
        labels=bay.labels,
        master_flavor_id=bay.spec.get("master_flavor_id"),
        flavor_id=bay.spec.get("flavor_id"),
        stack_id=bay.stack_id,
        health_status=bay._mapping.get("health_status"),
        create_timeout=bay.create_timeout,
        api_address=bay.api_address,
        discovery_url=bay.discovery_url,
        node_addresses=bay.node_addresses,
        master_addresses=bay.master_addresses,
        node_count=bay.node_count,
        master_count=bay.master_count,
    )
