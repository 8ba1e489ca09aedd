"""Doing something in one process at a time, however many replicas there are, without a leader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


@asynccontextmanager
async def alone(engine: AsyncEngine, key: int) -> AsyncIterator[bool]:
    """True for the one process that holds the advisory lock `key` meanwhile, False for the others, who go on at once.

    The lock belongs to the session, so no transaction is open while the body works; a process that dies loses it.
    """
    async with engine.connect() as conn:
        mine = bool(await conn.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
        await conn.commit()
        try:
            yield mine
        finally:
            if mine:
                await conn.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
                await conn.commit()
