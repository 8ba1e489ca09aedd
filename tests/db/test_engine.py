"""What keeps one stuck transaction or connection from stopping everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from shared.db.engine import make_engine
from shared.db.locks import alone
from tests.support.servers import fresh_database


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    """A superuser's DSN of an empty database."""
    async with fresh_database() as opened:
        yield opened


async def test_a_transaction_of_a_host_that_is_gone_ends_by_itself(dsn: str) -> None:
    engine = make_engine(dsn, pool_size=1)
    async with engine.connect() as conn:
        rows = await conn.execute(text("SELECT name, reset_val FROM pg_settings WHERE source = 'client'"))
        limits = {row.name: row.reset_val for row in rows}
    await engine.dispose()

    assert limits["idle_in_transaction_session_timeout"] == "30000"
    assert "lock_timeout" not in limits
    assert {"tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"} <= set(limits)


async def test_a_statement_that_does_not_end_is_given_up_and_the_engine_works_on(dsn: str) -> None:
    engine = make_engine(dsn, pool_size=1, longest=0.2)
    async with asyncio.timeout(15):
        with pytest.raises(TimeoutError):
            async with engine.begin() as conn:
                await conn.execute(text("SELECT pg_sleep(60)"))
        async with engine.begin() as conn:
            assert await conn.scalar(text("SELECT 1")) == 1
    await engine.dispose()


async def test_who_holds_a_lock_of_the_session_is_in_no_transaction(dsn: str) -> None:
    engine = make_engine(dsn, pool_size=2)
    async with alone(engine, 7) as mine, engine.connect() as conn:
        states = text("SELECT state FROM pg_stat_activity WHERE pid IN (SELECT pid FROM pg_locks WHERE objid = 7)")
        assert mine
        assert list(await conn.scalars(states)) == ["idle"]
    await engine.dispose()
