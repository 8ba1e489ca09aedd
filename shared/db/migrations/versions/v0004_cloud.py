"""Rotation of the nodes' cloud credentials, what a stack looked like when we left it, keys that lie in Barbican.

Revision ID: 0004
"""

from __future__ import annotations

from shared.db.migrations.script import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the frozen files of this revision."""
    run_sql("0004_cloud_tables.sql", "0004_cloud_grants.sql")
