"""Lists and shows from the JSON text that each row keeps (a trigger writes it: migrations/sql/0001_documents.sql).

The hot path: one query through asyncpg itself, because SQLAlchemy's rows would cost more than the query (libraries §6).
The source is a `Reader`, or inside a transaction what `within` gives.
Pages are keyset pages: a marker is a row, and the page begins behind it in the order asked for; `seq` decides between
equals, so that no row is shown twice or missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.reader import Source

PLACEHOLDER: Final = "\x01"
"""Stands for the base URL in every stored document; JSON never holds it raw."""


class Document(NamedTuple):
    """A row's id and its JSON text, with `PLACEHOLDER` where the base URL belongs."""

    id: UUID
    text: str


@dataclass(frozen=True)
class Shelf:
    """A table with documents. `visible` is the condition on a project's view, with $1 the project."""

    table: str
    visible: str
    sort_keys: Mapping[str, str]
    """Sort key of the API → SQL, never null."""


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for; `sort_key` is one of the shelf's."""

    limit: int
    marker: UUID | None = None
    sort_key: str = "id"
    descending: bool = False


def _words(*names: str) -> dict[str, str]:
    return {name: f"coalesce({name}, '')" for name in names}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_MOMENTS: Final = {
    "created_at": "created_at",
    "updated_at": "coalesce(updated_at, '-infinity')",
}

BAYS: Final = Shelf(
    "bays",
    "project_id = $1",
    {
        "id": "seq",
        "uuid": "id",
        "bay_create_timeout": "create_timeout",
        **_same("name", "baymodel_id", "node_count", "master_count", "status", "project_id", "user_id"),
        **_words("status_reason", "stack_id", "api_address", "discovery_url", "coe_version", "container_version"),
        **_MOMENTS,
    },
)

BAYMODELS: Final = Shelf(
    "baymodels",
    "(project_id = $1 OR (public AND NOT hidden))",
    {
        "id": "seq",
        "uuid": "id",
        **_same("name", "coe", "image_id", "public", "hidden", "project_id", "user_id"),
        **_MOMENTS,
    },
)


async def within(conn: AsyncConnection) -> Source:
    """asyncpg's own connection under `conn`, which sees what the transaction of `conn` has written."""
    raw = (await conn.get_raw_connection()).driver_connection
    assert raw is not None  # noqa: S101 - a checked-out connection has its driver's
    return cast("Source", raw)


async def page(
    source: Source, shelf: Shelf, project_id: str | None, asked: Page, *, column: str = "doc"
) -> list[Document]:
    """The documents of a page; `project_id` None = every project's (an administrator)."""
    key, sign, order = shelf.sort_keys[asked.sort_key], *(("<", "DESC") if asked.descending else (">", "ASC"))
    arguments: list[object] = [] if project_id is None else [project_id]
    where = ["true"] if project_id is None else [shelf.visible]
    if asked.marker is not None:
        arguments.append(asked.marker)
        where.append(
            f"({key}, seq) {sign} (SELECT {key}, seq FROM {shelf.table} WHERE id = ${len(arguments)})"  # noqa: S608
        )
    sql = (
        f"SELECT id, {column} FROM {shelf.table} WHERE {' AND '.join(where)} "  # noqa: S608 - our own words
        f"ORDER BY {key} {order}, seq {order} LIMIT {asked.limit:d}"
    )
    return await _fetch(source, sql, *arguments)


async def by_id(source: Source, shelf: Shelf, project_id: str | None, row_id: UUID) -> Document | None:
    """The document of that id, None when there is none in the project's view."""
    found = await _fetch(source, *_find(shelf, project_id, "id", row_id))
    return found[0] if found else None


async def by_name(source: Source, shelf: Shelf, project_id: str | None, name: str) -> list[Document]:
    """The documents of that name, two at most: more than one is too many anyway."""
    return await _fetch(source, *_find(shelf, project_id, "name", name))


def _find(shelf: Shelf, project_id: str | None, column: str, value: object) -> tuple[str, *tuple[object, ...]]:
    if project_id is None:
        return f"SELECT id, doc FROM {shelf.table} WHERE {column} = $1 LIMIT 2", value  # noqa: S608
    sql = f"SELECT id, doc FROM {shelf.table} WHERE {shelf.visible} AND {column} = $2 LIMIT 2"  # noqa: S608
    return sql, project_id, value


async def _fetch(source: Source, sql: str, *arguments: object) -> list[Document]:
    return [Document(row[0], row[1]) for row in await source.fetch(sql, *arguments)]
