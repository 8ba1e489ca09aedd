"""What has happened to bays since somebody last looked: one query for all bays that are watched.

Order: every row of `bay_history` and every operation of a bay is written while its bay's row is locked (the first ones
in the transaction that makes the bay), and numbers are drawn at the insert. So of one bay, a lower number was committed
before a higher one, and "all above the last number seen" misses nothing. Between bays there is no such order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

from shared.db.reader import Source
from shared.db.repositories.operations import DOCUMENT
from shared.domain.operation import OperationState

MOST_REPLAYED: Final = 200
"""History rows in one answer of `lines`."""


class Line(NamedTuple):
    """A row of the history: its number, and the row as JSON."""

    seq: int
    text: str


class Told(NamedTuple):
    """An operation as it is now."""

    id: UUID
    seq: int
    live: bool
    """It is under way or waits: it can still change."""
    digest: str
    text: str
    """As JSON, like an item of `operations.history`."""


@dataclass(frozen=True)
class Seen:
    """How far a watcher of one bay is; nothing at first, which asks for the present state."""

    history: int | None = None
    operation: int | None = None
    live: Mapping[UUID, str] = field(default_factory=dict)
    """The digests of operations that could still change."""


@dataclass
class News:
    """What one bay's watcher has not seen yet."""

    lines: list[Line] = field(default_factory=list)
    operations: list[Told] = field(default_factory=list)
    gone: bool = False
    """The bay's row is no more; its history has told the last there is."""


async def look(source: Source, watched: Mapping[UUID, Seen]) -> dict[UUID, News]:
    """The news of these bays, by bay, of one moment; bays without news are left out.

    Whoever has seen nothing yet gets the last row of the history, what is live, and the newest operation.
    """
    known = [(operation, digest) for seen in watched.values() for operation, digest in seen.live.items()]
    rows = await source.fetch(
        _LOOK,
        list(watched),
        [seen.history for seen in watched.values()],
        [seen.operation for seen in watched.values()],
        [operation for operation, _digest in known],
        [digest for _operation, digest in known],
    )
    found: dict[UUID, News] = {}
    for row in rows:
        _add(found.setdefault(UUID(str(row["bay_id"])), News()), row)
    return found


async def lines(source: Source, bay_id: UUID, *, after: int, upto: int) -> list[Line]:
    """Rows of the bay's history after one number up to another, oldest first, at most `MOST_REPLAYED`."""
    rows = await source.fetch(_LINES, bay_id, after, upto, MOST_REPLAYED)
    return [Line(row["seq"], row["text"]) for row in rows]


async def ended(source: Source, bay_id: UUID, *, after: int) -> list[Told]:
    """The last hundred operations that have ended since that number of the history, oldest first. They never change
    any more."""
    return [_told(row) for row in await source.fetch(_ENDED, bay_id, after)]


def _add(news: News, row: Mapping[str, Any]) -> None:
    match row["kind"]:
        case "line":
            news.lines.append(Line(row["seq"], row["text"]))
        case "operation":
            news.operations.append(_told(row))
        case _:
            news.gone = True


def _told(row: Mapping[str, Any]) -> Told:
    return Told(UUID(str(row["id"])), row["seq"], row["live"], row["digest"], row["text"])


def _in(states: Sequence[OperationState]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)


_LIVE: Final = f"o.state IN ({_in((OperationState.ACTIVE, OperationState.QUEUED))})"

_LINE: Final = """json_build_object(
    'at', h.at, 'event', h.event, 'was', h.was, 'became', h.became, 'reason', h.reason, 'operation_id', h.operation_id
)::text"""

# How the planner is led: what follows must cost by what is news, never by what there is, neither by bays that nobody
# watches nor by how much a watched one has behind it. So everything is asked bay by bay (LATERAL), by the indexes on
# `bay_id` and `seq`, and `OFFSET 0` keeps conditions from being moved inwards, where they would be computed for every
# operation there is, or be taken for a reason to walk through the history of all bays.

_ONWARDS: Final = """(
    SELECT *, lead(at) OVER onwards = at AND lead(event) OVER onwards = 'update asked' AS passing
    FROM bay_history WHERE bay_id = {bay} AND seq > {after} WINDOW onwards AS (ORDER BY seq) OFFSET 0
)"""
"""The history of a bay after a number. `passing`: the end of a change with which the next in the queue began, in one
transaction; nobody could see it. That is told by the row behind it, so nothing before is needed."""

_TOLD: Final = f"""(
    SELECT o.bay_id, o.id, o.seq, {_LIVE} AS live, md5(d.text) AS digest, d.text
    FROM operations o CROSS JOIN LATERAL (SELECT {DOCUMENT}::text AS text OFFSET 0) d
    WHERE o.id = c.id OFFSET 0
)"""  # noqa: S608 - our own words
"""The operation of a candidate `c`."""

# One statement is one moment: a bay whose row is missing has its last history row in the same answer.
_LOOK: Final = f"""
    WITH watched AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS w (bay_id, history, operation)
    ), known AS MATERIALIZED (
        SELECT * FROM unnest($4::uuid[], $5::text[]) AS k (id, digest)
    ), candidates AS MATERIALIZED (
        SELECT k.id, k.digest FROM known k
        UNION ALL
        SELECT c.id, NULL
        FROM watched w CROSS JOIN LATERAL (
            SELECT o.id FROM operations o WHERE o.bay_id = w.bay_id AND o.seq > w.operation OFFSET 0
        ) c
        UNION ALL
        SELECT c.id, NULL
        FROM watched w CROSS JOIN LATERAL (
            SELECT o.id, o.seq, {_LIVE} AS live, max(o.seq) OVER () AS newest
            FROM operations o WHERE o.bay_id = w.bay_id OFFSET 0
        ) c
        WHERE w.operation IS NULL AND (c.live OR c.seq = c.newest)
    )
    SELECT 1 AS place, 'operation' AS kind, t.*
    FROM candidates c CROSS JOIN LATERAL {_TOLD} t
    WHERE t.digest IS DISTINCT FROM c.digest
    UNION ALL
    SELECT 2, 'line', h.bay_id, NULL, h.seq, NULL, NULL, {_LINE}
    FROM watched w
    CROSS JOIN LATERAL (
        SELECT coalesce(w.history, (SELECT max(n.seq) - 1 FROM bay_history n WHERE n.bay_id = w.bay_id)) AS seq OFFSET 0
    ) last
    CROSS JOIN LATERAL {_ONWARDS.format(bay="w.bay_id", after="last.seq")} h
    WHERE h.passing IS NOT TRUE
    UNION ALL
    SELECT 3, 'gone', w.bay_id, NULL, 0, NULL, NULL, NULL
    FROM watched w
    WHERE NOT EXISTS (SELECT FROM bays b WHERE b.id = w.bay_id OFFSET 0)
    ORDER BY place, seq
"""  # noqa: S608 - our own words

_LINES: Final = f"""
    SELECT h.seq, {_LINE} AS text FROM {_ONWARDS.format(bay="$1", after="$2")} h
    WHERE h.seq <= $3 AND h.passing IS NOT TRUE ORDER BY h.seq LIMIT $4
"""  # noqa: S608 - our own words

# The minute: a transaction that has waited for the bay's lock bears the instant at which it began.
_ENDED: Final = f"""
    SELECT t.* FROM (
        SELECT o.id FROM operations o
        WHERE o.bay_id = $1 AND NOT {_LIVE} AND o.finished_at >= coalesce(
            (SELECT max(h.at) FROM bay_history h WHERE h.bay_id = $1 AND h.seq <= $2) - interval '1 minute', '-infinity'
        )
        ORDER BY o.seq DESC LIMIT 100
    ) c CROSS JOIN LATERAL {_TOLD} t ORDER BY t.seq
"""  # noqa: S608 - our own words
