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

from sqlalchemy import case, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.attestations import AttestState, requester_of
from shared.db.repositories.authorities import KINDS, audit
from shared.db.tables import (
    attestations,
    authorities,
    authority_rotations,
    node_reports,
    nodes,
    operations,
    rotation_turns,
)
from shared.domain.operation import OperationKind, OperationState
from shared.domain.rotation import Phase, Rotation, Turn

_RECORDING = tuple(
    one.value
    for one in (
        *(OperationKind.CREATE, OperationKind.RESIZE, OperationKind.RESIZE_MASTERS),
        *(OperationKind.HEAL, OperationKind.UPGRADE),
    )
)
"""The changes that record a bay's nodes."""
_ROTATION = tuple(authority_rotations.c[name] for name in ("bay_id", "generation", "previous", "target", "phase"))


@dataclass(frozen=True)
class NodeProgress:
    """A node of a bay whose authorities are rotated: its turn, and what it last said. Ages are by Postgres's clock."""

    server_id: str
    name: str
    role: str
    turn: Turn | None
    waited: timedelta | None
    """Since it was given its turn; None, too, where that turn changes nothing for it (`give`)."""
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


async def resumable(conn: AsyncConnection, bay_id: UUID) -> bool:
    """Whether the rotation can still go towards the new generation: nobody is told to trust the previous one alone.

    The row is locked, so that it stays so until the transaction ends: who leads tells that only with a change of it.
    """
    table, turn = authority_rotations.c, rotation_turns.c
    phase = await conn.scalar(select(table.phase).where(table.bay_id == bay_id).with_for_update())
    if phase is None or phase == Phase.DROP.value:
        return False
    told = select(turn.server_id).where(turn.bay_id == bay_id, turn.phase == Phase.DROP.value).limit(1)
    return await conn.scalar(told) is None


async def resume(conn: AsyncConnection, bay_id: UUID) -> None:
    """Let the new generation remain after all, in a rotation that is `resumable` in this transaction."""
    table = authority_rotations.c
    resumed = update(authority_rotations).where(table.bay_id == bay_id).values(target=table.generation)
    generation = await conn.scalar(resumed.returning(table.generation))
    await audit(conn, bay_id, "rotation resumed", detail=f"generation {generation} shall remain after all")


async def previous_ends(conn: AsyncConnection, rotation: Rotation, within: timedelta) -> bool:
    """Whether an authority that the rotation comes from has ended, or does so within that time."""
    table = authorities.c
    query = select(table.id).where(
        table.bay_id == rotation.bay_id,
        table.generation == rotation.previous,
        table.kind.in_(KINDS),
        table.not_after < func.now() + within,
    )
    return await conn.scalar(query.limit(1)) is not None


async def restart_clock(conn: AsyncConnection, bay_id: UUID, within: timedelta) -> None:
    """Give the operation under way so much time from now, because it has another way to go."""
    table = operations.c
    mine = table.bay_id == bay_id, table.kind == OperationKind.ROTATE_CA.value
    active = table.state == OperationState.ACTIVE.value
    await conn.execute(update(operations).where(*mine, active).values(deadline=func.now() + within))


async def end(conn: AsyncConnection, bay_id: UUID) -> None:
    """The rotation is over."""
    for table in (rotation_turns, authority_rotations):
        await conn.execute(delete(table).where(table.c.bay_id == bay_id))
    await audit(conn, bay_id, "rotation ended")


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
            case((turn.given_at > func.to_timestamp(0), func.now() - turn.given_at)).label("waited"),
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
        .order_by(nodes.c.role, nodes.c.pool, nodes.c.position)
    )
    found = []
    for row in await conn.execute(query):
        values = dict(row._mapping)
        phase, target = values.pop("phase"), values.pop("target")
        given = None if phase is None else Turn(row.server_id, Phase(phase), target)
        found.append(NodeProgress(turn=given, **values))
    return found


async def strangers(conn: AsyncConnection, bay_id: UUID) -> list[str]:
    """Ids of servers that may be of the bay and are not recorded as its nodes: what a failed change has left.

    Those are servers that were given their first certificates since the last change that went well recorded all that
    there were, whether they have reported or not. Others that have certificates are nodes that were removed: they
    report for as long as their authority is trusted, if somebody else has them, and are to be cut off.
    """
    asked, change = attestations.c, operations.c
    recorded = select(func.max(change.finished_at)).where(
        change.bay_id == bay_id, change.kind.in_(_RECORDING), change.state == OperationState.DONE.value
    )
    known = exists().where(nodes.c.bay_id == asked.bay_id, nodes.c.server_id == asked.server_id)
    query = select(asked.server_id).where(
        asked.bay_id == bay_id,
        asked.serial.is_(None),
        asked.state == AttestState.ATTESTED.value,
        asked.created_at > func.coalesce(recorded.scalar_subquery(), text("'-infinity'::timestamptz")),
        ~known,
    )
    return list(await conn.scalars(query.distinct().order_by(asked.server_id)))
