"""Dead letters: messages that could not be handled, with the reason, until somebody requeues or drops them."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import dead_letters

BODY_KEPT = 8192
"""Characters of a body that are kept: enough to understand it, not enough to fill the disk."""


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


def _clean(text: str) -> str:
    return text[:BODY_KEPT].replace("\x00", "\ufffd")
