"""Looks at bays that are due from time to time, as rows: no task and no timer is kept for a bay.

A look is claimed for a while, in batches, by whichever replica comes first; who claimed it and came to its end sets the
next time. One whose holder died is claimed again when its lease is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bay_checks

What = Literal["scale", "health"]


@dataclass(frozen=True, slots=True)
class Check:
    """A claimed look at one bay."""

    bay_id: UUID
    what: What
    every_seconds: int
    memo: Mapping[str, Any]
    """What the last look left for this one."""
    token: UUID
    late: float
    """Seconds after its time that it was claimed."""


async def begin(conn: AsyncConnection, what: What, bay_ids: Sequence[UUID], every_seconds: int) -> None:
    """Have these bays looked at from now on; one that is looked at already goes on as it does."""
    rows = [{"bay_id": bay, "what": what, "every_seconds": every_seconds} for bay in bay_ids]
    if rows:
        await conn.execute(insert(bay_checks).on_conflict_do_nothing(), rows)


async def claim(conn: AsyncConnection, what: What, *, limit: int, lease_seconds: float) -> list[Check]:
    """Take up to `limit` looks that are due, those that have waited longest first."""
    table = bay_checks.c
    due = (
        select(table.bay_id)
        .where(table.what == what, table.next_at <= func.now(), or_(table.lease_until.is_(None), _over()))
        .order_by(table.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    token = uuid4()
    rows = await conn.execute(
        update(bay_checks)
        .where(table.what == what, table.bay_id.in_(due.scalar_subquery()))
        .values(lease_token=token, lease_until=func.now() + timedelta(seconds=lease_seconds))
        .returning(table.bay_id, table.every_seconds, table.memo, func.extract("epoch", func.now() - table.next_at))
    )
    return [Check(bay, what, every, memo, token, float(late)) for bay, every, memo, late in rows]


async def settle(conn: AsyncConnection, check: Check, *, every_seconds: int, memo: Mapping[str, object]) -> bool:
    """Write what a look came to and when the next one is due; False: the claim was lost, and nothing is written."""
    table = bay_checks.c
    mine = (table.bay_id == check.bay_id, table.what == check.what, table.lease_token == check.token)
    changed = await conn.execute(
        update(bay_checks)
        .where(*mine)
        .values(
            lease_token=None,
            lease_until=None,
            every_seconds=every_seconds,
            memo=dict(memo),
            next_at=func.now() + timedelta(seconds=every_seconds),
        )
    )
    return changed.rowcount > 0


async def hurry(conn: AsyncConnection, what: What, bay_id: UUID) -> None:
    """Look at this bay as soon as can be."""
    table = bay_checks.c
    await conn.execute(update(bay_checks).where(table.bay_id == bay_id, table.what == what).values(next_at=func.now()))


async def end(conn: AsyncConnection, what: What, bay_id: UUID) -> None:
    """Look at this bay no more."""
    table = bay_checks.c
    await conn.execute(delete(bay_checks).where(table.bay_id == bay_id, table.what == what))


async def next_due(conn: AsyncConnection, what: What) -> float | None:
    """Seconds until a look is due, 0 or less when one is overdue; None: there are none."""
    table = bay_checks.c
    due = func.greatest(table.next_at, table.lease_until)
    seconds = await conn.scalar(select(func.extract("epoch", func.min(due) - func.now())).where(table.what == what))
    return None if seconds is None else float(seconds)


def _over() -> ColumnElement[bool]:
    return bay_checks.c.lease_until < func.now()
