"""Engines: how a service connects, as which role, with how many connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_NOTIFY: Final = "jeroboam_notify"
_LONGEST: Final = 60.0
"""Seconds for a statement, its wait for locks included. Migrations have an engine of their own, without a limit."""
_SESSION: Final = {
    "application_name": "jeroboam",
    "jit": "off",
    # A host that loses its power says no goodbye, and what its transactions hold stays held. The longest that we leave
    # idle is the relay's, 5 s for the broker.
    "idle_in_transaction_session_timeout": "30s",
    # The server looks after a silent client and gives it up a minute later; without this after two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}


@dataclass(frozen=True, slots=True)
class NotifyAs:
    """Changes of bays are told as notifications: by which service, whose relay sends them, and on which host."""

    service: str
    host: str


def async_url(dsn: str) -> URL:
    """`postgresql://…` as SQLAlchemy's asyncpg dialect wants it.

    `?host=/directory` (a Unix socket) becomes asyncpg's `host` argument; other query keys are passed on.
    """
    return make_url(dsn).set(drivername="postgresql+asyncpg")


def make_engine(dsn: str, *, pool_size: int, notify: NotifyAs | None = None, longest: float = _LONGEST) -> AsyncEngine:
    """An engine with `pool_size` connections and no overflow.

    A worker's handlers must never wait for a second connection while holding one (libraries §2.8), so the pool is at
    least as large as the worker's concurrency, and repositories take the caller's connection.
    With `notify`, every change of a bay's status through this engine is also written down as a notification.
    A statement raises TimeoutError after `longest` seconds, so that a connection that has died unseen is given up.
    """
    return create_async_engine(
        async_url(dsn),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # an error of a statement must not carry what it was given
        connect_args={"server_settings": _SESSION, "command_timeout": longest},
        execution_options={_NOTIFY: notify},
    )


def notify_as(conn: AsyncConnection) -> NotifyAs | None:
    """As whom changes through this connection are told; None: they are not."""
    found: NotifyAs | None = conn.engine.get_execution_options().get(_NOTIFY)
    return found
