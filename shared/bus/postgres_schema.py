"""The queue table of the Postgres bus, for the migration that makes it. The bus itself never changes the schema."""

from __future__ import annotations

from typing import Final

DDL: Final = """
CREATE TABLE bus_messages (
    seq bigserial PRIMARY KEY,
    id uuid NOT NULL,
    queue text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    body bytea NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}'::jsonb,
    deliveries integer NOT NULL DEFAULT 0,
    visible_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    lease_token uuid
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX bus_messages_due ON bus_messages (queue, visible_at, seq);
CREATE INDEX bus_messages_expired ON bus_messages (expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON TABLE bus_messages IS 'Messages on their way, when no RabbitMQ is configured; a row is deleted when handled';
COMMENT ON COLUMN bus_messages.visible_at IS 'Not handed out before; doubles as the end of the current reader''s lease';
COMMENT ON COLUMN bus_messages.deliveries IS 'Times handed out; attempts that failed are counted in headers'
"""
"""Statements that make the table. Small and always nearly empty; vacuumed by count, not by share of the table."""

ROLES: Final = ("jb_api", "jb_provisioner", "jb_certs", "jb_scaler")

GRANTS: Final = f"""
GRANT SELECT, INSERT, UPDATE, DELETE ON bus_messages TO {", ".join(ROLES)};
GRANT USAGE ON SEQUENCE bus_messages_seq_seq TO {", ".join(ROLES)}
"""
"""Every service sends to the others and handles its own queue."""
