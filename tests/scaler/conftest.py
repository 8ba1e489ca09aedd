"""A migrated database, and a small town of bays in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.db.engine import make_engine
from tests.scaler.town import Town
from tests.support.database import as_role, migrated_database


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    """Bays and operations in a database of their own."""
    async with migrated_database() as dsn:
        engine, own = make_engine(dsn, pool_size=5), make_engine(as_role(dsn, "jb_scaler"), pool_size=10)
        try:
            yield Town(dsn, engine, own)
        finally:
            await engine.dispose()
            await own.dispose()
