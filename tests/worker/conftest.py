"""A migrated database, and a small world of bays in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.db.engine import make_engine
from tests.support.database import migrated_database
from tests.worker.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Bays and operations in a database of their own."""
    async with migrated_database() as dsn:
        engine = make_engine(dsn, pool_size=10)
        try:
            yield World(dsn, engine)
        finally:
            await engine.dispose()
