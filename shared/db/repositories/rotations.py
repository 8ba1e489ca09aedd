"""Rotations of authorities that are not over, and the turns of nodes in them. `certs` leads them.

`authority_rotations` is the only truth of how far one is: who dies at any point finds it there again. The gateway may
only turn the target back (`undo`), by a statement that finds no row once the last phase has begun; who leads moves on
(`move`) only when the target is still the one that was looked at. So of the two at once one comes first, and the other
sees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import authority_rotations, rotation_turns
from shared.domain.rotation import Phase, Rotation, Turn

_ROTATION = tuple(authority_rotations.c[name] for name in ("bay_id", "generation", "previous", "target", "phase"))


async def of(conn: AsyncConnection, bay_id: UUID) -> Rotation | None:
    """The bay's rotation, None when none is under way."""
    row = (await conn.execute(select(*_ROTATION).where(authority_rotations.c.bay_id == bay_id))).first()
    return Rotation(**{**row._mapping, "phase": Phase(row.phase)}) if row else None


async def begin(conn: AsyncConnection, bay_id: UUID, *, generation: int, previous: int) -> None:
    """A rotation to the authorities of `generation`, which are there, from those of `previous`."""
    await conn.execute(
        insert(authority_rotations).values(
            bay_id=bay_id, generation=generation, previous=previous, target=generation, phase=Phase.TRUST.value
        )
    )


async def move(conn: AsyncConnection, seen: Rotation, phase: Phase) -> bool:
    """Go to that phase, unless the rotation is no longer as it was seen; whether it did."""
    moved = await conn.execute(
        update(authority_rotations)
        .where(
            authority_rotations.c.bay_id == seen.bay_id,
            authority_rotations.c.target == seen.target,
            authority_rotations.c.phase == seen.phase.value,
        )
        .values(phase=phase.value)
    )
    return moved.rowcount == 1


async def undo(conn: AsyncConnection, bay_id: UUID) -> bool:
    """Let the previous generation remain; False when the last phase has begun, or there is no rotation."""
    turned = await conn.execute(
        update(authority_rotations)
        .where(authority_rotations.c.bay_id == bay_id, authority_rotations.c.phase != Phase.DROP.value)
        .values(target=authority_rotations.c.previous)
    )
    return turned.rowcount == 1


async def end(conn: AsyncConnection, bay_id: UUID) -> None:
    """The rotation is over."""
    for table in (rotation_turns, authority_rotations):
        await conn.execute(delete(table).where(table.c.bay_id == bay_id))


async def turns(conn: AsyncConnection, bay_id: UUID) -> dict[str, Turn]:
    """How far each node may go, by server id."""
    table = rotation_turns.c
    query = select(table.server_id, table.phase, table.target).where(table.bay_id == bay_id)
    return {row.server_id: Turn(row.server_id, Phase(row.phase), row.target) for row in await conn.execute(query)}


async def turn_of(conn: AsyncConnection, bay_id: UUID, server_id: str) -> Turn | None:
    """How far one node may go."""
    table = rotation_turns.c
    query = select(table.phase, table.target).where(table.bay_id == bay_id, table.server_id == server_id)
    row = (await conn.execute(query)).first()
    return Turn(server_id, Phase(row.phase), row.target) if row else None


async def give(conn: AsyncConnection, bay_id: UUID, given: Iterable[Turn]) -> None:
    """Give nodes their turn."""
    for turn in given:
        values = {"phase": turn.phase.value, "target": turn.target}
        written = pg_insert(rotation_turns).values(bay_id=bay_id, server_id=turn.server_id, **values)
        await conn.execute(written.on_conflict_do_update(index_elements=["bay_id", "server_id"], set_=values))
