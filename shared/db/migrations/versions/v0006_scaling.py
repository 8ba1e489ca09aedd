"""Scaling, healing and nodegroups of their own.

Revision ID: 0006
"""

from __future__ import annotations

from shared.db.migrations.script import run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the frozen files of this revision."""
    run_sql("0006_scaling_tables.sql", "0006_scaling_grants.sql")
