"""Bring a database to the newest schema, or tell where it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared.db.engine import async_url
from shared.db.roles import OWNER, ensure_roles

_LOCK = 0x6A65726F
"""Advisory lock: two migrations of one database follow one another."""


def upgrade(dsn: str, passwords: Mapping[str, str] | None = None, *, to: str = "head") -> None:
    """Make the roles and run every migration that is missing up to revision `to`, in one transaction.

    `dsn` is an administrator's (CREATEROLE and the right to grant on the database); `passwords` by role name are set
    when given. Safe to repeat and to run twice at once.
    """
    asyncio.run(_run(dsn, lambda config: command.upgrade(config, to), passwords or {}))


def check(dsn: str) -> None:
    """Raise alembic's error when tables.py and the database differ."""
    asyncio.run(_run(dsn, command.check, {}))


def current(dsn: str) -> tuple[str | None, str | None]:
    """The database's revision and the newest that this code knows."""
    return asyncio.run(_current(dsn))


async def _run(dsn: str, action: Callable[[Config], None], passwords: Mapping[str, str]) -> None:
    engine = create_async_engine(async_url(dsn), poolclass=NullPool)
    try:
        async with engine.begin() as conn:
            await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await ensure_roles(conn, passwords)
            await conn.execute(text(f"SET LOCAL ROLE {OWNER}"))
            await conn.run_sync(lambda sync: action(_config(sync)))
    finally:
        await engine.dispose()


async def _current(dsn: str) -> tuple[str | None, str | None]:
    engine = create_async_engine(async_url(dsn), poolclass=NullPool)
    try:
        async with engine.connect() as conn:
            return await revision(conn), newest()
    finally:
        await engine.dispose()


async def revision(conn: AsyncConnection) -> str | None:
    """The database's revision; None when it is empty."""
    return await conn.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def newest() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
