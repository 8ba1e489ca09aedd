"""The first schema: tables, documents, the Postgres bus, and who may do what.

Revision ID: 0001
"""

from __future__ import annotations

from shared.db.migrations.script import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the frozen files of this revision; `alembic check` (a test) holds them against tables.py."""
    run_sql("0001_tables.sql", "0001_documents.sql", "0001_bus.sql", "0001_grants.sql")
