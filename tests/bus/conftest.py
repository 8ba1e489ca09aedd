"""The two carriers. Every test that asks for `world` runs on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg  # type: ignore[import-untyped]
import pytest

from shared.bus.postgres_schema import DDL, GRANTS, ROLES
from tests.bus.world import PostgresWorld, RabbitWorld, World
from tests.support.servers import fresh_database, rabbitmq_url


async def prepare(url: str) -> None:
    """Make roles and table in a database, as the migrations do."""
    connection = await asyncpg.connect(url)
    try:
        for role in ROLES:
            with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                await connection.execute(f"CREATE ROLE {role} LOGIN")
        await connection.execute(DDL)
        await connection.execute(GRANTS)
    finally:
        await connection.close()


@pytest.fixture(params=["postgres", "rabbitmq"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One carrier under a prefix of its own."""
    if request.param == "rabbitmq":
        rabbit = RabbitWorld(rabbitmq_url())
        yield rabbit
        await rabbit.close()
        return
    async with fresh_database() as url:
        await prepare(url)
        postgres = PostgresWorld(url)
        yield postgres
        await postgres.close()


@pytest.fixture
async def rabbit() -> AsyncIterator[RabbitWorld]:
    """RabbitMQ alone, for what only it has."""
    made = RabbitWorld(rabbitmq_url())
    yield made
    await made.close()
