"""Rotations of authorities that are not over, and the turns of nodes in them. `certs` leads them.

`authority_rotations` is the only truth of how far one is: who dies at any point finds it there again. The gateway may
only turn the target back (`undo`), by a statement that finds no row once the last phase has begun; who leads moves on
(`move`) only when the target is still the one that was looked at. So of the two at once one comes first, and the other
sees it. Every change writes its line of the audit trail in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.attestations import requester_of
from shared.db.repositories.authorities import audit
from shared.db.tables import authority_rotations, node_reports, nodes, rotation_turns
from shared.domain.rotation import Phase, Rotation, Turn

_ROTATION = tuple(authority_rotations.c[name] for name in ("bay_id", "generation", "previous", "target", "phase"))


@dataclass(frozen=True)
class NodeProgress:
    """A node of a bay whose authorities are rotated: its turn, and what it last said. Ages are by Postgres's clock."""

    server_id: str
    name: str
    role: str
    turn: Turn | None
    waited: timedelta | None
    """Since it was given its turn."""
    answered: bool
    """Whether it has reported since then; an agent reports when it has done all that it was asked, or cannot."""
    reported_at: datetime | None
    """None: never."""
    silent: timedelta | None
    """Since its last report."""
    healthy: bool
    revision: str | None
    """Names the authorities that it trusts (`shared.domain.rotation.revision_of`)."""
    generation: int | None
    """Of the authority that issued the certificate by which it proved itself."""
    problem: str | None


async def of(conn: AsyncConnection, bay_id: UUID) -> Rotation | None:
    """The bay's rotation, None when none is under way."""
    row = (await conn.execute(select(*_ROTATION).where(authority_rotations.c.bay_id == bay_id))).first()
    return Rotation(**{**row._mapping, "phase": Phase(row.phase)}) if row else None


async def started_at(conn: AsyncConnection, bay_id: UUID) -> datetime | None:
    """When the bay's rotation began, None when none is under way."""
    query = select(authority_rotations.c.started_at).where(authority_rotations.c.bay_id == bay_id)
    found: datetime | None = await conn.scalar(query)
    return found


async def begin(conn: AsyncConnection, bay_id: UUID, *, generation: int, previous: int) -> None:
    """A rotation to the authorities of `generation`, which are there, from those of `previous`."""
    await conn.execute(
        insert(authority_rotations).values(
            bay_id=bay_id, generation=generation, previous=previous, target=generation, phase=Phase.TRUST.value
        )
    )
    await audit(conn, bay_id, "rotation begun", detail=f"from generation {previous} to {generation}")


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
    if moved.rowcount == 1:
        await audit(conn, seen.bay_id, "rotation moved", detail=f"to {phase.value}, towards generation {seen.target}")
    return moved.rowcount == 1


async def undo(conn: AsyncConnection, bay_id: UUID) -> bool:
    """Let the previous generation remain; False when the last phase has begun, or there is no rotation.

    One that is undone already stays so, in its last phase too: that one is to be finished.
    """
    table = authority_rotations.c
    turned = await conn.scalar(
        update(authority_rotations)
        .where(table.bay_id == bay_id, or_(table.phase != Phase.DROP.value, table.target == table.previous))
        .values(target=table.previous)
        .returning(table.previous)
    )
    if turned is not None:
        await audit(conn, bay_id, "rotation undone", detail=f"generation {turned} shall remain")
    return turned is not None


async def end(conn: AsyncConnection, bay_id: UUID) -> None:
    """The rotation is over."""
    for table in (rotation_turns, authority_rotations):
        await conn.execute(delete(table).where(table.c.bay_id == bay_id))
    await audit(conn, bay_id, "rotation ended")


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


async def give(conn: AsyncConnection, bay_id: UUID, given: Iterable[Turn], *, known: bool = False) -> None:
    """Give nodes their turn, in place of an earlier one: its time begins anew.

    `known`: it changes nothing for them, so what they said before counts as said in their turn.
    """
    turns = list(given)
    if not turns:
        return
    written = pg_insert(rotation_turns).values(given_at=func.to_timestamp(0) if known else func.now())
    changed = {name: written.excluded[name] for name in ("phase", "target", "given_at")}
    await conn.execute(
        written.on_conflict_do_update(index_elements=["bay_id", "server_id"], set_=changed),
        [{**vars(turn), "phase": turn.phase.value, "bay_id": bay_id} for turn in turns],
    )
    for turn in turns:
        detail = f"{turn.phase.value}, towards generation {turn.target}"
        await audit(conn, bay_id, "rotation turn", requester=requester_of(turn.server_id), detail=detail)


async def progress(conn: AsyncConnection, bay_id: UUID) -> list[NodeProgress]:
    """The bay's nodes as they are recorded now, masters first, in the order of their places."""
    turn, report = rotation_turns.c, node_reports.c
    query = (
        select(
            nodes.c.server_id,
            nodes.c.name,
            nodes.c.role,
            turn.phase,
            turn.target,
            (func.now() - turn.given_at).label("waited"),
            func.coalesce(report.reported_at > turn.given_at, False).label("answered"),
            report.reported_at,
            (func.now() - report.reported_at).label("silent"),
            func.coalesce(report.healthy, False).label("healthy"),
            report.revision,
            report.authority_generation.label("generation"),
            report.problem,
        )
        .select_from(nodes)
        .outerjoin(node_reports, (report.bay_id == nodes.c.bay_id) & (report.server_id == nodes.c.server_id))
        .outerjoin(rotation_turns, (turn.bay_id == nodes.c.bay_id) & (turn.server_id == nodes.c.server_id))
        .where(nodes.c.bay_id == bay_id)
        .order_by(nodes.c.role, nodes.c.position)
    )
    found = []
    for row in await conn.execute(query):
        values = dict(row._mapping)
        phase, target = values.pop("phase"), values.pop("target")
        given = None if phase is None else Turn(row.server_id, Phase(phase), target)
        found.append(NodeProgress(turn=given, **values))
    return found


async def strangers(conn: AsyncConnection, bay_id: UUID, within: timedelta) -> list[str]:
    """Ids of servers that have reported `within` that time and are not recorded as nodes of the bay."""
    report = node_reports.c
    known = exists().where(nodes.c.bay_id == report.bay_id, nodes.c.server_id == report.server_id)
    query = select(report.server_id).where(report.bay_id == bay_id, report.reported_at > func.now() - within, ~known)
    return list(await conn.scalars(query.order_by(report.server_id)))
