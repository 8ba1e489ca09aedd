"""The SQL of the Postgres bus. Only Postgres's clock counts."""

from __future__ import annotations

from typing import Final

PUBLISH: Final = """
INSERT INTO bus_messages (id, queue, name, version, body, headers, expires_at)
SELECT id, queue, name, version, body, headers::jsonb, expires_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::bytea[], $6::text[], $7::timestamptz[])
     AS new (id, queue, name, version, body, headers, expires_at)
"""

REPLY: Final = """
INSERT INTO bus_messages (id, queue, name, version, body, headers, expires_at)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, now() + interval '60 s')
"""

TAKE: Final = """
WITH due AS (
    SELECT seq FROM bus_messages
    WHERE queue = $1 AND visible_at <= now()
    ORDER BY visible_at, seq
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE bus_messages AS m
SET visible_at = now() + $3, lease_token = $4, deliveries = m.deliveries + 1
FROM due WHERE m.seq = due.seq
RETURNING m.seq, m.id, m.name, m.version, m.body, m.headers::text AS headers, m.deliveries
"""
"""Due messages, the longest due first, so that neither fresh nor retried ones starve the others."""

ACK: Final = "DELETE FROM bus_messages WHERE seq = $1 AND lease_token = $2"

POSTPONE: Final = """
UPDATE bus_messages SET visible_at = now() + $3, headers = $4::jsonb, lease_token = NULL, deliveries = 0
WHERE seq = $1 AND lease_token = $2
"""
"""Deliveries start anew: they are the crashes since the last outcome."""

RENEW: Final = """
UPDATE bus_messages SET visible_at = now() + $3 WHERE seq = ANY($1::bigint[]) AND lease_token = ANY($2::uuid[])
"""

RELEASE: Final = "UPDATE bus_messages SET visible_at = now(), lease_token = NULL WHERE seq = $1 AND lease_token = $2"

SWEEP: Final = """
DELETE FROM bus_messages WHERE seq IN (
    SELECT seq FROM bus_messages WHERE expires_at <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED
) RETURNING name
"""
"""What nobody waits for any more, also replies to processes that are gone."""

NOTIFY: Final = "SELECT pg_notify($1, $2)"
