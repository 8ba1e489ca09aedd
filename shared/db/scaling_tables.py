"""The tables of scaling, health and pools of nodes. What is in them is told in the migration that made them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from shared.db.columns import bay_column, created, json_column, metadata, now

node_pools = Table(
    "node_pools",
    metadata,
    bay_column(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("nodegroup_id", UUID(as_uuid=True), ForeignKey("nodegroups.id", ondelete="CASCADE"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("stack_id", Text),
    created(),
    CheckConstraint("number > 0", name="node_pools_number"),
)
"""Nodes with stacks of their own beside the bay's first, by a number that is never used twice. Pool 0 has no row."""

scaling_policies = Table(
    "scaling_policies",
    metadata,
    bay_column(primary_key=True),
    json_column("policy"),
    created(),
    Column("updated_at", DateTime(timezone=True)),
)

scaling_decisions = Table(
    "scaling_decisions",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    bay_column(),
    Column("nodegroup", Text, nullable=False),
    Column("node_count", Integer, nullable=False),
    Column("desired", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    json_column("seen"),
    Column("operation_id", UUID(as_uuid=True)),
    Column("at", DateTime(timezone=True), nullable=False, server_default=now),
    Index("scaling_decisions_by_bay", "bay_id", "seq"),
)

bay_checks = Table(
    "bay_checks",
    metadata,
    bay_column(primary_key=True),
    Column("what", Text, primary_key=True),
    Column("next_at", DateTime(timezone=True), nullable=False, server_default=now),
    Column("every_seconds", Integer, nullable=False, server_default=text("60")),
    json_column("memo"),
    Column("lease_token", UUID(as_uuid=True)),
    Column("lease_until", DateTime(timezone=True)),
    CheckConstraint("what IN ('scale', 'health')", name="bay_checks_what"),
    Index("bay_checks_due", "what", "next_at"),
)
"""Looks at a bay that are due from time to time; claimed in batches."""

node_health = Table(
    "node_health",
    metadata,
    bay_column(primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("healthy", Boolean, nullable=False),
    Column("problem", Text),
    Column("silent", Boolean, nullable=False, server_default=text("false")),
    Column("since", DateTime(timezone=True), nullable=False, server_default=now),
    Column("heard_again_at", DateTime(timezone=True)),
    Index("node_health_ill", "bay_id", postgresql_where=text("NOT healthy")),
)
"""How each node is, as the scaler concludes; written when it changes."""

drained_nodes = Table(
    "drained_nodes",
    metadata,
    bay_column(primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("operation_id", UUID(as_uuid=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("closed_at", DateTime(timezone=True), nullable=False, server_default=now),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_at", DateTime(timezone=True), nullable=False, server_default=now),
    Column("lease_until", DateTime(timezone=True)),
    Index("drained_nodes_due", "next_at"),
)
"""Nodes that are closed for new work because an operation takes them away; written before they are closed."""
