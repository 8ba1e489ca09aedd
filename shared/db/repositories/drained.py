"""Nodes that an operation takes away: closed for new work, and to be opened again when they stay after all.

A row is written before its node is closed. While its operation lives, the row is that operation's. When it has ended,
whoever claims the row brings the node into order, opened again or struck off the engine's list, and removes the row.
A later operation that wants the node takes the row over, but not from under the hands of one who is at it: that one
might open what was just closed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, delete, exists, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import drained_nodes, nodes, operations
from shared.domain.bay import Node
from shared.domain.operation import OperationState

_LIVE: Final = (OperationState.QUEUED.value, OperationState.ACTIVE.value)


@dataclass(frozen=True, slots=True)
class Left:
    """A node that an operation which has ended left behind."""

    bay_id: UUID
    server_id: str
    operation_id: UUID
    name: str
    address: str
    """On the bay's own network."""
    tries: int
    """How often it was claimed, this time with it."""


async def begin(conn: AsyncConnection, bay_id: UUID, operation_id: UUID, leaving: Sequence[Node]) -> float | None:
    """Have these nodes belong to this operation; seconds since it first had one of them, by Postgres's clock.

    What an earlier operation left behind is taken over, and its time begins anew. None: somebody is bringing one of
    them into order just now; the transaction must be rolled back.
    """
    table = drained_nodes.c
    rows = [
        {
            "bay_id": bay_id,
            "server_id": node.server_id,
            "operation_id": operation_id,
            "name": node.name,
            "address": node.private_address,
        }
        for node in leaving
    ]
    statement = insert(drained_nodes).values(rows)
    taken_over = {"operation_id": operation_id, "closed_at": func.now(), "tries": 0, "next_at": func.now()}
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["bay_id", "server_id"],
            set_=taken_over,
            where=(table.operation_id != operation_id) & _unclaimed(),
        )
    )
    mine = (table.bay_id == bay_id, table.operation_id == operation_id)
    ids = [node.server_id for node in leaving]
    since = func.extract("epoch", func.clock_timestamp() - func.min(table.closed_at))
    count, seconds = (await conn.execute(select(func.count(), since).where(*mine, table.server_id.in_(ids)))).one()
    return float(seconds) if count == len(ids) else None


async def seconds_until(conn: AsyncConnection, moment: datetime) -> float:
    """From now, by Postgres's clock; negative when it has passed."""
    left = func.extract("epoch", literal(moment, DateTime(timezone=True)) - func.clock_timestamp())
    return float((await conn.execute(select(left))).scalar_one())


async def has_live_operation(conn: AsyncConnection, bay_id: UUID) -> bool:
    """Whether something is being done to the bay, or waits to be."""
    mine = (operations.c.bay_id == bay_id, operations.c.state.in_(_LIVE))
    return bool((await conn.execute(select(exists().where(*mine)))).scalar_one())


async def end(conn: AsyncConnection, bay_id: UUID, operation_id: UUID, servers: Collection[str]) -> None:
    """Forget these nodes, as far as they are still that operation's."""
    table = drained_nodes.c
    mine = (table.bay_id == bay_id, table.operation_id == operation_id)
    await conn.execute(delete(drained_nodes).where(*mine, table.server_id.in_(list(servers))))


async def gone(conn: AsyncConnection, bay_id: UUID, operation_id: UUID) -> list[Left]:
    """Of the nodes that a live operation has closed, those that are none of the bay's any more."""
    table = drained_nodes.c
    recorded = exists().where(nodes.c.bay_id == table.bay_id, nodes.c.server_id == table.server_id)
    rows = await conn.execute(
        select(table.bay_id, table.server_id, table.operation_id, table.name, table.address, table.tries).where(
            table.bay_id == bay_id, table.operation_id == operation_id, ~recorded
        )
    )
    return [Left(*row) for row in rows]


async def claim(conn: AsyncConnection, *, bays: int, lease_seconds: float) -> list[Left]:
    """Nodes of up to so many bays whose operation has ended; nobody else is given them for `lease_seconds`."""
    table = drained_nodes.c
    live = exists().where(
        operations.c.bay_id == table.bay_id,
        operations.c.id == table.operation_id,
        operations.c.state.in_(_LIVE),
    )
    due = (table.next_at <= func.now(), _unclaimed(), ~live)
    chosen = select(table.bay_id).where(*due).group_by(table.bay_id).order_by(func.min(table.next_at)).limit(bays)
    locked = (
        select(table.bay_id, table.server_id)
        .where(*due, table.bay_id.in_(chosen.scalar_subquery()))
        .with_for_update(skip_locked=True)
    )
    rows = await conn.execute(
        update(drained_nodes)
        .where(tuple_(table.bay_id, table.server_id).in_(locked))
        .values(lease_until=func.now() + timedelta(seconds=lease_seconds), tries=table.tries + 1)
        .returning(table.bay_id, table.server_id, table.operation_id, table.name, table.address, table.tries)
    )
    return [Left(*row) for row in rows]


async def again(conn: AsyncConnection, left: Sequence[Left], seconds: float) -> None:
    """Try those again after so many seconds, unless they became another operation's."""
    table = drained_nodes.c
    keys = [(one.bay_id, one.server_id, one.operation_id) for one in left]
    await conn.execute(
        update(drained_nodes)
        .where(tuple_(table.bay_id, table.server_id, table.operation_id).in_(keys))
        .values(next_at=func.now() + timedelta(seconds=seconds), lease_until=None)
    )


def _unclaimed() -> ColumnElement[bool]:
    lease = drained_nodes.c.lease_until
    return or_(lease.is_(None), lease < func.now())
