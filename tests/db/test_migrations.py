"""The migrations make what tables.py says, can be repeated, and two at once follow one another."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]

from shared.db.migrate import check, current, upgrade
from tests.support.database import as_role, migrated_database
from tests.support.servers import fresh_database, postgres_url


async def test_migrations_and_tables_agree() -> None:
    async with migrated_database() as dsn:
        await asyncio.to_thread(check, dsn)
        found, newest = await asyncio.to_thread(current, dsn)
        assert found == newest


async def test_two_migrations_at_once_and_a_third_do_no_harm() -> None:
    postgres_url()
    async with fresh_database() as dsn:
        assert (await asyncio.to_thread(current, dsn))[0] is None
        await asyncio.gather(asyncio.to_thread(upgrade, dsn), asyncio.to_thread(upgrade, dsn))
        await asyncio.to_thread(upgrade, dsn)
        found, newest = await asyncio.to_thread(current, dsn)
        assert found == newest


async def test_rows_of_the_first_release_get_what_the_second_brings() -> None:
    postgres_url()
    async with fresh_database() as dsn:
        await asyncio.to_thread(upgrade, dsn, to="0001")
        bay = await _a_bay(dsn)
        await asyncio.to_thread(upgrade, dsn)
        connection = await asyncpg.connect(dsn)
        try:
            row = await connection.fetchrow("SELECT * FROM bays WHERE id = $1", bay)
            groups = await connection.fetch("SELECT name, role, is_default FROM nodegroups ORDER BY seq")
            template = await connection.fetchval("SELECT doc_template FROM baymodels")
        finally:
            await connection.close()
    cluster = json.loads(row["doc_cluster"].replace("\x01", "http://here").replace("\x02", "stack_id"))
    assert (cluster["uuid"], cluster["keypair"], cluster["stack_id"]) == (str(bay), "mine", "s-1")
    assert cluster["links"][0]["href"] == f"http://here/v1/clusters/{bay}"
    assert list(cluster).index("faults") == len(cluster) - 1
    assert [tuple(group) for group in groups] == [
        ("default-master", "master", True),
        ("default-worker", "worker", True),
    ]
    shown = json.loads(template.replace("\x01", ""))
    assert (shown["labels"], shown["driver"], shown["project_id"]) == ({}, "", "p")


async def test_a_gateway_of_the_first_release_makes_whole_bays_in_the_second_schema() -> None:
    async with migrated_database() as dsn:
        bay = await _a_bay(as_role(dsn, "jb_api"))
        connection = await asyncpg.connect(dsn)
        try:
            groups = await connection.fetch("SELECT bay_id, name, role, min_node_count FROM nodegroups ORDER BY seq")
        finally:
            await connection.close()
    assert [tuple(group) for group in groups] == [
        (bay, "default-master", "master", 1),
        (bay, "default-worker", "worker", 0),
    ]


async def _a_bay(dsn: str) -> object:
    model, bay = uuid4(), uuid4()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO baymodels (id, project_id, user_id, name, coe, image_id, attributes) "
            """VALUES ($1, 'p', 'u', 'm', 'kubernetes', 'i', '{"labels": null}')""",
            model,
        )
        await connection.execute(
            "INSERT INTO bays (id, project_id, user_id, name, baymodel_id, driver, status, stack_name, stack_id, "
            "node_count, master_count, spec) VALUES "
            """($1, 'p', 'u', 'b', $2, 'd', 'CREATE_FAILED', 'n', 's-1', 1, 1, '{"keypair_name": "mine"}')""",
            bay,
            model,
        )
    finally:
        await connection.close()
    return bay
