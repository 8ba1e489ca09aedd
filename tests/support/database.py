"""A migrated database for each test: copied from a template that one real migration made in this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]

from shared.db.migrate import upgrade
from tests.support.servers import database_url, fresh_database, postgres_url


@cache
def migrated_template() -> str:
    """The name of a database with the newest schema, made once a process. Call it outside a running loop."""
    name = f"jb_template_{os.getpid()}"
    asyncio.run(_create(name))
    upgrade(database_url(name))
    return name


@asynccontextmanager
async def migrated_database() -> AsyncIterator[str]:
    """A fresh database with the newest schema; yields the administrator's DSN."""
    postgres_url()  # started here, because a server ends with the thread that started it
    template = await asyncio.to_thread(migrated_template)
    async with fresh_database(template) as dsn:
        yield dsn


def as_role(dsn: str, role: str) -> str:
    """The same database seen by one of our roles."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{role}@{host}", parts.path, parts.query, ""))


async def _create(name: str) -> None:
    admin = await asyncpg.connect(postgres_url())
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name}")
    finally:
        await admin.close()
