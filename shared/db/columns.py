"""What every table is made with: the one metadata, and columns that many tables have."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, ForeignKey, MetaData, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()

now = func.now()


def id_column() -> Column[object]:
    """A uuid that we draw ourselves."""
    return Column("id", UUID(as_uuid=True), primary_key=True)


def created() -> Column[object]:
    """When the row was written."""
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=now)


def bay_column(*, primary_key: bool = False) -> Column[object]:
    """The bay that the row goes with."""
    reference = ForeignKey("bays.id", ondelete="CASCADE")
    return Column("bay_id", UUID(as_uuid=True), reference, nullable=False, primary_key=primary_key)


def json_column(name: str, default: str = "{}") -> Column[object]:
    """JSON, never null."""
    return Column(name, JSONB, nullable=False, server_default=text(f"'{default}'"))
