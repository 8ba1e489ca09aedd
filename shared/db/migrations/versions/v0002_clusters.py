"""Bays as clusters, nodegroups, quotas and the heartbeats of the workers.

Revision ID: 0002
"""

from __future__ import annotations

from shared.db.migrations.script import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the frozen files of this revision."""
    run_sql("0002_tables.sql", "0002_documents.sql", "0002_backfill.sql", "0002_grants.sql")
