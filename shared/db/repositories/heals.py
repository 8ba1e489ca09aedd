"""Bays in which there may be something to heal, with all that the decision needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, bindparam, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Interval

from shared.domain.healing import MOST, RECENT, WITHIN, Heal, Member, Sick


async def sick(conn: AsyncConnection, limit: int, bay_id: UUID | None = None) -> list[Sick]:
    """Up to `limit` bays at rest with a node that is not well, at random, so that none waits for ever; or that one.

    Not those whose stack somebody else has changed or broken, and not those whose owner's word counts
    (shared.db.repositories.health). Nodes of a group that is to go are left out. At rest one look into a small index.
    """
    rows = await conn.execute(_SICK, {"limit": limit, "within": WITHIN, "recent": RECENT, "bay": bay_id})
    return [_sick(row) for row in rows]


async def cut_off(conn: AsyncConnection) -> bool:
    """Whether so many nodes of all bays are silent, or were until a moment ago, that it is us whom nobody reaches.

    As nodes are heard again one by one, those that were count for as long as the others take.
    """
    return bool(await conn.scalar(_CUT_OFF, {"recent": RECENT, "most": MOST}))


_LOST: Final = "h.silent OR coalesce(h.heard_again_at > now() - make_interval(secs => :recent), false)"
_SICK: Final = text(f"""
    SELECT b.id, now() AS now, b.health_status_reason ->> 'healing' AS told, (
        SELECT coalesce(json_agg(json_build_object(
            'server_id', n.server_id, 'name', n.name, 'role', n.role,
            'nodegroup', coalesce(g.name, 'default-' || n.role), 'created_at', n.created_at,
            'healthy', coalesce(h.healthy, true), 'problem', coalesce(h.problem, ''),
            'silent', coalesce(h.silent, false),
            'cloud', b.health_status_reason ? ('cloud.server.' || n.name),
            'seconds', coalesce(extract(epoch FROM now() - h.since), 0), 'lost', coalesce({_LOST}, false),
            'unheard', extract(epoch FROM now() - coalesce(r.reported_at, n.created_at))
        )), '[]')
        FROM nodes n
        LEFT JOIN node_reports r ON r.bay_id = n.bay_id AND r.server_id = n.server_id
        LEFT JOIN node_health h ON h.bay_id = n.bay_id AND h.server_id = n.server_id
        LEFT JOIN node_pools p ON p.bay_id = n.bay_id AND p.number = n.pool AND n.role = 'worker'
        LEFT JOIN nodegroups g ON g.id = p.nodegroup_id
        WHERE n.bay_id = b.id AND g.wanted IS DISTINCT FROM 'gone'
    ) AS members, (
        SELECT coalesce(json_agg(json_build_object(
            'server_id', o.request ->> 'server_id', 'place', o.request ->> 'place',
            'nodegroup', o.request ->> 'nodegroup', 'created_at', o.created_at, 'finished_at', o.finished_at,
            'failed', o.state = 'failed'
        ) ORDER BY o.seq DESC), '[]')
        FROM operations o
        WHERE o.bay_id = b.id AND o.kind = 'heal' AND o.state IN ('done', 'failed') AND o.finished_at > now() - :within
    ) AS heals
    FROM (SELECT DISTINCT bay_id AS id FROM node_health WHERE NOT healthy) ill
    JOIN bays b ON b.id = ill.id
    WHERE (CAST(:bay AS uuid) IS NULL OR b.id = CAST(:bay AS uuid))
      AND b.wanted = 'present' AND b.status IN ('CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_FAILED')
      AND coalesce(b.health_held_until <= now(), true)
      AND NOT (b.cloud_ill AND b.health_status_reason ? 'cloud.stack')
      AND NOT EXISTS (SELECT FROM operations o WHERE o.bay_id = b.id AND o.state IN ('active', 'queued'))
    ORDER BY random() LIMIT :limit
""").bindparams(  # noqa: S608 - made of constants
    bindparam("within", type_=Interval), bindparam("bay", type_=PG_UUID(as_uuid=True))
)
_CUT_OFF: Final = text(f"""
    SELECT count(*) FILTER (WHERE {_LOST}) > greatest(2, CAST(:most AS float) * count(*)) FROM node_health h
""")  # noqa: S608 - made of constants


def _sick(row: Row[Any]) -> Sick:
    members = [Member(**_times(one, "created_at")) for one in row.members]
    heals = [Heal(**_times(one, "created_at", "finished_at")) for one in row.heals]
    return Sick(row.id, row.now, row.told, members, heals)


def _times(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**values, **{name: datetime.fromisoformat(values[name]) for name in names}}
