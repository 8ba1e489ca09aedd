"""Connections for reading alone: asyncpg itself, without transactions, pings and resets around each query.

A list of stored texts costs one round trip this way instead of five (libraries §6). A connection that broke while it
was idle is noticed when it is used; reading again is harmless, so the query is then asked once more on another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import asyncpg  # type: ignore[import-untyped]

_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError, ConnectionError)
_PATIENCE = 10.0


class Source(Protocol):
    """Anything that answers a query with rows: a reader, or asyncpg's connection of a transaction."""

    async def fetch(self, query: str, /, *arguments: object) -> Sequence[Any]:
        """The rows."""


class Reader:
    """A pool of at most `size` connections, made as they are needed."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, *, size: int) -> Self:
        """A reader; nothing is connected yet."""
        settings = {"application_name": "jeroboam-reader", "jit": "off", "default_transaction_read_only": "on"}
        pool = await asyncpg.create_pool(
            dsn, min_size=0, max_size=size, reset=_keep, server_settings=settings, timeout=_PATIENCE
        )
        return cls(pool)

    async def fetch(self, query: str, /, *arguments: object) -> Sequence[Any]:
        """The rows. Raises asyncpg's errors, OSError and TimeoutError (see `shared.db.health.is_away`)."""
        try:
            return await self._once(query, arguments)
        except _LOST:
            return await self._once(query, arguments)

    async def close(self) -> None:
        """Close the connections, however busy."""
        self._pool.terminate()

    async def _once(self, query: str, arguments: Sequence[object]) -> Sequence[Any]:
        async with self._pool.acquire(timeout=_PATIENCE) as connection:
            rows: Sequence[Any] = await connection.fetch(query, *arguments, timeout=_PATIENCE)
            return rows


async def _keep(_connection: object) -> None:
    """A query leaves nothing behind that a reset would clear."""
