"""The migrations make what tables.py says, can be repeated, and two at once follow one another."""

from __future__ import annotations

import asyncio

from shared.db.migrate import check, current, upgrade
from tests.support.database import migrated_database
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
