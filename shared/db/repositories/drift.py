"""How bays stand in the cloud while nothing of ours is under way, and what the sweep has found out about that.

What it says of a bay's health has names of its own (`PREFIX`); what others say there stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories import bays, health
from shared.db.tables import bays as table
from shared.domain.bay_state import BayEvent
from shared.domain.heal_memo import RECOVERED
from shared.domain.queue import DEFAULT_WORKERS

PREFIX: Final = health.CLOUD
"""What the sweep's keys in health_status_reason begin with."""


@dataclass(frozen=True, slots=True)
class Server:
    """A node, as far as the sweep needs it."""

    id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Resting:
    """A bay at rest, as it was before the cloud was listed."""

    id: UUID
    stack_id: str
    stack_name: str
    stack_seen: str | None
    """How our last operation left the stack; None: nobody noted it."""
    changed: bool
    """Whether the last operation that changed the stack reached its end, so that the stack has to look as noted."""
    seq: int
    """Of the bay's last operation: one that began since then has another."""
    told: Mapping[str, str]
    """What the sweep has said of it before."""
    servers: tuple[Server, ...]


async def resting(conn: AsyncConnection, project_id: str) -> list[Resting]:
    """The project's bays that stand and on which nothing is under way; one query, however many they are."""
    return [_resting(row) for row in await conn.execute(_RESTING, {"project": project_id})]


# What did nothing to the first stack says nothing of it: a change of a group that has stacks of its own, a restart.
_BESIDE: Final = f"""
    o.kind IN ('rotate_ca', 'rotate_credentials') OR o.kind IN ('resize', 'heal', 'upgrade') AND (
        coalesce(nullif(o.request ->> 'nodegroup', ''), '{DEFAULT_WORKERS}') <> '{DEFAULT_WORKERS}'
        OR coalesce(o.memo ->> '{RECOVERED}', '') = 'true')
"""
_RESTING: Final = text(f"""
    SELECT b.id, b.stack_id, b.stack_name, b.stack_seen, b.status <> 'UPDATE_FAILED' AND last.stood AS changed,
           last.seq, b.health_status_reason AS said, coalesce(n.servers, '[]'::json) AS servers
    FROM bays b
    CROSS JOIN LATERAL (
        SELECT coalesce(max(o.seq), 0) AS seq, count(*) FILTER (WHERE o.state IN ('active', 'queued')) AS live,
               coalesce((array_agg(o.state ORDER BY o.seq DESC)
                   FILTER (WHERE NOT ({_BESIDE})))[1] = 'done', true) AS stood
        FROM operations o WHERE o.bay_id = b.id
    ) last
    LEFT JOIN LATERAL (
        SELECT json_agg(json_build_array(server_id, name, role)) AS servers FROM nodes WHERE bay_id = b.id
    ) n ON true
    WHERE b.project_id = :project AND b.stack_id IS NOT NULL AND b.wanted = 'present' AND last.live = 0
      AND b.status IN ('CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_FAILED')
""")  # noqa: S608 - made of constants


async def still(conn: AsyncConnection, one: Resting) -> bool:
    """Whether nothing has begun on the bay since it was seen at rest; if so, it is held until the transaction ends.

    The race: an operation may begin, and even end, between the listing of the cloud and this. Who begins one holds the
    bay's row, so either its row is here to be seen, or it begins after this transaction.
    """
    bay = await bays.lock(conn, one.id)
    if bay is None or bay.stack_id != one.stack_id or bay.wanted != "present":
        return False
    query = text(
        "SELECT coalesce(max(seq), 0) = :seq AND count(*) FILTER (WHERE state IN ('active', 'queued')) = 0 "
        "FROM operations WHERE bay_id = :bay"
    )
    return bool(await conn.scalar(query, {"bay": one.id, "seq": one.seq}))


async def lose(conn: AsyncConnection, one: Resting, reason: str) -> None:
    """The bay's stack is gone, and with it what could be said of its health. The caller has it by `still`."""
    await bays.apply_event(conn, one.id, BayEvent.STACK_LOST, reason=reason)
    await health.forget(conn, one.id)


async def tell(conn: AsyncConnection, bay_id: UUID, found: Mapping[str, str], *, ill: bool) -> None:
    """Put `found` (keys begin with `PREFIX`) in the place of what was said before. The caller has the bay by `still`.

    `ill`: the bay is UNHEALTHY. When what was found is over, it is again what was told of its engine.
    """
    await health.tell_cloud(conn, bay_id, found, ill=ill)


async def remember(conn: AsyncConnection, bay_id: UUID, seen: str) -> None:
    """How the stack looked when an operation of ours left it."""
    await conn.execute(update(table).where(table.c.id == bay_id).values(stack_seen=seen))


async def remember_first(conn: AsyncConnection, looks: Mapping[UUID, str]) -> None:
    """How stacks look now whose bays were made by a release that did not note it; one statement."""
    query = text(
        "UPDATE bays SET stack_seen = found.seen "
        "FROM unnest(CAST(:ids AS uuid[]), CAST(:looks AS text[])) AS found(id, seen) "
        "WHERE bays.id = found.id AND bays.stack_seen IS NULL"
    )
    await conn.execute(query, {"ids": list(looks), "looks": list(looks.values())})


async def seen(conn: AsyncConnection, bay_id: UUID) -> str | None:
    """How the bay's stack looked when an operation of ours left it; None: nobody noted it."""
    found: str | None = await conn.scalar(select(table.c.stack_seen).where(table.c.id == bay_id))
    return found


def _resting(row: Row[Any]) -> Resting:
    told = {key: str(value) for key, value in (row.said or {}).items() if key.startswith(PREFIX)}
    servers = tuple(Server(*one) for one in row.servers)
    return Resting(row.id, row.stack_id, row.stack_name, row.stack_seen, row.changed, row.seq, told, servers)
