"""The database roles: one a service, and `jb_migrate`, who owns every table.

A role is made once a server; what it may do in a database is in that database's migrations.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

OWNER = "jb_migrate"
SERVICE_ROLES = ("jb_api", "jb_provisioner", "jb_certs", "jb_scaler")


async def ensure_roles(conn: AsyncConnection, passwords: Mapping[str, str]) -> None:
    """Make the roles that are missing and set the passwords that are given, by role name.

    Two migrations at once on one server may both miss a role and both make it; the loser finds it there, so the
    duplicate is no error. Passwords go through Postgres's own quoting, never into the statement by hand.
    """
    for role in (OWNER, *SERVICE_ROLES):
        await conn.execute(text(_CREATE.format(role=role)))
        if password := passwords.get(role):
            quoted = await conn.scalar(text("SELECT quote_literal(:password)"), {"password": password})
            await conn.exec_driver_sql(f"ALTER ROLE {role} LOGIN PASSWORD {quoted}")
    database = await conn.scalar(text("SELECT quote_ident(current_database())"))
    await conn.execute(text(f"GRANT CREATE, CONNECT, TEMPORARY ON DATABASE {database} TO {OWNER}"))
    await conn.execute(text(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}"))


_CREATE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} LOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
