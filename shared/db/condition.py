"""How a database stands: reachable, of which revision, and with which rights of the services' roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared.db.engine import async_url
from shared.db.migrate import newest, revision
from shared.db.roles import OWNER, SERVICE_ROLES
from shared.domain.errors import JeroboamError

_HAS: Final = (
    ("jb_api", "bays", "INSERT"),
    ("jb_api", "outbox", "INSERT"),
    ("jb_provisioner", "stack_renders", "INSERT"),
    ("jb_provisioner", "nodes", "INSERT"),
    ("jb_certs", "authority_keys", "INSERT"),
    ("jb_certs", "certificates", "INSERT"),
    ("jb_scaler", "bays", "SELECT"),
)
_HAS_NOT: Final = tuple((role, "authority_keys", "SELECT") for role in SERVICE_ROLES if role != "jb_certs")
"""A sample of architecture.md's table; the tests try all of it."""


class Unreachable(JeroboamError):
    """The database did not answer or does not let us in; the message says why, without the address's password."""


@dataclass(frozen=True)
class Condition:
    """What was found. `wrong` holds one sentence for each role or right that is not as it should be."""

    user: str
    server: str
    revision: str | None
    newest: str | None
    wrong: tuple[str, ...]


async def condition_of(dsn: str) -> Condition:
    """Look at a database, as whoever `dsn` names. Raises Unreachable."""
    url = _readable(dsn)
    place = f"Postgres at {url.host or 'a local socket'}"
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    try:
        async with engine.connect() as conn:
            user = str(await conn.scalar(text("SELECT current_user")))
            server = str(await conn.scalar(text("SELECT split_part(current_setting('server_version'), ' ', 1)")))
            here = await revision(conn)
            wrong = await _wrong(conn) if here == newest() else []
            return Condition(user, server, here, newest(), tuple(wrong))
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise Unreachable(f"{place}: {type(error).__name__}: {error}") from None
    except DBAPIError as error:
        raise Unreachable(f"{place}: {error.orig}") from None
    except SQLAlchemyError as error:
        raise Unreachable(f"{place}: {type(error).__name__}") from None
    finally:
        await engine.dispose()


def _readable(dsn: str) -> URL:
    """The address. What cannot be read is not quoted: any part of it may be the password's."""
    try:
        url = async_url(dsn)
    except (SQLAlchemyError, ValueError):
        raise Unreachable(_NOT_A_URL) from None
    if "@" in f"{url.host}{url.database}":  # an "@" in the password: the rest of it stands for the host
        raise Unreachable(_NOT_A_URL)
    return url


_NOT_A_URL: Final = "JEROBOAM_DATABASE_URL is not a URL: percent-encode the password"


async def _wrong(conn: AsyncConnection) -> list[str]:
    there = set(await conn.scalars(text("SELECT rolname FROM pg_roles WHERE rolname LIKE 'jb\\_%'")))
    wrong = [f"there is no role {role}" for role in (OWNER, *SERVICE_ROLES) if role not in there]
    for rights, expected in ((_HAS, True), (_HAS_NOT, False)):
        for role, table, verb in rights:
            if role in there and await _may(conn, role, table, verb) is not expected:
                wrong.append(f"the role {role} {'lacks' if expected else 'has'} the right to {verb} on {table}")
    return wrong


async def _may(conn: AsyncConnection, role: str, table: str, verb: str) -> bool:
    """Whether the role has this right on the table, or on one of its columns."""
    query = text("SELECT has_table_privilege(:role, :table, :verb) OR has_any_column_privilege(:role, :table, :verb)")
    return bool(await conn.scalar(query, {"role": role, "table": table, "verb": verb}))
