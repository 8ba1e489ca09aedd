"""Refused CSRs in the audit trail: one line for all that are alike, however many there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays, certificate_audit

CSR_REFUSED: Final = "csr refused"
"""What the trail calls it."""


class Refusal(NamedTuple):
    """What makes refusals alike; texts are empty where nothing is known."""

    bay: str
    """As the caller named it: a uuid or a name."""
    project: str
    """The caller's, in which a name means a bay."""
    requester: str
    why: str


async def write(conn: AsyncConnection, counted: Mapping[Refusal, int]) -> None:
    """Write a line for each bay, requester and reason. What names no bay, or several, is put down to none."""
    ids = await _by_id(conn, counted)
    names = await _by_name(conn, counted)
    lines: Counter[tuple[UUID | None, str, str]] = Counter()
    for refusal, times in counted.items():
        bay_id = ids.get(refusal.bay) or names.get((refusal.project, refusal.bay))
        lines[bay_id, refusal.requester, refusal.why] += times
    rows = [
        {"bay_id": bay_id, "action": CSR_REFUSED, "requester": requester or None, "detail": why, "times": times}
        for (bay_id, requester, why), times in lines.items()
    ]
    await conn.execute(insert(certificate_audit).inline(), rows)


async def _by_id(conn: AsyncConnection, counted: Mapping[Refusal, int]) -> dict[str, UUID]:
    asked = {one.bay: found for one in counted if (found := _uuid(one.bay)) is not None}
    if not asked:
        return {}
    there = set(await conn.scalars(select(bays.c.id).where(bays.c.id.in_(set(asked.values())))))
    return {text: bay_id for text, bay_id in asked.items() if bay_id in there}


async def _by_name(conn: AsyncConnection, counted: Mapping[Refusal, int]) -> dict[tuple[str, str], UUID]:
    asked = {(one.project, one.bay) for one in counted if one.bay and _uuid(one.bay) is None}
    if not asked:
        return {}
    named = tuple_(bays.c.project_id, bays.c.name)
    query = (
        select(bays.c.project_id, bays.c.name, func.array_agg(bays.c.id).label("ids"))
        .where(named.in_(asked))
        .group_by(bays.c.project_id, bays.c.name)
    )
    return {(row.project_id, row.name): row.ids[0] for row in await conn.execute(query) if len(row.ids) == 1}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
