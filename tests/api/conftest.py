"""One gateway for all tests of this folder; each test makes what it needs under names of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import asyncpg  # type: ignore[import-untyped]
import pytest

from shared.db.migrate import upgrade
from tests.api.harness import System, running
from tests.support.servers import database_url, postgres_url


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The running gateway."""
    name = f"api_{uuid.uuid4().hex}"
    asyncio.run(_admin(f"CREATE DATABASE {name}"))
    dsn = database_url(name)
    upgrade(dsn)
    try:
        with running(dsn, tmp_path_factory.mktemp("api")) as made:
            yield made
    finally:
        asyncio.run(_admin(f"DROP DATABASE {name} WITH (FORCE)"))


async def _admin(statement: str) -> None:
    connection = await asyncpg.connect(postgres_url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
