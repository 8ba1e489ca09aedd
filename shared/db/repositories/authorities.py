"""Certificate authorities and where their keys are. Only the role of `certs` may read or write `authority_keys`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import authorities, authority_keys, certificate_audit
from shared.domain.rotation import Phase

KINDS: Final = ("kubernetes", "etcd", "front_proxy")
"""The authorities of a bay; the first is the cluster's own. `front-proxy` at the API means the last (contract §5.2)."""

SERVICE_ACCOUNT: Final = "service_account"
"""Kind of the key by which a bay's masters sign service-account tokens. It signs no certificate: in place of one stands
its public key."""

FIRST_GENERATION: Final = 1
"""What a new bay gets; rotation makes the next ones."""


@dataclass(frozen=True)
class Authority:
    """The public half of an authority; `certificate` is PEM."""

    id: UUID
    bay_id: UUID
    kind: str
    generation: int
    certificate: str
    not_after: datetime


@dataclass(frozen=True)
class SealedKey:
    """An encrypted private key: under which master key, the wrapped data key, the key under the data key."""

    key_id: str
    wrapped_key: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


@dataclass(frozen=True)
class SecretRef:
    """The address of a private key in Barbican."""

    ref: str


StoredKey = SealedKey | SecretRef
"""Where a private key is: in this database, encrypted, or in Barbican."""

_BARBICAN: Final = "barbican"  # stands for the master key's id where there is no master key

_PUBLIC = (
    authorities.c.id,
    authorities.c.bay_id,
    authorities.c.kind,
    authorities.c.generation,
    authorities.c.certificate,
    authorities.c.not_after,
)


_TRUSTED = authorities.c.retired_at.is_(None)


async def current(conn: AsyncConnection, bay_id: UUID, kind: str) -> Authority | None:
    """The newest authority of that kind that is not retired, None when the bay has none (yet)."""
    query = (
        select(*_PUBLIC)
        .where(authorities.c.bay_id == bay_id, authorities.c.kind == kind, _TRUSTED)
        .order_by(authorities.c.generation.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).first()
    return Authority(*row) if row else None


async def current_all(conn: AsyncConnection, bay_id: UUID) -> dict[str, Authority]:
    """The newest authority of each of `KINDS` that the bay has and that is not retired, by kind."""
    mine = authorities.c.bay_id == bay_id, authorities.c.kind.in_(KINDS), _TRUSTED
    query = select(*_PUBLIC).where(*mine).order_by(authorities.c.generation)
    return {row.kind: Authority(*row) for row in await conn.execute(query)}


async def trusted(conn: AsyncConnection, bay_id: UUID, *kinds: str) -> list[Authority]:
    """The authorities of these kinds that the bay trusts now, oldest first: during a rotation the old and the new."""
    query = (
        select(*_PUBLIC)
        .where(
            authorities.c.bay_id == bay_id,
            authorities.c.kind.in_(kinds),
            authorities.c.not_after > func.now(),
            _TRUSTED,
        )
        .order_by(authorities.c.generation, authorities.c.kind)
    )
    return [Authority(*row) for row in await conn.execute(query)]


async def generations(conn: AsyncConnection, bay_id: UUID) -> list[int]:
    """Every generation of authorities that the bay ever had, oldest first."""
    mine = authorities.c.bay_id == bay_id, authorities.c.kind.in_(KINDS)
    return list(
        await conn.scalars(select(authorities.c.generation).where(*mine).distinct().order_by(authorities.c.generation))
    )


async def retire(conn: AsyncConnection, bay_id: UUID, generation: int) -> list[UUID]:
    """The bay trusts the authorities of that generation no more, and their keys are gone from here; their ids."""
    mine = authorities.c.bay_id == bay_id, authorities.c.generation == generation, authorities.c.kind.in_(KINDS)
    retired = await conn.scalars(
        update(authorities).where(*mine, _TRUSTED).values(retired_at=func.now()).returning(authorities.c.id)
    )
    ids = list(retired)
    if ids:
        await conn.execute(delete(authority_keys).where(authority_keys.c.authority_id.in_(ids)))
        await audit(conn, bay_id, "authorities retired", detail=f"generation {generation}")
    return ids


async def get(conn: AsyncConnection, authority_id: UUID) -> Authority | None:
    """The authority with that id."""
    row = (await conn.execute(select(*_PUBLIC).where(authorities.c.id == authority_id))).first()
    return Authority(*row) if row else None


async def for_signing(conn: AsyncConnection, wanted: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Authority]:
    """By bay and kind, the authority that signs now: the newest that has its key and is still valid, and during a
    rotation the one whose turn it is (`shared.domain.rotation.Rotation.signing`). Those that have none are left out."""
    bay_ids, kinds = list({bay_id for bay_id, _ in wanted}), list({kind for _, kind in wanted})
    rows = await conn.execute(_FOR_SIGNING, {"bays": bay_ids, "kinds": kinds, "trust": Phase.TRUST.value})
    found = {(row.bay_id, row.kind): Authority(*row) for row in rows}
    return {one: found[one] for one in wanted if one in found}


_FOR_SIGNING: Final = text("""
    SELECT DISTINCT ON (mine.bay_id, mine.kind)
           mine.id, mine.bay_id, mine.kind, mine.generation, mine.certificate, mine.not_after
    FROM authorities AS mine
    JOIN authority_keys ON authority_keys.authority_id = mine.id
    LEFT JOIN authority_rotations AS rotation ON rotation.bay_id = mine.bay_id
    WHERE mine.bay_id = ANY(CAST(:bays AS uuid[])) AND mine.kind = ANY(CAST(:kinds AS text[]))
      AND mine.retired_at IS NULL AND mine.not_after > now()
      AND (rotation.bay_id IS NULL OR mine.generation
           = CASE rotation.phase WHEN :trust THEN rotation.previous ELSE rotation.target END)
    ORDER BY mine.bay_id, mine.kind, mine.generation DESC
""")


async def add(conn: AsyncConnection, authority: Authority, key: StoredKey) -> bool:
    """Write an authority and its key; False when the bay already has that kind and generation (nothing is changed)."""
    added = await conn.scalar(
        pg_insert(authorities)
        .values(
            id=authority.id,
            bay_id=authority.bay_id,
            kind=authority.kind,
            generation=authority.generation,
            certificate=authority.certificate,
            not_after=authority.not_after,
        )
        .on_conflict_do_nothing(constraint="authorities_one_per_kind")
        .returning(authorities.c.id)
    )
    if added is None:
        return False
    place = (
        {"key_id": _BARBICAN, "secret_ref": key.ref}
        if isinstance(key, SecretRef)
        else {"key_id": key.key_id, "wrapped_key": key.wrapped_key, "sealed": key.sealed}
    )
    await conn.execute(insert(authority_keys).values(authority_id=authority.id, **place))
    await audit(conn, authority.bay_id, "authority made", detail=f"{authority.kind} {authority.generation}")
    return True


async def stored_key(conn: AsyncConnection, authority_id: UUID) -> StoredKey | None:
    """Where the authority's key is, None when it was destroyed."""
    row = (await conn.execute(select(*_PLACE).where(authority_keys.c.authority_id == authority_id))).first()
    return _stored(row) if row else None


async def stored_keys(conn: AsyncConnection, bay_id: UUID, *, generation: int | None = None) -> list[StoredKey]:
    """Where all the bay's keys are, or those of the authorities of one generation."""
    query = select(*_PLACE).join(authorities, authorities.c.id == authority_keys.c.authority_id)
    query = query.where(authorities.c.bay_id == bay_id)
    if generation is not None:
        query = query.where(authorities.c.generation == generation, authorities.c.kind.in_(KINDS))
    return [_stored(row) for row in await conn.execute(query)]


_PLACE = (authority_keys.c.secret_ref, authority_keys.c.key_id, authority_keys.c.wrapped_key, authority_keys.c.sealed)


def _stored(row: Row[str | None, str, bytes, bytes]) -> StoredKey:
    return SealedKey(row.key_id, row.wrapped_key, row.sealed) if row.secret_ref is None else SecretRef(row.secret_ref)


async def destroy_keys(conn: AsyncConnection, bay_id: UUID) -> list[UUID]:
    """Remove the bay's keys for good; the ids of the authorities that had one."""
    mine = select(authorities.c.id).where(authorities.c.bay_id == bay_id)
    gone = await conn.scalars(
        delete(authority_keys).where(authority_keys.c.authority_id.in_(mine)).returning(authority_keys.c.authority_id)
    )
    ids = list(gone)
    if ids:
        await audit(conn, bay_id, "authority keys destroyed", detail=f"{len(ids)} keys")
    return ids


async def audit(
    conn: AsyncConnection,
    bay_id: UUID,
    action: str,
    *,
    serial: str | None = None,
    requester: str | None = None,
    detail: str | None = None,
) -> None:
    """Write a line of the audit trail (it outlives the bay). Nothing is read back: not all who write it may read it."""
    line = {"bay_id": bay_id, "action": action, "serial": serial, "requester": requester, "detail": detail}
    await conn.execute(insert(certificate_audit).inline().values(line))
