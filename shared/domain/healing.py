"""Which node of a bay is healed next, or why none is; pure.

The time that a dead node may take (seconds; each figure is a constant here or the agent's own):

    0    its first report is missed. An agent's timer fires 180 s after its last run, it waits for up to 30 s and then
         runs for some more: it promises a report within 240 s (`next_within`). So at the earliest this is 180 s after
         its last report.
    150  it is silent: the promise and `GRACE` are over, and others were heard since (below).
    165  the scaler's next round (`ROUND`) writes that down and asks for the operation.
    175  Nova restarts the server.
    385  `PATIENCE` is over: a boot (60 s), the agent's first run (60 s after that, and up to 30 s), one report.
    415  the work is moved away as far as that goes (`DRAIN`), and Heat is asked for another server.
    600  so the cloud has three minutes to make it.

A server that the cloud calls gone or broken is not waited for, nor restarted where that cannot be.

That nobody hears a node may be our fault. An agent that does not get through tries again within 45 s, so after a short
time in which the API was away all have reported again within `GRACE`. So silence is believed only where somebody else's
report came after the promise was over, and at least `GRACE` ago. Where hardly anybody is there to report that takes
up to one more cadence. After a longer time of ours all were late at once, and `MOST` counts those, too, who are heard
again since a moment ago (`RECENT`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

GRACE: Final = 90
"""Seconds over what an agent promised before it is silent."""
OLD_AGENT: Final = 840
"""Within so many seconds an agent reports that promises nothing: older ones come every 7 min at the latest, and do not
try again before that when they do not get through."""
ROUND: Final = 15.0
"""Seconds between two rounds of the scaler."""
PATIENCE: Final = 210.0
"""Seconds that a restarted server gets to be well again."""
DRAIN: Final = 30.0
"""Seconds that the work of a node gets to leave it before it is replaced."""
ILL: Final = 300.0
"""Seconds for which a node has to call itself not well before it is healed."""
MOST: Final = 0.4
"""A larger share of a nodegroup is not healed: when so many are not well, it is hardly the nodes."""
TIMES: Final = 3
"""So often a node's place is healed within `WITHIN`."""
WITHIN: Final = timedelta(hours=24)
AGAIN: Final = timedelta(minutes=30)
"""After a healing that failed the same place is let alone for so long."""
RECENT: Final = 300.0
"""Seconds for which a node that is heard again counts as one that was not: agents come back one by one."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node of a bay."""

    server_id: str
    name: str
    role: str
    nodegroup: str
    created_at: datetime
    healthy: bool
    problem: str
    silent: bool
    cloud: bool
    """Whether it is the cloud that says that it is not well."""
    seconds: float
    """How long it has been as it is."""
    lost: bool
    """Whether it is silent, or was until a moment ago."""
    unheard: float
    """Seconds since its last report."""

    @property
    def due(self) -> bool:
        """Whether it has not been well for long enough."""
        return not self.healthy and (self.silent or self.cloud or self.seconds >= ILL)


@dataclass(frozen=True, slots=True)
class Heal:
    """An earlier healing in the bay."""

    server_id: str
    place: str
    """The first server of the line of which each replaced the one before."""
    nodegroup: str
    created_at: datetime
    finished_at: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done."""

    node: Member | None = None
    place: str = ""
    why: str | None = None
    """Why something is not healed, for people."""


def decide(members: Sequence[Member], heals: Sequence[Heal], now: datetime) -> Decision:
    """The node that is healed next, the one that has been ill for longest first; at most one, since one operation
    changes a bay at a time."""
    due = sorted((one for one in members if one.due), key=lambda one: -one.seconds)
    if not due:
        return Decision()
    lost = sum(one.lost for one in members)
    if lost > 1 and lost > MOST * len(members):
        return Decision(why=_cut_off(lost, len(members)))
    reasons: list[str] = []
    for one in due:
        place = place_of(one, heals)
        if why := _too_many(one, members) or _too_often(one, place, heals, now):
            reasons.append(why)
        else:
            return Decision(one, place, " ".join(dict.fromkeys(reasons)) or None)
    return Decision(why=" ".join(dict.fromkeys(reasons)))


def place_of(node: Member, heals: Sequence[Heal]) -> str:
    """Whose place a node has taken: it came while another of its group was healed, and only one comes at a time."""
    for one in heals:
        came = one.created_at <= node.created_at <= one.finished_at
        if came and one.nodegroup == node.nodegroup and one.server_id != node.server_id:
            return one.place
    return node.server_id


def _too_many(node: Member, members: Sequence[Member]) -> str | None:
    """Of a group of one or two a single node is healed all the same."""
    group = [one for one in members if one.nodegroup == node.nodegroup]
    ill = sum(not one.healthy for one in group)
    if ill < 2 or ill <= MOST * len(group):
        return None
    return (
        f"Nothing is healed in nodegroup {node.nodegroup}: {ill} of its {len(group)} nodes are not well, more than "
        f"{MOST:.0%}. That is probably the network or what they share, not the nodes."
    )


def _cut_off(lost: int, members: int) -> str:
    return (
        f"Nothing is healed: {lost} of the {members} nodes are or were just now silent, more than {MOST:.0%}. That is "
        "probably the way from the bay to this service, not the nodes."
    )


def _too_often(node: Member, place: str, heals: Sequence[Heal], now: datetime) -> str | None:
    mine = sorted((one for one in heals if one.place == place), key=lambda one: one.created_at)
    lately = [one for one in mine if now - one.created_at < WITHIN]
    if len(lately) >= TIMES:
        until = lately[-TIMES].created_at + WITHIN
        return (
            f"{node.name} is not healed again before {until:%Y-%m-%d %H:%M} UTC: that was done {len(lately)} times "
            "within 24 hours, and did not last."
        )
    if mine and mine[-1].failed and now - mine[-1].finished_at < AGAIN:
        return f"{node.name} could not be healed; that is tried again at {mine[-1].finished_at + AGAIN:%H:%M} UTC."
    return None


@dataclass(frozen=True, slots=True)
class Sick:
    """A bay in which there may be something to heal."""

    bay_id: UUID
    now: datetime
    """By Postgres's clock."""
    told: str | None
    """Why nothing was healed, as it was told last."""
    members: Sequence[Member]
    heals: Sequence[Heal]
