"""Every table. Who may write what is in the first migration's grants; why is in docs/architecture.md.

Columns that hold Magnum's attributes keep Magnum's names. Instants are `timestamptz`; only Postgres's clock sets them.
"""

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
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from shared.db.certificate_tables import (
    attestations,
    authorities,
    authority_keys,
    authority_rotations,
    certificate_audit,
    certificates,
    rotation_turns,
    sign_requests,
)
from shared.db.columns import bay_column, created, id_column, json_column, metadata, now

__all__ = [
    "attestations",
    "authorities",
    "authority_keys",
    "authority_rotations",
    "bay_history",
    "baymodels",
    "bays",
    "certificate_audit",
    "certificates",
    "cloud_credentials",
    "dead_letters",
    "metadata",
    "node_reports",
    "nodegroups",
    "nodes",
    "operation_steps",
    "operations",
    "outbox",
    "quotas",
    "rotation_turns",
    "services",
    "sign_requests",
    "stack_renders",
    "tombstones",
]

baymodels = Table(
    "baymodels",
    metadata,
    id_column(),
    Column("seq", BigInteger, Identity(), nullable=False, unique=True),
    Column("project_id", Text, nullable=False, index=True),
    Column("user_id", Text, nullable=False),
    Column("name", Text, nullable=False, index=True),
    Column("coe", Text, nullable=False),
    Column("image_id", Text, nullable=False),
    Column("public", Boolean, nullable=False, server_default=text("false")),
    Column("hidden", Boolean, nullable=False, server_default=text("false")),
    json_column("attributes"),
    Column("doc", Text, nullable=False, server_default=""),
    Column("doc_template", Text, nullable=False, server_default=""),
    created(),
    Column("updated_at", DateTime(timezone=True)),
)

bays = Table(
    "bays",
    metadata,
    id_column(),
    Column("seq", BigInteger, Identity(), nullable=False, unique=True),
    Column("project_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("baymodel_id", UUID(as_uuid=True), ForeignKey("baymodels.id"), nullable=False, index=True),
    Column("driver", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_reason", Text),
    Column("wanted", Text, nullable=False, server_default="present"),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("stack_name", Text, nullable=False),
    Column("stack_id", Text),
    Column("node_count", Integer, nullable=False),
    Column("master_count", Integer, nullable=False),
    Column("create_timeout", Integer, nullable=False, server_default=text("60")),
    json_column("spec"),
    json_column("labels"),
    json_column("faults"),
    Column("discovery_url", Text),
    Column("api_address", Text),
    json_column("node_addresses", "[]"),
    json_column("master_addresses", "[]"),
    Column("coe_version", Text),
    Column("container_version", Text),
    Column("doc", Text, nullable=False, server_default=""),
    Column("doc_brief", Text, nullable=False, server_default=""),
    Column("doc_cluster", Text, nullable=False, server_default=""),
    Column("doc_cluster_brief", Text, nullable=False, server_default=""),
    Column("health_status", Text),
    json_column("health_status_reason"),
    json_column("labels_added"),
    json_column("labels_overridden"),
    json_column("labels_skipped"),
    Column("merge_labels", Boolean, nullable=False, server_default=text("false")),
    created(),
    Column("updated_at", DateTime(timezone=True)),
    Column("stack_seen", Text),
    Column("forced", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("wanted IN ('present', 'gone')", name="bays_wanted"),
    CheckConstraint("node_count >= 0 AND master_count >= 1", name="bays_counts"),
    CheckConstraint("health_status IN ('HEALTHY', 'UNHEALTHY', 'UNKNOWN')", name="bays_health"),
    Index("bays_by_project", "project_id", "seq"),
    Index("bays_by_name", "project_id", "name"),
)

nodegroups = Table(
    "nodegroups",
    metadata,
    id_column(),
    Column("seq", BigInteger, Identity(), nullable=False, unique=True),
    bay_column(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    Column("min_node_count", Integer, nullable=False, server_default=text("0")),
    Column("max_node_count", Integer),
    json_column("node_labels"),
    json_column("node_taints", "[]"),
    created(),
    Column("updated_at", DateTime(timezone=True)),
    UniqueConstraint("bay_id", "name", name="nodegroups_one_of_a_name"),
    CheckConstraint("min_node_count >= 0 AND max_node_count >= min_node_count", name="nodegroups_range"),
)
"""The groups of nodes. Counts, status and addresses of the two default ones are those of their bay."""

quotas = Table(
    "quotas",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("hard_limit", Integer, nullable=False),
    created(),
    Column("updated_at", DateTime(timezone=True)),
    UniqueConstraint("project_id", "resource", name="quotas_one_per_project"),
    CheckConstraint("hard_limit >= 0", name="quotas_limit"),
)

services = Table(
    "services",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("host", Text, nullable=False),
    Column("binary", Text, nullable=False),
    Column("report_count", BigInteger, nullable=False, server_default=text("1")),
    Column("last_seen_up", DateTime(timezone=True), nullable=False, server_default=now),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("disabled_reason", Text),
    Column("forced_down", Boolean, nullable=False, server_default=text("false")),
    created(),
    Column("updated_at", DateTime(timezone=True)),
    UniqueConstraint("host", "binary", name="services_one_per_host"),
)
"""Worker processes and when they last said that they live (contract §1.16)."""

bay_history = Table(
    "bay_history",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("bay_id", UUID(as_uuid=True), nullable=False),
    Column("event", Text, nullable=False),
    Column("was", Text),
    Column("became", Text, nullable=False),
    Column("reason", Text),
    Column("operation_id", UUID(as_uuid=True)),
    Column("at", DateTime(timezone=True), nullable=False, server_default=now),
    Index("bay_history_by_bay", "bay_id", "seq"),
)

operations = Table(
    "operations",
    metadata,
    id_column(),
    bay_column(),
    Column("seq", BigInteger, Identity(), nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("surprises", Integer, nullable=False, server_default=text("0")),
    Column("next_run_at", DateTime(timezone=True), nullable=False, server_default=now),
    Column("lease_token", UUID(as_uuid=True)),
    Column("lease_until", DateTime(timezone=True)),
    Column("deadline", DateTime(timezone=True)),
    json_column("request"),
    json_column("memo"),
    Column("error", Text),
    Column("requested_by", Text, nullable=False),
    json_column("warnings", "[]"),
    created(),
    Column("finished_at", DateTime(timezone=True)),
    Index("operations_due", "service", "next_run_at", postgresql_where=text("state = 'active'")),
    # Rule 5: one active operation per bay is this index, not an `if`.
    Index("operations_one_active", "bay_id", unique=True, postgresql_where=text("state = 'active'")),
    Index("operations_by_bay", "bay_id", "seq"),
)

operation_steps = Table(
    "operation_steps",
    metadata,
    Column("operation_id", UUID(as_uuid=True), ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("note", Text),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
)

outbox = Table(
    "outbox",
    metadata,
    id_column(),
    Column("seq", BigInteger, Identity(), nullable=False),
    Column("service", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    json_column("headers"),
    created(),
    Index("outbox_by_service", "service", "seq"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    id_column(),
    Column("service", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("message_id", Text),
    Column("name", Text),
    Column("version", Integer),
    Column("body", Text, nullable=False),
    json_column("headers"),
    Column("reason", Text, nullable=False),
    Column("requeued_at", DateTime(timezone=True)),
    created(),
)

stack_renders = Table(
    "stack_renders",
    metadata,
    bay_column(primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("driver", Text, nullable=False),
    Column("template", Text, nullable=False),
    json_column("files"),
    json_column("environment"),
    json_column("parameters"),
    created(),
)

nodes = Table(
    "nodes",
    metadata,
    bay_column(primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("private_address", Text, nullable=False),
    created(),
)

cloud_credentials = Table(
    "cloud_credentials",
    metadata,
    # No reference to `bays`: the intent is written before the bay exists, and outlives it until it is revoked.
    Column("bay_id", UUID(as_uuid=True), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("credential_id", Text),
    Column("sealed", LargeBinary),
    created(),
)

node_reports = Table(
    "node_reports",
    metadata,
    bay_column(primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("healthy", Boolean, nullable=False),
    Column("revision", Text, nullable=False),
    json_column("units"),
    Column("reported_at", DateTime(timezone=True), nullable=False, server_default=now),
    Column("credential_generation", Integer),
    Column("authority_generation", Integer),
    Column("problem", Text),
)
"""What each node last said of itself; `authority_generation` is that of the certificate it proved itself with."""

node_credentials = Table(
    "node_credentials",
    metadata,
    bay_column(primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("serial", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    created(),
)
"""A bay's newest cloud credential as CMS for the node's certificate of that serial."""

tombstones = Table(
    "tombstones",
    metadata,
    Column("bay_id", UUID(as_uuid=True), primary_key=True),
    Column("project_id", Text, nullable=False, index=True),
    Column("stack_name", Text, nullable=False),
    Column("buried_at", DateTime(timezone=True), nullable=False, server_default=now),
)
