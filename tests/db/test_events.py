"""What a watched bay's news cost the database, and which lines of its history are told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest

from shared.db.repositories import events
from shared.db.repositories.events import News, Seen
from tests.support.database import migrated_database

LONG = 2000
"""Operations and lines of history that a bay has behind it."""


class Counting:
    """A source that counts the rows that Postgres reads for an answer."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.visited = 0

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, Any]]:
        plan = json.loads(await self.connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *args))
        self.visited = _visited(plan[0]["Plan"])
        found: Sequence[Mapping[str, Any]] = await self.connection.fetch(query, *args)
        return found


def _visited(node: dict[str, Any]) -> int:
    here = 0
    if "Relation Name" in node:
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        here = int(read * node["Actual Loops"])
    return here + sum(map(_visited, node.get("Plans", ())))


@pytest.fixture
async def source() -> AsyncIterator[Counting]:
    """An empty database."""
    async with migrated_database() as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            yield Counting(connection)
        finally:
            await connection.close()


async def _bay(source: Counting, behind: int) -> UUID:
    """A bay at rest with so many operations and lines behind it."""
    bay, model, db = uuid4(), uuid4(), source.connection
    await db.execute(
        "INSERT INTO baymodels (id, project_id, user_id, name, coe, image_id) VALUES ($1, 'p', 'u', 'm', 'k', 'i')",
        model,
    )
    await db.execute(
        "INSERT INTO bays (id, project_id, user_id, name, baymodel_id, driver, status, stack_name, node_count, "
        "master_count) VALUES ($1, 'p', 'u', 'b', $2, 'd', 'UPDATE_COMPLETE', 's', 1, 1)",
        bay,
        model,
    )
    await db.execute(
        "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by, finished_at) "
        "SELECT gen_random_uuid(), $1, 'resize', 'done', 'provisioner', 'resize.collect', '{}', 'u', now() "
        "FROM generate_series(1, $2)",
        bay,
        behind,
    )
    await db.execute(
        "INSERT INTO bay_history (bay_id, event, was, became, at) "
        "SELECT $1, 'updated', 'UPDATE_IN_PROGRESS', 'UPDATE_COMPLETE', now() + number * interval '1 s' "
        "FROM generate_series(1, $2) number",
        bay,
        behind,
    )
    await db.execute("ANALYZE")
    return bay


async def _line(source: Counting, bay: UUID, event: str, at: str) -> int:
    number: int = await source.connection.fetchval(
        "INSERT INTO bay_history (bay_id, event, was, became, at) VALUES ($1, $2, 'A', 'B', $3::text::timestamptz) "
        "RETURNING seq",
        bay,
        event,
        at,
    )
    return number


def _seen(news: News) -> Seen:
    live = {told.id: told.digest for told in news.operations if told.live}
    return Seen(news.lines[-1].seq, max(told.seq for told in news.operations), live)


async def test_whoever_has_seen_nothing_gets_the_last_line_and_the_newest_operation(source: Counting) -> None:
    bay = await _bay(source, 3)
    news = (await events.look(source, {bay: Seen()}))[bay]
    newest = await source.connection.fetchval("SELECT max(seq) FROM operations")
    assert [told.seq for told in news.operations] == [newest]
    assert len(news.lines) == 1
    assert not news.gone


async def test_a_look_reads_news_and_not_what_lies_behind(source: Counting) -> None:
    bay, other = await _bay(source, LONG), await _bay(source, 10)
    seen = {one: _seen(news) for one, news in (await events.look(source, {bay: Seen(), other: Seen()})).items()}
    assert await events.look(source, seen) == {}
    assert source.visited < 50

    await source.connection.execute(
        "INSERT INTO operations (id, bay_id, kind, state, service, step, request, requested_by) "
        "VALUES (gen_random_uuid(), $1, 'resize', 'active', 'scaler', 'resize.plan', '{}', 'u')",
        bay,
    )
    number = await _line(source, bay, "update asked", "2126-01-01")
    news = await events.look(source, seen)
    assert source.visited < 50
    assert list(news) == [bay]
    assert [told.live for told in news[bay].operations] == [True]
    assert [line.seq for line in news[bay].lines] == [number]


async def test_the_end_of_a_known_operation_is_news(source: Counting) -> None:
    bay = await _bay(source, 3)
    await source.connection.execute(
        "UPDATE operations SET state = 'queued', finished_at = NULL WHERE seq = (SELECT min(seq) FROM operations)"
    )
    first = (await events.look(source, {bay: Seen()}))[bay]
    assert sorted(told.live for told in first.operations) == [False, True]
    await source.connection.execute("UPDATE operations SET state = 'cancelled' WHERE state = 'queued'")
    news = await events.look(source, {bay: _seen(first)})
    assert [told.live for told in news[bay].operations] == [False]


async def test_an_end_that_nobody_could_see_is_not_told_wherever_one_begins_to_look(source: Counting) -> None:
    bay = await _bay(source, 1)
    before = _seen((await events.look(source, {bay: Seen()}))[bay])
    assert before.history is not None
    passing = await _line(source, bay, "updated", "2126-01-01")
    asked = await _line(source, bay, "update asked", "2126-01-01")
    ended = await _line(source, bay, "updated", "2126-01-02")
    shown = [asked, ended]
    assert [line.seq for line in (await events.look(source, {bay: before}))[bay].lines] == shown
    assert [line.seq for line in await events.lines(source, bay, after=before.history, upto=ended)] == shown
    assert await events.lines(source, bay, after=before.history, upto=passing) == []
    assert [line.seq for line in await events.lines(source, bay, after=asked, upto=ended)] == [ended]
