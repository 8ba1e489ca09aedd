"""Which worker processes live: each says so now and then, and who has not for a while is taken for dead.

Only Postgres's clock counts, for the saying as for the asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, case, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import services

DOWN_AFTER: Final = 180.0
"""Seconds of silence after which a worker counts as dead, before the time scale (contract §1.16)."""


@dataclass(frozen=True)
class WorkerState:
    """A worker and its state now; the instants are as clients see them."""

    id: int
    host: str
    binary: str
    state: str
    disabled: bool
    disabled_reason: str | None
    created_at: str
    updated_at: str | None
    report_count: int
    last_seen_up: str
    forced_down: bool


async def beat(conn: AsyncConnection, *, host: str, binary: str) -> None:
    """The worker lives. Replicas of one service on one host share a row."""
    again = {"report_count": services.c.report_count + 1, "last_seen_up": func.now(), "updated_at": func.now()}
    await conn.execute(
        insert(services)
        .values(host=host, binary=binary)
        .on_conflict_do_update(constraint="services_one_per_host", set_=again)
    )


async def states(conn: AsyncConnection, *, down_after: float) -> list[WorkerState]:
    """All workers that have ever said so, oldest first; down after `down_after` seconds of silence."""
    heard = services.c.last_seen_up >= func.now() - func.make_interval(0, 0, 0, 0, 0, 0, down_after)
    query = select(
        services.c.id,
        services.c.host,
        services.c.binary,
        case((and_(heard, ~services.c.forced_down), "up"), else_="down"),
        services.c.disabled,
        services.c.disabled_reason,
        func.moment(services.c.created_at),
        func.moment(services.c.updated_at),
        services.c.report_count,
        func.moment(services.c.last_seen_up),
        services.c.forced_down,
    )
    return [WorkerState(*row) for row in await conn.execute(query.order_by(services.c.id))]
