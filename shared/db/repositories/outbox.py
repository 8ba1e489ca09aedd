"""The outbox: messages written in the transaction of what they tell of, published afterwards by the relay (rule 1).

Notifications wait in the same table, but in a queue of their own beside each service's: `api.notifications` next to
`api`. So a long backlog of them, while their broker is away, is never in the way of the service's messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.base import Message
from shared.contracts.cadf import Notification
from shared.db.tables import outbox

NOTIFICATION: Final = "notification"
"""Header of a notification's row: its priority."""


@dataclass(frozen=True)
class OutboxRow:
    """A message that waits to be published; `id` becomes the message id."""

    id: UUID
    name: str
    version: int
    body: str
    headers: dict[str, str]


async def add(conn: AsyncConnection, service: str, message: Message) -> None:
    """Queue `message` for the relay of `service`, as part of the caller's transaction."""
    await conn.execute(
        insert(outbox).values(
            id=uuid4(), service=service, name=message.name, version=message.version, body=message.model_dump_json()
        )
    )


async def add_again(conn: AsyncConnection, service: str, row: OutboxRow) -> None:
    """Queue a message that was published before, under the id that it had, as part of the caller's transaction.

    Race: the row of its first sending may be there still, because its relay died before it removed it, or is about to
    remove it now. So the row is touched and not merely passed over: that waits for the relay (5 s at most, its publish
    timeout); the row that stays is published anyway, and for the one that went another is written.
    """
    again = pg_insert(outbox).values(id=row.id, service=service, name=row.name, version=row.version, body=row.body)
    await conn.execute(again.on_conflict_do_update(index_elements=[outbox.c.id], set_={"name": outbox.c.name}))


async def add_notification(conn: AsyncConnection, service: str, notification: Notification) -> None:
    """Queue a notification for the relay of `service`, as part of the caller's transaction."""
    await conn.execute(
        insert(outbox).values(
            id=notification.id,
            service=notifications_of(service),
            name=notification.event_type,
            version=1,
            body=notification.text,
            headers={NOTIFICATION: notification.priority.value},
        )
    )


def notifications_of(service: str) -> str:
    """The queue of a service's notifications."""
    return f"{service}.notifications"


async def hold_alone(conn: AsyncConnection, queue: str) -> bool:
    """Whether no other relay holds `queue`; if so, none can until the transaction ends. Never waits.

    For a queue whose order counts: `take` passes over what another relay holds, and would overtake it.
    """
    key = func.hashtextextended(f"jeroboam:outbox:{queue}", 0)
    return bool(await conn.scalar(select(func.pg_try_advisory_xact_lock(key))))


async def take(conn: AsyncConnection, service: str, limit: int) -> list[OutboxRow]:
    """The oldest rows of `service` (or of its notifications), held until the transaction ends.

    Rows that another relay holds are passed over.
    """
    query = (
        select(outbox.c.id, outbox.c.name, outbox.c.version, outbox.c.body, outbox.c.headers)
        .where(outbox.c.service == service)
        .order_by(outbox.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [OutboxRow(*row) for row in await conn.execute(query)]


async def remove(conn: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Forget what the broker has confirmed."""
    await conn.execute(delete(outbox).where(outbox.c.id.in_(ids)))
