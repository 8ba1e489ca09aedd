"""How every node is, by what its agent reports, and what has changed about that since somebody looked last.

A node that reports is as well as it says. One that is late, by `GRACE` over what it promised itself, is not well, if
others of its bay are heard, and if what keeps us from hearing it is not on our side (shared.domain.healing). Where
nobody of a bay is heard the reports say nothing about its nodes, only that they are silent: the engine's own API is
asked then (services/scaler/health_pull.py), and so it is for bays without agents.
What the cloud says of a server counts in any case. While an operation changes a bay's nodes nobody becomes silent.

`find` is one statement for all bays, however many: it joins the three small tables of nodes once, and looks closer only
at the bays of nodes that are not well and heard. At rest it finds nothing, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays
from shared.domain.healing import GRACE, OLD_AGENT
from shared.domain.health import NodeHealth

_IDS: Final = bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))

# `late` of a node that never reported counts from when it was recorded, which is after its boot. Who is silent needs a
# witness: somebody's report after that, so old that all who did not get through with theirs have tried again since.
_JUDGED: Final = f"""
    seen AS (
        SELECT n.bay_id, n.server_id, n.name, n.role, r.healthy, r.problem, r.units, r.reported_at, promise.*,
            promise.until <= now() - interval '{GRACE} s' AS late
        FROM nodes n
        LEFT JOIN node_reports r ON r.bay_id = n.bay_id AND r.server_id = n.server_id
        CROSS JOIN LATERAL (
            SELECT coalesce(r.reported_at, n.created_at) AS last,
                coalesce(r.reported_at, n.created_at) + coalesce(r.next_within, {OLD_AGENT}) * interval '1 s' AS until
        ) promise
        WHERE {{only}}
    ),
    bay AS (
        SELECT s.bay_id, bool_or(s.reported_at IS NOT NULL AND NOT s.late) AS heard, bool_and(s.late) AS mute
        FROM seen s GROUP BY s.bay_id
    ),
    judged AS (
        SELECT s.bay_id, s.server_id, verdict.*
        FROM seen s
        JOIN bay ON bay.bay_id = s.bay_id
        JOIN bays b ON b.id = s.bay_id
        LEFT JOIN node_health was ON was.bay_id = s.bay_id AND was.server_id = s.server_id
        CROSS JOIN LATERAL (
            SELECT b.health_status_reason ->> ('cloud.server.' || s.name) AS cloud,
                s.late AND NOT EXISTS (
                    SELECT FROM operations o
                    WHERE o.bay_id = s.bay_id AND o.state = 'active' AND o.kind NOT LIKE 'rotate%'
                ) AS late
        ) said
        CROSS JOIN LATERAL (
            SELECT false AS healthy, said.cloud AS problem, said.late AS silent WHERE said.cloud IS NOT NULL
            UNION ALL
            SELECT false, 'its agent has been silent since '
                || to_char(s.last AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', true
            WHERE said.cloud IS NULL AND said.late AND bay.heard AND s.until <= (
                SELECT max(reported_at) FROM node_reports WHERE reported_at <= now() - interval '{GRACE} s'
            )
            UNION ALL
            SELECT s.healthy, CASE WHEN NOT s.healthy THEN coalesce(s.problem, (
                SELECT string_agg(key || ' is ' || value, ', ' ORDER BY key) FROM jsonb_each_text(s.units)
                WHERE value <> 'active'
            ), 'its agent says so') END, false
            WHERE said.cloud IS NULL AND s.healthy IS NOT NULL AND NOT s.late
            UNION ALL
            SELECT was.healthy, was.problem, true
            WHERE said.cloud IS NULL AND said.late AND NOT bay.heard AND was.server_id IS NOT NULL
                AND s.reported_at IS NOT NULL
        ) verdict
        WHERE b.wanted = 'present' AND b.status IN ('CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_FAILED',
            'UPDATE_IN_PROGRESS')
    )
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Found:
    """A bay about which there is something to do."""

    bay_id: UUID
    differs: bool
    """Its nodes are not as they are written down, or an owner's word is over."""
    mute: bool
    """None of its nodes has reported in time, so its API has to be asked; it is not yet."""
    heard: bool
    """Its API is asked, and need not be any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A held bay: what is known of its nodes, and whether its owner's word counts still."""

    nodes: Sequence[NodeHealth]
    heard: bool
    """Whether a node of it has reported in time."""
    held: bool


async def find(conn: AsyncConnection, limit: int) -> list[Found]:
    """Bays about which there is something to do, those that wait at random, so that none waits for ever."""
    return [Found(*row) for row in await conn.execute(_FIND, {"limit": limit})]


async def hold(conn: AsyncConnection, ids: Collection[UUID]) -> list[UUID]:
    """Lock those of the bays that nobody else holds, in the order in which everybody locks them."""
    query = select(bays.c.id).where(bays.c.id.in_(ids), bays.c.wanted == "present").order_by(bays.c.id)
    return list(await conn.scalars(query.with_for_update(key_share=True, skip_locked=True)))


async def write(conn: AsyncConnection, ids: Collection[UUID]) -> None:
    """Write down how the nodes of these bays are now, by their reports. The caller holds them (`hold`)."""
    await conn.execute(_LEFT, {"ids": list(ids)})
    await conn.execute(_WRITE, {"ids": list(ids)})
    over = bays.c.health_held_until <= func.now()
    await conn.execute(update(bays).where(bays.c.id.in_(ids), over).values(health_held_until=None))


async def write_pulled(conn: AsyncConnection, bay_id: UUID, ready: Mapping[str, str | None]) -> None:
    """Write down how nodes are by what their engine says: server id → its problem, None of one that is well.

    Not those of whom the cloud says that they are not. The caller holds the bay.
    """
    rows = {"bay": bay_id, "servers": list(ready), "problems": list(ready.values())}
    await conn.execute(_PULLED, rows)


async def standing(conn: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Standing]:
    """What is written down of these bays' nodes, those of whom something is."""
    found: dict[UUID, Standing] = {}
    for row in await conn.execute(_STANDING, {"ids": list(ids)}):
        nodes = [NodeHealth(*one) for one in row.nodes]
        found[row.bay_id] = Standing(nodes, bool(row.heard), bool(row.held))
    return found


async def recovered(conn: AsyncConnection, bay_id: UUID, server_id: str, operation_id: UUID, step: str) -> bool:
    """Whether the node has said, since that step of the operation ended, that it is well; by Postgres's clock.

    Of a bay whose agents say nothing, what its engine says counts.
    """
    row = {"bay": bay_id, "server": server_id, "operation": operation_id, "step": step}
    return bool(await conn.scalar(_RECOVERED, row))


async def called_ill(conn: AsyncConnection, bay_id: UUID, servers: Collection[str]) -> dict[str, str]:
    """Those of the servers whose agents say that they are not well, and why. One that has not reported says nothing,
    and what a silent one has said counts no more."""
    row = {"bay": bay_id, "servers": list(servers)}
    return {one.server_id: one.problem for one in await conn.execute(_CALLED_ILL, row)}


async def since_step(conn: AsyncConnection, operation_id: UUID, step: str) -> timedelta:
    """How long ago that step of the operation ended."""
    query = text("SELECT now() - finished_at FROM operation_steps WHERE operation_id = :operation AND name = :step")
    found: timedelta | None = await conn.scalar(query, {"operation": operation_id, "step": step})
    return found or timedelta(0)


_UNITS: Final = (
    "(SELECT string_agg(key || ' is ' || value, ', ' ORDER BY key) FROM jsonb_each_text(units) WHERE value <> 'active')"
)
_CALLED_ILL: Final = text(f"""
    SELECT server_id, coalesce(problem, {_UNITS}, 'its agent says so') AS problem FROM node_reports
    WHERE bay_id = :bay AND server_id = ANY (:servers) AND NOT healthy
      AND reported_at + coalesce(next_within, {OLD_AGENT}) * interval '1 s' > now() - interval '{GRACE} s'
""")  # noqa: S608 - made of constants
_FIND: Final = text(f"""
    WITH doubtful AS MATERIALIZED (
        SELECT coalesce(n.bay_id, h.bay_id) AS bay_id
        FROM nodes n
        FULL JOIN node_health h ON h.bay_id = n.bay_id AND h.server_id = n.server_id
        LEFT JOIN node_reports r ON r.bay_id = n.bay_id AND r.server_id = n.server_id
        WHERE (
            h.healthy AND NOT h.silent AND r.healthy
            AND r.reported_at + (r.next_within + {GRACE}) * interval '1 s' > now()
        ) IS NOT TRUE
        UNION
        SELECT id FROM bays WHERE cloud_ill
        UNION
        SELECT id FROM bays WHERE health_held_until <= now()
        UNION
        SELECT bay_id FROM bay_checks WHERE what = 'health'
    ),
    {_JUDGED.format(only="n.bay_id IN (SELECT d.bay_id FROM doubtful d)")},
    differing AS (
        SELECT j.bay_id FROM judged j
        LEFT JOIN node_health h ON h.bay_id = j.bay_id AND h.server_id = j.server_id
        WHERE (h.healthy, h.silent) IS DISTINCT FROM (j.healthy, j.silent) OR h.problem IS DISTINCT FROM j.problem
        UNION
        SELECT h.bay_id FROM doubtful d JOIN node_health h ON h.bay_id = d.bay_id
        WHERE NOT EXISTS (SELECT FROM nodes n WHERE n.bay_id = h.bay_id AND n.server_id = h.server_id)
        UNION
        SELECT id FROM bays WHERE health_held_until <= now()
    ),
    asked AS (SELECT bay_id FROM bay_checks WHERE what = 'health'),
    changed AS (
        SELECT bay.bay_id, bay.mute AND asked.bay_id IS NULL AS mute, bay.heard AND asked.bay_id IS NOT NULL AS heard
        FROM bay LEFT JOIN asked ON asked.bay_id = bay.bay_id
        WHERE bay.mute AND asked.bay_id IS NULL OR bay.heard AND asked.bay_id IS NOT NULL
    )
    SELECT b.id, differing.bay_id IS NOT NULL, coalesce(changed.mute, false), coalesce(changed.heard, false)
    FROM differing FULL JOIN changed ON changed.bay_id = differing.bay_id
    JOIN bays b ON b.id = coalesce(differing.bay_id, changed.bay_id)
    WHERE b.wanted = 'present' AND b.status IN ('CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_FAILED',
        'UPDATE_IN_PROGRESS')
    ORDER BY random() LIMIT :limit
""")  # noqa: S608 - made of constants
_LEFT: Final = text("""
    DELETE FROM node_health h WHERE h.bay_id = ANY(:ids)
        AND NOT EXISTS (SELECT FROM nodes n WHERE n.bay_id = h.bay_id AND n.server_id = h.server_id)
""").bindparams(_IDS)
_TAKE_OVER: Final = """
    ON CONFLICT (bay_id, server_id) DO UPDATE SET
        healthy = excluded.healthy, problem = excluded.problem, silent = excluded.silent,
        since = CASE WHEN h.healthy = excluded.healthy THEN h.since ELSE now() END,
        heard_again_at = CASE WHEN h.silent AND NOT excluded.silent THEN now() ELSE h.heard_again_at END
    WHERE (h.healthy, h.silent) IS DISTINCT FROM (excluded.healthy, excluded.silent)
        OR h.problem IS DISTINCT FROM excluded.problem
"""
_WRITE: Final = text(f"""
    WITH {_JUDGED.format(only="n.bay_id = ANY(:ids)")}
    INSERT INTO node_health AS h (bay_id, server_id, healthy, problem, silent)
    SELECT bay_id, server_id, healthy, problem, silent FROM judged
    {_TAKE_OVER}
""").bindparams(_IDS)  # noqa: S608 - made of constants
_PULLED: Final = text(f"""
    INSERT INTO node_health AS h (bay_id, server_id, healthy, problem, silent)
    SELECT :bay, n.server_id, said.problem IS NULL, said.problem, coalesce(was.silent, false)
    FROM unnest(CAST(:servers AS text[]), CAST(:problems AS text[])) AS said(server_id, problem)
    JOIN nodes n ON n.bay_id = :bay AND n.server_id = said.server_id
    JOIN bays b ON b.id = :bay AND NOT b.health_status_reason ? ('cloud.server.' || n.name)
    LEFT JOIN node_health was ON was.bay_id = :bay AND was.server_id = n.server_id
    {_TAKE_OVER}
""")  # noqa: S608 - made of constants
_STANDING: Final = text(f"""
    WITH {_JUDGED.format(only="n.bay_id = ANY(:ids)")}
    SELECT n.bay_id, bay.heard, b.health_held_until > now() AS held,
        json_agg(json_build_array(n.name, n.role, h.healthy, h.problem) ORDER BY n.role, n.pool, n.position) AS nodes
    FROM node_health h
    JOIN nodes n ON n.bay_id = h.bay_id AND n.server_id = h.server_id
    JOIN bays b ON b.id = n.bay_id
    JOIN bay ON bay.bay_id = n.bay_id
    WHERE h.bay_id = ANY(:ids)
    GROUP BY n.bay_id, bay.heard, b.health_held_until
""").bindparams(_IDS)  # noqa: S608 - made of constants
_RECOVERED: Final = text(f"""
    WITH {_JUDGED.format(only="n.bay_id = :bay")}
    SELECT CASE
        WHEN bay.heard THEN s.healthy AND NOT s.late AND s.reported_at > step.finished_at
        ELSE h.healthy AND h.since > step.finished_at
    END
    FROM seen s
    JOIN bay ON bay.bay_id = s.bay_id
    JOIN operation_steps step ON step.operation_id = :operation AND step.name = :step
    LEFT JOIN node_health h ON h.bay_id = s.bay_id AND h.server_id = s.server_id
    WHERE s.server_id = :server
""")  # noqa: S608 - made of constants
