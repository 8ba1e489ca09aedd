"""Table ownership: every service's role tries every verb on every table, and may do what is written here, no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg  # type: ignore[import-untyped]
import pytest

from shared.db.roles import SERVICE_ROLES
from shared.db.tables import metadata
from tests.support.database import as_role, migrated_database

TABLES = sorted([*metadata.tables, "bus_messages"])
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")

# table → role → verbs; "u" and "s" are rights on some columns only. The grants of the first migration in other words,
# on purpose: a grant that nobody meant to give fails here.
MAY: dict[str, dict[str, str]] = {
    "attestations": {"jb_api": "sI", "jb_provisioner": "SuD", "jb_certs": "su"},
    "authorities": {"jb_api": "S", "jb_provisioner": "S", "jb_certs": "SIUD", "jb_scaler": "S"},
    "authority_keys": {"jb_certs": "SIUD"},
    "authority_rotations": {"jb_api": "Su", "jb_provisioner": "S", "jb_certs": "SIUD", "jb_scaler": "S"},
    "bay_checks": {"jb_scaler": "SIUD"},
    "bay_history": dict.fromkeys(SERVICE_ROLES, "SI"),
    "baymodels": {"jb_api": "SIUD", "jb_provisioner": "S", "jb_certs": "S", "jb_scaler": "S"},
    "bays": {"jb_api": "SIu", "jb_provisioner": "SuD", "jb_certs": "Su", "jb_scaler": "Su"},
    "bus_messages": dict.fromkeys(SERVICE_ROLES, "SIUD"),
    "certificate_audit": {"jb_api": "I", "jb_provisioner": "I", "jb_certs": "SI"},
    "certificates": {"jb_api": "S", "jb_provisioner": "s", "jb_certs": "SIUD", "jb_scaler": "S"},
    "cloud_credentials": {"jb_api": "sIuD", "jb_provisioner": "SUD"},
    "dead_letters": {"jb_api": "SIuD", "jb_provisioner": "I", "jb_certs": "I", "jb_scaler": "I"},
    "drained_nodes": {"jb_api": "S", "jb_provisioner": "S", "jb_scaler": "SIUD"},
    "node_credentials": {"jb_api": "S", "jb_provisioner": "SIUD"},
    "node_health": {"jb_api": "S", "jb_provisioner": "S", "jb_scaler": "SIUD"},
    "node_pools": {"jb_api": "SI", "jb_provisioner": "SIUD", "jb_certs": "S", "jb_scaler": "S"},
    "node_reports": {"jb_api": "SIU", "jb_provisioner": "S", "jb_certs": "S", "jb_scaler": "S"},
    "nodegroups": {"jb_api": "SIUD", "jb_provisioner": "SuD", "jb_certs": "S", "jb_scaler": "Su"},
    "nodes": {"jb_api": "S", "jb_provisioner": "SIUD", "jb_certs": "S", "jb_scaler": "S"},
    "operation_steps": {"jb_api": "SIu", "jb_provisioner": "Su", "jb_certs": "Su", "jb_scaler": "SIu"},
    "operations": {"jb_api": "SIu", "jb_provisioner": "Su", "jb_certs": "Su", "jb_scaler": "SIu"},
    "outbox": dict.fromkeys(SERVICE_ROLES, "SIUD"),
    "quotas": {"jb_api": "SIUD", "jb_provisioner": "S"},
    "rotation_turns": {"jb_api": "S", "jb_certs": "SIUD"},
    "scaling_decisions": {"jb_api": "S", "jb_scaler": "SID"},
    "scaling_policies": {"jb_api": "SIUD", "jb_provisioner": "S", "jb_certs": "S", "jb_scaler": "S"},
    "services": {"jb_api": "S", "jb_provisioner": "SIu", "jb_certs": "SIu", "jb_scaler": "SIu"},
    "sign_requests": {"jb_api": "SI", "jb_certs": "SIUD", "jb_scaler": "SI"},
    "stack_renders": {"jb_api": "s", "jb_provisioner": "SI", "jb_certs": "s", "jb_scaler": "s"},
    "tombstones": {"jb_provisioner": "SID"},
}

# What a partial right must not cover.
FORBIDDEN_COLUMNS = {
    ("jb_provisioner", "UPDATE", "bays"): {"id", "project_id", "wanted", "forced", "driver"},
    ("jb_certs", "UPDATE", "bays"): {"wanted", "forced", "node_count", "stack_id", "spec"},
    ("jb_scaler", "UPDATE", "bays"): {"wanted", "forced", "master_count", "stack_id", "spec"},
    ("jb_scaler", "UPDATE", "nodegroups"): {"id", "bay_id", "name", "min_node_count", "max_node_count", "wanted"},
    **{
        (role, "UPDATE", "operations"): {
            "id",
            "bay_id",
            "deadline",
            "kind",
            "request",
            "requested_by",
            "seq",
            "warnings",
        }
        for role in SERVICE_ROLES
    },
    ("jb_api", "UPDATE", "operations"): {"bay_id", "kind", "lease_token", "memo", "request", "warnings"},
    ("jb_provisioner", "UPDATE", "services"): {"id", "host", "disabled", "forced_down"},
    ("jb_api", "INSERT", "attestations"): {"state", "proven", "reason", "node_name", "shared", "finished_at"},
    ("jb_api", "SELECT", "attestations"): {"secret"},
    ("jb_certs", "SELECT", "attestations"): {"secret"},
    ("jb_certs", "UPDATE", "attestations"): {"bay_id", "server_id", "role", "csr", "csr_digest", "proven", "node_name"},
    ("jb_provisioner", "UPDATE", "attestations"): {"bay_id", "server_id", "role", "csr", "csr_digest", "shared"},
    ("jb_api", "UPDATE", "bays"): {"id", "project_id", "stack_id", "stack_seen", "spec", "api_address", "generation"},
    ("jb_api", "UPDATE", "dead_letters"): {"id", "service", "queue", "name", "body", "headers", "reason"},
    ("jb_api", "UPDATE", "authority_rotations"): {"bay_id", "generation", "previous", "phase"},
    ("jb_api", "SELECT", "cloud_credentials"): {"sealed"},
    ("jb_api", "SELECT", "stack_renders"): {"parameters", "files", "environment"},
    ("jb_scaler", "SELECT", "stack_renders"): {"parameters", "files", "environment"},
}


def _statements(table: str, verb: str) -> str:
    return {
        "SELECT": f"SELECT * FROM {table} LIMIT 0",
        "INSERT": f"INSERT INTO {table} DEFAULT VALUES",
        "UPDATE": f"UPDATE {table} SET {_columns(table)[0]} = DEFAULT WHERE false",
        "DELETE": f"DELETE FROM {table} WHERE false",
    }[verb]


def _columns(table: str) -> list[str]:
    return [column.name for column in metadata.tables[table].columns] if table in metadata.tables else ["seq"]


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """One migrated database for all of these."""
    with asyncio.Runner() as runner:
        database = migrated_database()
        yield runner.run(database.__aenter__())
        runner.run(database.__aexit__(None, None, None))


def test_every_table_is_in_the_matrix() -> None:
    assert sorted(MAY) == TABLES


@pytest.mark.parametrize("role", SERVICE_ROLES)
async def test_a_role_may_do_what_is_written_and_no_more(dsn: str, role: str) -> None:
    connection = await asyncpg.connect(as_role(dsn, role))
    try:
        for table in TABLES:
            for verb in VERBS:
                expected = verb[0] in MAY[table].get(role, "")
                assert await _allowed(connection, _statements(table, verb)) == expected, f"{role} {verb} {table}"
    finally:
        await connection.close()


@pytest.mark.parametrize(("role", "verb", "table"), list(FORBIDDEN_COLUMNS))
async def test_a_partial_right_leaves_these_columns_out(dsn: str, role: str, verb: str, table: str) -> None:
    connection = await asyncpg.connect(as_role(dsn, role))
    try:
        for column in FORBIDDEN_COLUMNS[role, verb, table]:
            statement = {
                "SELECT": f"SELECT {column} FROM {table} LIMIT 0",
                "INSERT": f"INSERT INTO {table} ({column}) VALUES (DEFAULT)",
                "UPDATE": f"UPDATE {table} SET {column} = DEFAULT WHERE false",
            }[verb]
            assert not await _allowed(connection, statement), f"{role} {verb} {table}.{column}"
    finally:
        await connection.close()


@pytest.mark.parametrize("role", SERVICE_ROLES)
async def test_no_service_may_change_the_schema_or_become_another(dsn: str, role: str) -> None:
    connection = await asyncpg.connect(as_role(dsn, role))
    try:
        for statement in (
            "CREATE TABLE mine (id int)",
            "DROP TABLE bays",
            "ALTER TABLE bays ADD COLUMN x int",
            "TRUNCATE bays",
            "SET ROLE jb_migrate",
            "CREATE ROLE intruder",
        ):
            assert not await _allowed(connection, statement), f"{role}: {statement}"
    finally:
        await connection.close()


async def _allowed(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether Postgres lets it through its permission check; what it then says of the values does not matter."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.GeneratedAlwaysError):
        return True
    finally:
        await transaction.rollback()
    return True
