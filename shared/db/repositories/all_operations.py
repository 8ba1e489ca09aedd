"""Operations of all bays, for administrators, and which of them do not go on as they should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.operations import DOCUMENT, TIMEOUT
from shared.runtime.settings import Timing

SLACK: Final = 12
"""Sweeps of a service after which what is due should have been taken: a minute, before the time scale."""

FAILURES: Final = 5
"""Failures in a row, about a minute's, from which an operation counts as failing; surprises count at once."""


@dataclass(frozen=True)
class Wanted:
    """Which operations are asked for; None: whatever it is."""

    state: str | None = None
    kind: str | None = None
    service: str | None = None
    project_id: str | None = None
    stuck: bool = False


async def page(
    conn: AsyncConnection, wanted: Wanted, timing: Timing, *, limit: int, marker: UUID | None = None, oldest: bool
) -> list[dict[str, object]] | None:
    """A page of operations as JSON-ready values, newest or `oldest` first. None: the marker is none of them.

    Bays that are gone have taken theirs along.
    """
    after = None if marker is None else await conn.scalar(_PLACE, {"id": marker})
    if marker is not None and after is None:
        return None
    asked = {"state": wanted.state, "kind": wanted.kind, "service": wanted.service, "project": wanted.project_id}
    where = [_FILTERS[name] for name, value in asked.items() if value is not None]
    where += [f"o.state = 'active' AND {_STUCK} IS NOT NULL"] if wanted.stuck else []
    where += [] if after is None else [f"o.seq {'>' if oldest else '<'} :after"]
    query = text(
        f"SELECT {DOCUMENT} AS doc, {_MORE} AS more FROM operations o JOIN bays b ON b.id = o.bay_id "  # noqa: S608
        f"WHERE {' AND '.join(where) or 'true'} ORDER BY o.seq {'ASC' if oldest else 'DESC'} LIMIT :limit"
    )
    values = {
        **{name: value for name, value in asked.items() if value is not None},
        **({} if after is None else {"after": after}),
        "taken_over": timing.quarantine + SLACK * timing.sweep,
        "claimed": SLACK * timing.sweep,
        "failures": FAILURES,
        "limit": limit,
    }
    return [{**row.doc, **row.more} for row in await conn.execute(query, values)]


_PLACE: Final = text("SELECT seq FROM operations WHERE id = :id")

_FILTERS: Final = {
    "state": "o.state = :state",
    "kind": "o.kind = :kind",
    "service": "o.service = :service",
    "project": "b.project_id = :project",
}

# The attempt is counted at the claim and forgotten at each outcome, so a second one means that the first had none.
# Whoever may take over an expired lease waits for its quarantine; from then on, each service looks once a sweep.
_STUCK: Final = """(CASE
    WHEN o.state <> 'active' THEN NULL
    WHEN o.lease_until < now() - make_interval(secs => :taken_over) THEN 'abandoned'
    WHEN o.lease_until IS NULL AND o.next_run_at < now() - make_interval(secs => :claimed) THEN 'unclaimed'
    WHEN o.attempt > 1 THEN 'crashing'
    WHEN o.failures >= :failures OR o.surprises > 0 THEN 'failing'
END)"""

# As a claim reckons it (claims.py): the time of what had to queue runs from its start, and is not known before.
_ENDS: Final = f"""coalesce(o.deadline, (
    SELECT min(s.started_at) FROM operation_steps s WHERE s.operation_id = o.id
) + make_interval(mins => nullif((o.request->>'{TIMEOUT}')::int, 0)))"""  # noqa: S608

_MORE: Final = f"""json_build_object(
    'bay', json_build_object('uuid', b.id, 'name', b.name, 'project_id', b.project_id, 'status', b.status),
    'service', o.service, 'step', o.step, 'failures', o.failures, 'surprises', o.surprises,
    'next_run_at', o.next_run_at, 'lease_until', o.lease_until, 'deadline', {_ENDS}, 'stuck', {_STUCK}
)"""
