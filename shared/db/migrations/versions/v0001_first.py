"""The first schema: tables, documents, the Postgres bus, and who may do what.

Revision ID: 0001
"""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

from shared.db import documents_sql
from shared.db.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Make everything; alembic has no later state to protect yet."""
    metadata.create_all(op.get_bind())
    _script(";\n".join(documents_sql.STATEMENTS))
    for name in ("0001_bus.sql", "0001_grants.sql"):
        _script((_SQL / name).read_text())


def _script(sql: str) -> None:
    """Several statements at once, which asyncpg takes only without arguments and outside a prepared statement."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - a live connection always has one
    await_only(driver.execute(sql))
