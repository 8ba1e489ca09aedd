"""The tables of the certificate authority: authorities and their keys, who asks, what was signed, the audit trail."""

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

from shared.db.columns import bay_column, created, id_column, metadata, now

authorities = Table(
    "authorities",
    metadata,
    id_column(),
    bay_column(),
    Column("kind", Text, nullable=False),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("certificate", Text, nullable=False),
    Column("not_after", DateTime(timezone=True), nullable=False),
    created(),
    Column("retired_at", DateTime(timezone=True)),
    Column("warned_at", DateTime(timezone=True)),
    UniqueConstraint("bay_id", "kind", "generation", name="authorities_one_per_kind"),
    Index("authorities_ending", "not_after", postgresql_where=text("retired_at IS NULL")),
)
"""A bay trusts those that are not retired; `warned_at`: when somebody was told that it ends soon."""

authority_rotations = Table(
    "authority_rotations",
    metadata,
    bay_column(primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("previous", Integer, nullable=False),
    Column("target", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=now),
    CheckConstraint("phase IN ('trust', 'reissue', 'drop')", name="authority_rotations_phase"),
    CheckConstraint("target IN (generation, previous)", name="authority_rotations_target"),
)
"""A rotation that is not over, at most one a bay: from `previous` to `generation`; `target` is what shall remain."""

rotation_turns = Table(
    "rotation_turns",
    metadata,
    bay_column(primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("target", Integer, nullable=False),
    Column("given_at", DateTime(timezone=True), nullable=False, server_default=now),
    CheckConstraint("phase IN ('trust', 'reissue', 'drop')", name="rotation_turns_phase"),
)
"""How far a node may go in its bay's rotation."""

authority_keys = Table(
    "authority_keys",
    metadata,
    Column("authority_id", UUID(as_uuid=True), ForeignKey("authorities.id", ondelete="CASCADE"), primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary),
    Column("sealed", LargeBinary),
    created(),
    Column("secret_ref", Text),
    CheckConstraint(
        "(secret_ref IS NULL AND wrapped_key IS NOT NULL AND sealed IS NOT NULL)"
        " OR (secret_ref IS NOT NULL AND wrapped_key IS NULL AND sealed IS NULL)",
        name="authority_keys_one_place",
    ),
)

attestations = Table(
    "attestations",
    metadata,
    id_column(),
    bay_column(),
    Column("server_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("csr", Text, nullable=False),
    Column("csr_digest", Text, nullable=False),
    Column("secret", LargeBinary),
    Column("serial", Text),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("proven", Boolean, nullable=False, server_default=text("false")),
    Column("reason", Text),
    Column("node_name", Text),
    Column("shared", Text),
    created(),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("role IN ('master', 'worker')", name="attestations_role"),
    CheckConstraint("state IN ('pending', 'attested', 'refused', 'expired')", name="attestations_state"),
    Index("attestations_by_server", "bay_id", "server_id"),
    Index("attestations_over", "created_at", postgresql_where=text("state IN ('refused', 'expired')")),
    Index(
        "attestations_unfinished",
        "created_at",
        postgresql_where=text("state = 'pending' OR (state = 'attested' AND finished_at IS NULL)"),
    ),
)
"""A server that asks for its node's certificates, and what the provisioner found out about it."""

sign_requests = Table(
    "sign_requests",
    metadata,
    id_column(),
    bay_column(),
    Column("authority_kind", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("csr", Text, nullable=False),
    Column("csr_digest", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("reason", Text),
    Column("certificate_id", UUID(as_uuid=True)),
    Column("attestation_id", UUID(as_uuid=True), ForeignKey("attestations.id", ondelete="CASCADE")),
    created(),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("validity_seconds", Integer),
    CheckConstraint("state IN ('pending', 'signed', 'refused', 'expired')", name="sign_requests_state"),
    Index("sign_requests_repeat", "bay_id", "requester", "csr_digest"),
    Index("sign_requests_by_attestation", "attestation_id", postgresql_where=text("attestation_id IS NOT NULL")),
    Index("sign_requests_pending", "created_at", postgresql_where=text("state = 'pending'")),
    Index(
        "sign_requests_decided", "created_at", postgresql_where=text("state <> 'pending' AND attestation_id IS NULL")
    ),
)

certificates = Table(
    "certificates",
    metadata,
    id_column(),
    bay_column(),
    Column("authority_id", UUID(as_uuid=True), ForeignKey("authorities.id", ondelete="CASCADE"), nullable=False),
    Column("sign_request_id", UUID(as_uuid=True), unique=True),
    Column("serial", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="intended"),
    Column("pem", Text),
    Column("not_before", DateTime(timezone=True), nullable=False),
    Column("not_after", DateTime(timezone=True), nullable=False),
    created(),
    CheckConstraint("state IN ('intended', 'issued', 'abandoned')", name="certificates_state"),
    Index("certificates_by_bay", "bay_id"),
    Index("certificates_by_authority", "authority_id"),
    Index("certificates_by_requester", "bay_id", "requester", "created_at"),
    Index(
        "certificates_of_nodes_ending",
        "not_after",
        postgresql_where=text("state = 'issued' AND profile = 'node:node'"),
    ),
    Index("certificates_of_the_scaler", "not_after", postgresql_where=text("profile = 'scaler'")),
)

certificate_audit = Table(
    "certificate_audit",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=now),
    Column("bay_id", UUID(as_uuid=True), index=True),
    Column("action", Text, nullable=False),
    Column("serial", Text),
    Column("requester", Text),
    Column("detail", Text),
    Column("times", Integer, nullable=False, server_default=text("1")),
)
"""`bay_id` is null where somebody named a bay that there is not; `times`: how often it happened."""
