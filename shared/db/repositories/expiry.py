"""Authorities and nodes' certificates that end soon, and what is said of it in a bay's health.

What it says there has one key (`KEY`); what others say stays as it is, and so does the health's status.
Only Postgres's clock counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Interval, Text

from shared.db.repositories.authorities import KINDS
from shared.db.tables import authorities, bays

KEY: Final = "certificates.expiring"
"""The key in health_status_reason."""

_LOOKED_BACK: Final = timedelta(days=90)
"""A node whose certificate ended longer ago than this is not counted any more."""

_MINE = (authorities.c.kind.in_(KINDS), authorities.c.retired_at.is_(None))


@dataclass(frozen=True)
class Ending:
    """A bay of whose authorities the first one ends soon, or has ended."""

    bay_id: UUID
    name: str
    driver: str
    tls_disabled: bool
    not_after: datetime
    over: bool
    """Whether it has ended."""


@dataclass(frozen=True)
class Figures:
    """For the metrics."""

    soon: int
    ended: int
    first_end_seconds: float | None
    """Until the first authority ends; None: there are none."""
    nodes_soon: int
    nodes_ended: int


async def hold_ending(
    conn: AsyncConnection, within: timedelta, after: UUID | None, limit: int
) -> tuple[list[Ending], UUID | None]:
    """The next bays whose authorities end soon, and where to go on; None: there are no more.

    They are held until the transaction ends; one that somebody else holds is passed over, and is found the next time.
    The bay is locked before its authorities are written, as everybody does.
    """
    soon = select(authorities.c.bay_id).where(*_MINE, authorities.c.not_after < func.now() + within).distinct()
    if after is not None:
        soon = soon.where(authorities.c.bay_id > after)
    ids = list(await conn.scalars(soon.order_by(authorities.c.bay_id).limit(limit)))
    if not ids:
        return [], None
    held = (
        select(bays.c.id, bays.c.name, bays.c.driver, bays.c.spec["tls_disabled"].as_boolean().label("tls_disabled"))
        .where(bays.c.id.in_(ids), bays.c.wanted == "present")
        .order_by(bays.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    rows = {row.id: row for row in await conn.execute(held)}
    first = func.min(authorities.c.not_after)
    ends = (
        select(authorities.c.bay_id, first.label("first"), (first <= func.now()).label("over"))
        .where(*_MINE, authorities.c.bay_id.in_(rows))
        .group_by(authorities.c.bay_id)
        .order_by(authorities.c.bay_id)
    )
    found = [
        Ending(one.bay_id, bay.name, bay.driver, bool(bay.tls_disabled), one.first, one.over)
        for one in await conn.execute(ends)
        for bay in [rows[one.bay_id]]
    ]
    return found, ids[-1]


async def warn(conn: AsyncConnection, held: Sequence[UUID], within: timedelta) -> list[tuple[UUID, int, datetime]]:
    """Note that those bays' owners are told now: bay, generation and end of each that nobody was told of before."""
    ending = (
        select(authorities.c.bay_id, authorities.c.generation)
        .where(*_MINE, authorities.c.bay_id.in_(held))
        .group_by(authorities.c.bay_id, authorities.c.generation)
        .having(func.min(authorities.c.not_after) < func.now() + within, func.max(authorities.c.warned_at).is_(None))
    )
    generation = tuple_(authorities.c.bay_id, authorities.c.generation)
    warned = await conn.execute(
        update(authorities)
        .where(*_MINE, generation.in_(ending))
        .values(warned_at=func.now())
        .returning(authorities.c.bay_id, authorities.c.generation, authorities.c.not_after)
    )
    first: dict[tuple[UUID, int], datetime] = {}
    for row in warned:
        key = row.bay_id, row.generation
        first[key] = min(row.not_after, first.get(key, row.not_after))
    return [(bay_id, number, end) for (bay_id, number), end in sorted(first.items())]


async def tell(conn: AsyncConnection, sentences: Mapping[UUID, str]) -> None:
    """Say it of those bays, where it is not said already. The caller has them by `hold_ending`."""
    await conn.execute(_TELL, {"ids": list(sentences), "sentences": list(sentences.values())})


async def tell_over(conn: AsyncConnection, within: timedelta, limit: int) -> int:
    """Take back what was said of bays whose authorities do not end soon any more; of how many."""
    return (await conn.execute(_OVER, {"within": within, "kinds": list(KINDS), "limit": limit})).rowcount


async def figures(conn: AsyncConnection, within: timedelta, of_nodes: timedelta) -> Figures:
    """For the metrics; `of_nodes` is what is soon for a node's certificate."""
    ends = (await conn.execute(_ENDS, {"within": within, "kinds": list(KINDS)})).one()
    nodes = (await conn.execute(_NODES, {"within": of_nodes, "back": _LOOKED_BACK})).one()
    return Figures(ends.soon, ends.ended, ends.first_end, nodes.soon, nodes.ended)


_TELL: Final = text(f"""
    UPDATE bays SET health_status_reason = health_status_reason || jsonb_build_object('{KEY}', said.sentence),
                    updated_at = now()
    FROM unnest(:ids, :sentences) AS said(id, sentence)
    WHERE bays.id = said.id AND health_status_reason ->> '{KEY}' IS DISTINCT FROM said.sentence
""").bindparams(  # noqa: S608 - made of constants
    bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))), bindparam("sentences", type_=ARRAY(Text))
)
_OVER: Final = text(f"""
    UPDATE bays SET health_status_reason = health_status_reason - '{KEY}', updated_at = now()
    WHERE id IN (
        SELECT id FROM bays
        WHERE health_status_reason ? '{KEY}' AND NOT EXISTS (
            SELECT FROM authorities a
            WHERE a.bay_id = bays.id AND a.retired_at IS NULL AND a.kind = ANY(:kinds)
              AND a.not_after < now() + :within
        )
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    )
""").bindparams(  # noqa: S608 - made of constants
    bindparam("kinds", type_=ARRAY(Text)), bindparam("within", type_=Interval)
)
_ENDS: Final = text("""
    SELECT count(*) FILTER (WHERE a.not_after > now()) AS soon, count(*) FILTER (WHERE a.not_after <= now()) AS ended,
           (SELECT extract(epoch FROM min(not_after) - now())::float FROM authorities
            WHERE retired_at IS NULL AND kind = ANY(:kinds)) AS first_end
    FROM authorities a WHERE a.retired_at IS NULL AND a.kind = ANY(:kinds) AND a.not_after < now() + :within
""").bindparams(bindparam("kinds", type_=ARRAY(Text)), bindparam("within", type_=Interval))
# Written out, because the planner takes a partial index only for a state and a profile that it sees.
_NODES: Final = text("""
    SELECT count(*) FILTER (WHERE c.not_after > now()) AS soon, count(*) FILTER (WHERE c.not_after <= now()) AS ended
    FROM certificates c JOIN nodes n ON n.bay_id = c.bay_id AND 'node:' || n.server_id = c.requester
    WHERE c.state = 'issued' AND c.profile = 'node:node'
      AND c.not_after > now() - :back AND c.not_after < now() + :within
      AND NOT EXISTS (
        SELECT FROM certificates later
        WHERE later.bay_id = c.bay_id AND later.requester = c.requester AND later.created_at > c.created_at
          AND later.profile = 'node:node' AND later.state = 'issued'
      )
""").bindparams(bindparam("within", type_=Interval), bindparam("back", type_=Interval))
