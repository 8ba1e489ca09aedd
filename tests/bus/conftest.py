"""The two carriers. Every test that asks for `world` runs on both."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.bus.world import PostgresWorld, RabbitWorld, World
from tests.support.database import migrated_database
from tests.support.servers import rabbitmq_or_skip


@pytest.fixture(params=["postgres", "rabbitmq"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One carrier under a prefix of its own."""
    if request.param == "rabbitmq":
        rabbit = RabbitWorld(rabbitmq_or_skip("bus"))
        yield rabbit
        await rabbit.close()
        return
    async with migrated_database() as url:
        postgres = PostgresWorld(url)
        yield postgres
        await postgres.close()


@pytest.fixture
async def rabbit() -> AsyncIterator[RabbitWorld]:
    """RabbitMQ alone, for what only it has."""
    made = RabbitWorld(rabbitmq_or_skip("bus"))
    yield made
    await made.close()
