"""The outbox: messages written in the transaction of what they tell of, published afterwards by the relay (rule 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.base import Message
from shared.db.tables import outbox


@dataclass(frozen=True)
class OutboxRow:
    """A message that waits to be published; `id` becomes the message id."""

    id: UUID
    name: str
    version: int
    body: str


async def add(conn: AsyncConnection, service: str, message: Message) -> None:
    """Queue `message` for the relay of `service`, as part of the caller's transaction."""
    await conn.execute(
        insert(outbox).values(
            id=uuid4(), service=service, name=message.name, version=message.version, body=message.model_dump_json()
        )
    )


async def take(conn: AsyncConnection, service: str, limit: int) -> list[OutboxRow]:
    """The oldest rows of `service`, held until the transaction ends; rows that another relay holds are passed over."""
    query = (
        select(outbox.c.id, outbox.c.name, outbox.c.version, outbox.c.body)
        .where(outbox.c.service == service)
        .order_by(outbox.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [OutboxRow(*row) for row in await conn.execute(query)]


async def remove(conn: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Forget what the broker has confirmed."""
    await conn.execute(delete(outbox).where(outbox.c.id.in_(ids)))
