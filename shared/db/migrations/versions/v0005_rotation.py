"""Rotation of a bay's certificate authorities.

Revision ID: 0005
"""

from __future__ import annotations

from shared.db.migrations.script import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the frozen files of this revision."""
    run_sql("0005_rotation_tables.sql", "0005_rotation_grants.sql")
