"""Dead letters: messages that could not be handled, with the reason, until somebody sends them again or drops them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, delete, exists, func, insert, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import dead_letters

BODY_KEPT = 8192
"""Characters of a body that are kept: enough to understand it, not enough to fill the disk."""

_COLUMNS: Final = (
    dead_letters.c.id,
    dead_letters.c.service,
    dead_letters.c.queue,
    dead_letters.c.name,
    dead_letters.c.version,
    dead_letters.c.message_id,
    dead_letters.c.reason,
    func.moment(dead_letters.c.created_at).label("created_at"),
    func.moment(dead_letters.c.requeued_at).label("resent_at"),
)


@dataclass(frozen=True)
class Brief:
    """A dead letter without its contents; the instants are as clients see them."""

    id: UUID
    service: str
    queue: str
    name: str | None
    version: int | None
    message_id: str | None
    reason: str
    created_at: str
    resent_at: str | None


@dataclass(frozen=True)
class Letter(Brief):
    """A dead letter, whole. The contents are kept out of the repr, since a stranger's may be anything."""

    body: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)


async def add(
    conn: AsyncConnection,
    *,
    service: str,
    queue: str,
    message_id: str | None,
    name: str | None,
    version: int | None,
    body: str,
    headers: Mapping[str, str],
    reason: str,
) -> None:
    """Write one down. NUL characters, which Postgres cannot hold, are shown as the replacement character.

    Anything of a letter may be nonsense, and one that could not be written would come back for ever.
    """
    await conn.execute(
        insert(dead_letters).values(
            id=uuid4(),
            service=service,
            queue=queue,
            message_id=None if message_id is None else _clean(message_id),
            name=None if name is None else _clean(name),
            version=version,
            body=_clean(body),
            headers={_clean(key): _clean(value) for key, value in headers.items()},
            reason=_clean(reason),
        )
    )


async def page(
    conn: AsyncConnection,
    *,
    limit: int,
    marker: UUID | None = None,
    service: str | None = None,
    name: str | None = None,
    resent: bool | None = None,
) -> list[Brief] | None:
    """A page of the letters, newest first; `resent` None = sent again or not. None: the marker is none of them."""
    query = select(*_COLUMNS).where(
        true() if service is None else dead_letters.c.service == service,
        true() if name is None else dead_letters.c.name == name,
        _resent(resent),
    )
    if marker is not None:
        if not await conn.scalar(select(exists().where(dead_letters.c.id == marker))):
            return None
        last = dead_letters.alias()
        behind = select(last.c.created_at, last.c.id).where(last.c.id == marker).scalar_subquery()
        query = query.where(tuple_(dead_letters.c.created_at, dead_letters.c.id) < behind)
    query = query.order_by(dead_letters.c.created_at.desc(), dead_letters.c.id.desc()).limit(limit)
    return [Brief(UUID(str(row[0])), *row[1:]) for row in await conn.execute(query)]


async def get(conn: AsyncConnection, letter_id: UUID) -> Letter | None:
    """The letter, None when there is none of that id."""
    return _letter((await conn.execute(_one(letter_id))).first())


async def lock(conn: AsyncConnection, letter_id: UUID) -> Letter | None:
    """The letter, which nobody else changes until the transaction ends; None when there is none of that id."""
    return _letter((await conn.execute(_one(letter_id, hold=True))).first())


async def resent(conn: AsyncConnection, letter_id: UUID) -> Letter | None:
    """Note that the letter is sent again now; the letter as it is then."""
    changed = (
        update(dead_letters)
        .where(dead_letters.c.id == letter_id)
        .values(requeued_at=func.now())
        .returning(*_COLUMNS, dead_letters.c.body, dead_letters.c.headers)
    )
    return _letter((await conn.execute(changed)).first())


async def remove(conn: AsyncConnection, letter_id: UUID) -> bool:
    """Drop the letter. False: there is none of that id."""
    gone = await conn.execute(delete(dead_letters).where(dead_letters.c.id == letter_id).returning(dead_letters.c.id))
    return gone.first() is not None


def _one(letter_id: UUID, *, hold: bool = False) -> Any:
    query = select(*_COLUMNS, dead_letters.c.body, dead_letters.c.headers).where(dead_letters.c.id == letter_id)
    return query.with_for_update() if hold else query


def _resent(wanted: bool | None) -> ColumnElement[bool]:
    match wanted:
        case None:
            return true()
        case True:
            return dead_letters.c.requeued_at.is_not(None)
        case False:
            return dead_letters.c.requeued_at.is_(None)


def _letter(row: Row[*tuple[Any, ...]] | None) -> Letter | None:
    return None if row is None else Letter(UUID(str(row[0])), *row[1:])  # a plain one, not asyncpg's own


def _clean(text: str) -> str:
    return text[:BODY_KEPT].replace("\x00", "\ufffd")
