"""How bays are to be scaled, what was decided about them, and what a look at many bays needs, read at once.

A policy is written by the gateway under the bay's lock. Decisions are written by the scaler, one when it acts and one
when the reason not to act is another; the last `KEPT` of a bay stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories import bays, past
from shared.db.repositories.checks import Check
from shared.db.tables import scaling_decisions, scaling_policies
from shared.domain.bay import Bay, Node
from shared.domain.queue import DEFAULT_WORKERS

KEPT: Final = 200
"""Decisions of a bay that are kept."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A row of `scaling_decisions`, as clients see it."""

    seq: int
    nodegroup: str
    node_count: int
    desired: int
    reason: str
    seen: Mapping[str, Any]
    operation_id: str | None
    at: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A bay that is to be looked at."""

    bay: Bay
    nodes: Sequence[Node]
    """The workers of its default nodegroup."""
    policy: Mapping[str, Any]
    labels: Mapping[str, str]
    group: tuple[int, int | None]
    """The range of its default nodegroup."""
    born: int
    """The workers that it was made with."""
    known: int
    """All of its nodes, masters and other nodegroups' included."""
    live: bool
    """Whether an operation is under way or waits."""
    missed: bool
    """Whether its default nodegroup has not as many nodes as were last asked for, since its own last change failed."""
    now: float
    """Postgres's clock, in seconds."""


# ---- the policy -------------------------------------------------------------------------------------------------


async def policy_of(conn: AsyncConnection, bay_id: UUID) -> dict[str, Any] | None:
    """What the owner has stored; None: nothing."""
    found: dict[str, Any] | None = await conn.scalar(
        select(scaling_policies.c.policy).where(scaling_policies.c.bay_id == bay_id)
    )
    return found


async def store_policy(conn: AsyncConnection, bay_id: UUID, policy: Mapping[str, object]) -> None:
    """Put the owner's policy in the place of what was there. The caller holds the bay's lock."""
    values = {"policy": dict(policy), "updated_at": func.now()}
    query = pg_insert(scaling_policies).values(bay_id=bay_id, policy=dict(policy))
    await conn.execute(query.on_conflict_do_update(index_elements=[scaling_policies.c.bay_id], set_=values))


async def drop_policy(conn: AsyncConnection, bay_id: UUID) -> None:
    """The labels alone hold again."""
    await conn.execute(delete(scaling_policies).where(scaling_policies.c.bay_id == bay_id))


async def born_with(conn: AsyncConnection, bay_id: UUID) -> int | None:
    """The workers that a bay was made with; None: its creation is not known."""
    found: int | None = await conn.scalar(_BORN, {"bay": bay_id})
    return found


# ---- decisions --------------------------------------------------------------------------------------------------


async def add(
    conn: AsyncConnection,
    bay_id: UUID,
    *,
    node_count: int,
    desired: int,
    reason: str,
    seen: Mapping[str, object],
    operation_id: UUID | None,
) -> None:
    """Write a decision, and forget the oldest beyond those that are kept."""
    values = {"node_count": node_count, "desired": desired, "reason": reason, "seen": dict(seen)}
    await conn.execute(
        insert(scaling_decisions).values(bay_id=bay_id, nodegroup=DEFAULT_WORKERS, operation_id=operation_id, **values)
    )
    await conn.execute(_FORGET, {"bay": bay_id, "kept": KEPT})


async def decisions_of(conn: AsyncConnection, bay_id: UUID, *, limit: int) -> list[Decided]:
    """The bay's last decisions, newest first."""
    columns = scaling_decisions.c
    query = (
        select(
            columns.seq,
            columns.nodegroup,
            columns.node_count,
            columns.desired,
            columns.reason,
            columns.seen,
            columns.operation_id,
            func.moment(columns.at),
        )
        .where(columns.bay_id == bay_id)
        .order_by(columns.seq.desc())
        .limit(limit)
    )
    rows = await conn.execute(query)
    return [
        Decided(*row[:6], operation_id=None if row.operation_id is None else str(row.operation_id), at=row[7])
        for row in rows
    ]


# ---- looks ------------------------------------------------------------------------------------------------------


async def begin_missing(conn: AsyncConnection, every_seconds: int, bay_id: UUID | None = None) -> int:
    """Have every bay that is to be scaled by itself looked at, or this one if it is; how many are new.

    They begin at random times, so that what is found at once does not stay at once.
    """
    found = await conn.execute(_BEGIN, {"every": every_seconds, "bay": bay_id})
    return found.rowcount


async def subjects(conn: AsyncConnection, bay_ids: Sequence[UUID]) -> dict[UUID, Subject]:
    """All that looks at these bays need, in four queries; a bay that is gone is left out."""
    more = {row.id: row for row in await conn.execute(_SUBJECTS, {"bays": list(bay_ids)})}
    nodes: dict[UUID, list[Node]] = {bay_id: [] for bay_id in bay_ids}
    for row in await conn.execute(_NODES, {"bays": list(bay_ids)}):
        nodes[row.bay_id].append(Node(*(*row[1:], DEFAULT_WORKERS)))
    missed = await past.missed_count(conn, bay_ids)
    found = {}
    for bay in await bays.many(conn, bay_ids):
        if bay.id in more:
            row = more[bay.id]
            born = bay.node_count if row.born is None else row.born
            group = (row.least, row.most)
            of_row = (nodes[bay.id], row.policy or {}, row.labels, group, born, row.known, row.live)
            found[bay.id] = Subject(bay, *of_row, bay.id in missed, row.now)
    return found


@dataclass(frozen=True, slots=True)
class Settled:
    """What a look came to."""

    check: Check
    every_seconds: int
    memo: Mapping[str, object]


async def settle(conn: AsyncConnection, looks: Sequence[Settled]) -> None:
    """Write what looks came to, and when the next are due: up to a twentieth sooner or later, so that they spread.

    What was claimed by somebody else meanwhile is left alone.
    """
    if looks:
        await conn.execute(
            _SETTLE,
            {
                "bays": [one.check.bay_id for one in looks],
                "tokens": [one.check.token for one in looks],
                "every": [one.every_seconds for one in looks],
                "memos": [json.dumps(one.memo) for one in looks],
            },
        )


async def end(conn: AsyncConnection, looks: Sequence[Check]) -> None:
    """Look at these bays no more."""
    if looks:
        await conn.execute(_END, {"bays": [one.bay_id for one in looks], "tokens": [one.token for one in looks]})


_BORN: Final = text(
    "SELECT (request->>'node_count')::int FROM operations WHERE bay_id = :bay AND kind = 'create' ORDER BY seq LIMIT 1"
)
_FORGET: Final = text(
    "DELETE FROM scaling_decisions WHERE bay_id = :bay AND seq <= "
    "(SELECT seq FROM scaling_decisions WHERE bay_id = :bay ORDER BY seq DESC OFFSET :kept LIMIT 1)"
)
_BEGIN: Final = text(
    """
    INSERT INTO bay_checks (bay_id, what, every_seconds, next_at)
    SELECT b.id, 'scale', CAST(:every AS int), now() + random() * make_interval(secs => CAST(:every AS int))
    FROM (SELECT id FROM bays WHERE labels ? 'auto_scaling_enabled' UNION SELECT bay_id FROM scaling_policies) a
    JOIN bays b ON b.id = a.id LEFT JOIN scaling_policies p ON p.bay_id = b.id
    WHERE b.wanted = 'present' AND (CAST(:bay AS uuid) IS NULL OR b.id = CAST(:bay AS uuid))
      AND lower(coalesce(p.policy->>'enabled', b.labels->>'auto_scaling_enabled', '')) = ANY (
          ARRAY['true', '1', 'yes', 'on', 't', 'y'])
      AND NOT EXISTS (SELECT FROM bay_checks c WHERE c.bay_id = b.id AND c.what = 'scale')
    ON CONFLICT DO NOTHING
    """
)
_SUBJECTS: Final = text(
    f"""
    SELECT b.id, b.labels, p.policy,
           g.min_node_count AS least, g.max_node_count AS most,
           (SELECT (o.request->>'node_count')::int FROM operations o
            WHERE o.bay_id = b.id AND o.kind = 'create' ORDER BY o.seq LIMIT 1) AS born,
           (SELECT count(*) FROM nodes n WHERE n.bay_id = b.id) AS known,
           EXISTS (SELECT FROM operations o
                   WHERE o.bay_id = b.id AND o.state IN ('active', 'queued')) AS live,
           extract(epoch FROM clock_timestamp())::float8 AS now
    FROM bays b
    JOIN nodegroups g ON g.bay_id = b.id AND g.name = '{DEFAULT_WORKERS}'
    LEFT JOIN scaling_policies p ON p.bay_id = b.id
    WHERE b.id = ANY (CAST(:bays AS uuid[]))
    """  # noqa: S608 - a name of ours
)
_NODES: Final = text(
    f"""
    SELECT n.bay_id, n.server_id, n.role, n.position, n.name, n.address, n.private_address, n.pool
    FROM nodes n
    LEFT JOIN node_pools p ON p.bay_id = n.bay_id AND p.number = n.pool
    LEFT JOIN nodegroups g ON g.id = p.nodegroup_id
    WHERE n.bay_id = ANY (CAST(:bays AS uuid[])) AND n.role = 'worker'
      AND (n.pool = 0 OR g.name = '{DEFAULT_WORKERS}')
    ORDER BY n.pool, n.position
    """  # noqa: S608 - a name of ours
)
_SETTLE: Final = text(
    """
    UPDATE bay_checks c SET
        lease_token = NULL, lease_until = NULL, every_seconds = d.every, memo = d.memo::jsonb,
        next_at = now() + (0.95 + 0.1 * random()) * make_interval(secs => d.every)
    FROM unnest(CAST(:bays AS uuid[]), CAST(:tokens AS uuid[]), CAST(:every AS int[]), CAST(:memos AS text[]))
        AS d (bay_id, token, every, memo)
    WHERE c.bay_id = d.bay_id AND c.what = 'scale' AND c.lease_token = d.token
    """
)
_END: Final = text(
    """
    DELETE FROM bay_checks c USING unnest(CAST(:bays AS uuid[]), CAST(:tokens AS uuid[])) AS d (bay_id, token)
    WHERE c.bay_id = d.bay_id AND c.what = 'scale' AND c.lease_token = d.token
    """
)
