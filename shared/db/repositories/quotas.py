"""How much a project may have, and has, counted so that two requests at once cannot both take the last place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Row,
    delete,
    exists,
    func,
    literal,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays, nodegroups, quotas

_LOCK = "jeroboam:bays:"
BAYS: Final = "Cluster"
"""Magnum's word for the one resource that has a quota."""
LARGEST_ID: Final = 2**63 - 1

SORT_KEYS: Final = ("id", "project_id", "resource", "hard_limit", "created_at", "updated_at")

_COLUMNS = (
    quotas.c.id,
    quotas.c.project_id,
    quotas.c.resource,
    quotas.c.hard_limit,
    func.moment(quotas.c.created_at),
    func.moment(quotas.c.updated_at),
)


@dataclass(frozen=True)
class Quota:
    """A limit that an administrator has set; the instants are as clients see them."""

    id: int
    project_id: str
    resource: str
    hard_limit: int
    created_at: str
    updated_at: str | None


async def hold_project(conn: AsyncConnection, project_id: str) -> None:
    """Let nobody else count this project's bays through here until the transaction ends."""
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_LOCK + project_id, 0))))


async def count_bays(conn: AsyncConnection, project_id: str) -> int:
    """The project's bays; one counts until its row is gone."""
    counted = select(func.count()).select_from(bays).where(bays.c.project_id == project_id)
    return await conn.scalar(counted) or 0


async def limit_of(conn: AsyncConnection, project_id: str, *, default: int) -> int:
    """How many bays the project may have; `default` where nobody has set a limit."""
    found = await get(conn, project_id, BAYS)
    return default if found is None else found.hard_limit


async def totals(conn: AsyncConnection, project_id: str | None) -> tuple[int, int]:
    """Bays and their nodes, of all their groups and masters counted; `project_id` None = of the whole cloud."""
    mine = true() if project_id is None else bays.c.project_id == project_id
    others = select(func.sum(nodegroups.c.node_count)).where(nodegroups.c.bay_id == bays.c.id).scalar_subquery()
    nodes = func.coalesce(func.sum(bays.c.node_count + bays.c.master_count + func.coalesce(others, 0)), 0)
    row = (await conn.execute(select(func.count(), nodes).select_from(bays).where(mine))).one()
    return int(row[0]), int(row[1])


async def add(conn: AsyncConnection, project_id: str, resource: str, hard_limit: int) -> Quota | None:
    """Set a quota that is not set yet. None: it is; of two writers at once, one gets this answer."""
    made = (
        pg_insert(quotas)
        .values(project_id=project_id, resource=resource, hard_limit=hard_limit)
        .on_conflict_do_nothing(constraint="quotas_one_per_project")
        .returning(*_COLUMNS)
    )
    return _quota((await conn.execute(made)).first())


async def get(conn: AsyncConnection, project_id: str, resource: str) -> Quota | None:
    """The quota, None when nobody has set it."""
    return _quota((await conn.execute(select(*_COLUMNS).where(*_is(project_id, resource)))).first())


async def change(conn: AsyncConnection, project_id: str, resource: str, hard_limit: int) -> Quota | None:
    """Set another limit. None: there is no such quota."""
    changed = (
        update(quotas)
        .where(*_is(project_id, resource))
        .values(hard_limit=hard_limit, updated_at=func.now())
        .returning(*_COLUMNS)
    )
    return _quota((await conn.execute(changed)).first())


async def remove(conn: AsyncConnection, project_id: str, resource: str) -> bool:
    """Go back to the default. False: there is no such quota."""
    gone = await conn.execute(delete(quotas).where(*_is(project_id, resource)).returning(quotas.c.id))
    return gone.first() is not None


async def page(
    conn: AsyncConnection,
    project_id: str | None,
    *,
    limit: int,
    marker: int | None = None,
    sort_key: str = "id",
    descending: bool = False,
) -> list[Quota] | None:
    """A page of one project's quotas, or with None of everybody's. None: the marker is none of them."""
    mine = true() if project_id is None else quotas.c.project_id == project_id
    key = _key(quotas, sort_key)
    query = select(*_COLUMNS).where(mine)
    if marker is not None:
        that = quotas.c.id == marker
        if not await conn.scalar(select(exists().where(mine, that))):
            return None
        other = quotas.alias()
        its_key = select(_key(other, sort_key)).where(other.c.id == marker).scalar_subquery()
        here, last = tuple_(key, quotas.c.id), tuple_(its_key, literal(marker, BigInteger))
        query = query.where(here < last if descending else here > last)
    order = (key.desc(), quotas.c.id.desc()) if descending else (key.asc(), quotas.c.id.asc())
    return [Quota(*row) for row in await conn.execute(query.order_by(*order).limit(limit))]


def _is(project_id: str, resource: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return quotas.c.project_id == project_id, quotas.c.resource == resource


def _key(table: FromClause, name: str) -> ColumnElement[Any]:
    """What is sorted by, never null."""
    column: ColumnElement[Any] = table.c[name]
    return func.coalesce(column, literal_column("'-infinity'::timestamptz")) if name == "updated_at" else column


def _quota(row: Row[*tuple[Any, ...]] | None) -> Quota | None:
    return None if row is None else Quota(*row)
