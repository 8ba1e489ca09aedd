"""Attestations of nodes, the sign requests that hang on them, and what nodes report.

Revision ID: 0003
"""

from __future__ import annotations

from shared.db.migrations.script import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the frozen files of this revision."""
    run_sql("0003_attest_tables.sql", "0003_attest_grants.sql")
