"""Whether the database answers, and whether an error means that it does not."""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

_AWAY: Final = ("08", "3D", "53", "57P", "55000")
"""SQLSTATEs: connection lost, no such database, no resources, shutting down or starting, not accepting connections."""


async def answers(engine: AsyncEngine, *, within: float = 2.0) -> bool:
    """Whether it answered `within` so many seconds, waiting for a free connection included."""
    try:
        async with asyncio.timeout(within), engine.connect() as conn:
            await conn.execute(text("SELECT 1"))
    except (SQLAlchemyError, asyncpg.PostgresError, OSError, TimeoutError):
        return False
    return True


def is_away(error: BaseException | None) -> bool:
    """Whether the error says that the database cannot be reached or has no connection left, rather than refuses."""
    match error:
        case DBAPIError():
            return error.connection_invalidated or is_away(error.orig) or is_away(error.__cause__)
        case asyncpg.PostgresError():
            return (error.sqlstate or "").startswith(_AWAY)
        case PoolTimeoutError() | asyncpg.InterfaceError() | OSError() | TimeoutError():
            return True
        case _:
            state = getattr(error, "sqlstate", None)
            return isinstance(state, str) and state.startswith(_AWAY)
