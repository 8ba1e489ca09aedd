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

STACK_KEY: Final = "\x02"
"""Stands in a cluster's document for the key of its stack: `stack_id`, or from microversion 1.13 on `cluster_id`."""


class Document(NamedTuple):
    """A row's id and its JSON text, with `PLACEHOLDER` and `STACK_KEY` where they belong."""

    id: UUID
    text: str


@dataclass(frozen=True)
class Shelf:
    """A table with documents, under one of its names. `visible` is the condition on a project's view, with $1 it."""

    table: str
    visible: str
    sort_keys: Mapping[str, str]
    """Sort key of the API → SQL, never null."""
    whole: str = "doc"
    """The column with whole documents."""
    brief: str = "doc"
    """The column with an item of a list."""


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

_OF_BAYS: Final = {
    "id": "seq",
    "uuid": "id",
    **_same("name", "node_count", "master_count", "status", "project_id", "user_id"),
    **_words("status_reason", "stack_id", "api_address", "discovery_url", "coe_version", "container_version"),
    **_MOMENTS,
}

BAYS: Final = Shelf(
    "bays",
    "project_id = $1",
    {**_OF_BAYS, "baymodel_id": "baymodel_id", "bay_create_timeout": "create_timeout"},
    brief="doc_brief",
)

CLUSTERS: Final = Shelf(
    "bays",
    "project_id = $1",
    {
        **_OF_BAYS,
        "cluster_template_id": "baymodel_id",
        "cluster_id": "coalesce(stack_id, '')",
        **_same("create_timeout"),
        **_words("health_status"),
        "keypair": "coalesce(spec->>'keypair_name', '')",
        "flavor_id": "coalesce(spec->>'flavor_id', '')",
        "master_flavor_id": "coalesce(spec->>'master_flavor_id', '')",
        "docker_volume_size": "coalesce((spec->>'docker_volume_size')::int, 0)",
    },
    whole="doc_cluster",
    brief="doc_cluster_brief",
)

_PUBLISHED: Final = "(project_id = $1 OR (public AND NOT hidden))"
_OF_BAYMODELS: Final = {
    "id": "seq",
    "uuid": "id",
    **_same("name", "coe", "image_id", "public", "hidden", "project_id", "user_id"),
    **_MOMENTS,
}

BAYMODELS: Final = Shelf("baymodels", _PUBLISHED, _OF_BAYMODELS)

CLUSTERTEMPLATES: Final = Shelf("baymodels", _PUBLISHED, _OF_BAYMODELS, whole="doc_template", brief="doc_template")


async def within(conn: AsyncConnection) -> Source:
    """asyncpg's own connection under `conn`, which sees what the transaction of `conn` has written."""
    raw = (await conn.get_raw_connection()).driver_connection
    assert raw is not None  # noqa: S101 - a checked-out connection has its driver's
    return cast("Source", raw)


async def page(
    source: Source, shelf: Shelf, project_id: str | None, asked: Page, *, whole: bool = True
) -> list[Document]:
    """The documents of a page, whole or as items of a list; `project_id` None = every project's (an administrator)."""
    column = shelf.whole if whole else shelf.brief
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
    found = f"SELECT id, {shelf.whole} FROM {shelf.table} WHERE"  # noqa: S608 - our own words, here and below
    if project_id is None:
        return f"{found} {column} = $1 LIMIT 2", value
    return f"{found} {shelf.visible} AND {column} = $2 LIMIT 2", project_id, value


async def _fetch(source: Source, sql: str, *arguments: object) -> list[Document]:
    return [Document(row[0], row[1]) for row in await source.fetch(sql, *arguments)]
