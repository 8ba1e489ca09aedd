"""Authority keys by the master key that they are under, for the exchange of that. Only the role of `certs` may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.authorities import SealedKey
from shared.db.tables import authorities, authority_keys

_IS_SEALED = authority_keys.c.secret_ref.is_(None)


@dataclass(frozen=True)
class Wrapped:
    """A sealed key and whose it is."""

    authority_id: UUID
    bay_id: UUID
    record: SealedKey


async def counts(conn: AsyncConnection) -> dict[str, int]:
    """How many keys are under each master key, by its id; those in Barbican are not among them."""
    query = select(authority_keys.c.key_id, func.count()).where(_IS_SEALED).group_by(authority_keys.c.key_id)
    return {row[0]: row[1] for row in await conn.execute(query.order_by(authority_keys.c.key_id))}


async def in_barbican(conn: AsyncConnection) -> int:
    """How many keys lie in Barbican, under no master key."""
    return await conn.scalar(select(func.count()).where(authority_keys.c.secret_ref.is_not(None))) or 0


async def hold_batch(conn: AsyncConnection, newest: str, after: UUID | None, limit: int) -> list[Wrapped]:
    """The next keys under other master keys than `newest`, held until the transaction ends.

    Two who do this at once take their locks in the same order; who waited finds what the other has done, not as it was
    before: Postgres looks at a row anew after it had to wait for it.
    """
    query = (
        select(
            authority_keys.c.authority_id,
            authorities.c.bay_id,
            authority_keys.c.key_id,
            authority_keys.c.wrapped_key,
            authority_keys.c.sealed,
        )
        .join(authorities, authorities.c.id == authority_keys.c.authority_id)
        .where(_IS_SEALED, authority_keys.c.key_id != newest)
        .order_by(authority_keys.c.authority_id)
        .limit(limit)
        .with_for_update(of=authority_keys)
    )
    if after is not None:
        query = query.where(authority_keys.c.authority_id > after)
    rows = (await conn.execute(query)).all()
    return [Wrapped(row[0], row[1], SealedKey(row.key_id, row.wrapped_key, row.sealed)) for row in rows]


async def rewrite(conn: AsyncConnection, changed: Sequence[Wrapped]) -> None:
    """Write what was wrapped anew; the caller has the rows by `hold_batch`. What is sealed inside stays as it is."""
    for one in changed:
        await conn.execute(
            update(authority_keys)
            .where(authority_keys.c.authority_id == one.authority_id)
            .values(key_id=one.record.key_id, wrapped_key=one.record.wrapped_key)
        )
