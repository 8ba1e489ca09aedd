"""Real servers for the tests, one of each per test process, started on first use and ended with the process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from shared.runtime.postgres import EmbeddedPostgres
from tests.support.rabbit import NotAvailable, Rabbit, start_rabbit

__all__ = [
    "NotAvailable",
    "Rabbit",
    "database_url",
    "fresh_database",
    "postgres_url",
    "rabbitmq",
    "rabbitmq_or_skip",
    "rabbitmq_url",
]


@cache
def postgres_url() -> str:
    """A superuser's DSN: `DATABASE_URL` if set, else a private server (system programs, else the wheel's)."""
    given = os.environ.get("DATABASE_URL")
    if given:
        return given
    home = Path(tempfile.mkdtemp(prefix="jeroboam-pg-"))
    server = EmbeddedPostgres(home / "data", durable=False)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    atexit.register(server.stop)  # runs before the line above
    return server.start()


def database_url(name: str, role: str | None = None) -> str:
    """The DSN of another database on the same server, as `role` if given."""
    parts = urlsplit(postgres_url())
    _, _, host = parts.netloc.rpartition("@")
    netloc = parts.netloc if role is None else f"{role}@{host}"
    return urlunsplit((parts.scheme, netloc, f"/{name}", parts.query, ""))


@asynccontextmanager
async def fresh_database(template: str = "template1") -> AsyncIterator[str]:
    """A database of its own, copied from `template` and dropped afterwards; yields its superuser DSN."""
    name = f"t_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(postgres_url())
    try:
        await admin.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        yield database_url(name)
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


@cache
def rabbitmq() -> Rabbit:
    """The tests' broker; `kill()` and `restart()` it for fault tests.

    Raises:
        NotAvailable: there is none, with the four ways to have one.
    """
    broker = start_rabbit()
    atexit.register(broker.stop)
    return broker


def rabbitmq_url() -> str:
    """The AMQP URL of `rabbitmq()`."""
    return rabbitmq().url


def rabbitmq_or_skip(suite: str) -> str:
    """The AMQP URL, or the test is skipped with a reason that `make test` repeats in its last lines."""
    url, reason = _rabbitmq_or_reason()
    if url is None:
        pytest.skip(f"NOT RUN: {suite} on RabbitMQ ({reason})")
    return url


@cache
def _rabbitmq_or_reason() -> tuple[str | None, str]:
    """Tried once a process: an installation that failed is not tried again for each test."""
    try:
        return rabbitmq_url(), ""
    except NotAvailable as error:
        return None, str(error)
