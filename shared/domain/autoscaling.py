"""Whether a nodegroup grows or shrinks: one pure function for every engine.

The rules, the first that says something counts:

1. A group that is smaller than its range is brought into it, whatever else holds.
2. Out, at once: work waits that more nodes fit, or more is asked for of the nodes than the utilisation aimed at.
   Work that waits although there is room (for reasons of its own, a port or a rule about neighbours) gets one node on
   trial, and the next only if the last one helped.
3. In, after a quiet period without a break: by nodes whose work fits elsewhere, if what is left stays below the
   utilisation aimed at; a group that is larger than its range also by busier ones. A shrinking that had to be undone
   doubles the quiet period, up to eight times. Work that a trial has not helped keeps nobody from leaving.

Who sees nothing, sees late or sees what cannot be never shrinks. After 1 and 2 come the cool-downs and the steps.
Nodes that were asked for and do not come are not bought anew, but for one or a tenth of the group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Final

from shared.domain import autoscaling_words as words
from shared.domain.packing import Amount

BOOT_SECONDS: Final = 600.0
"""For so long nodes that were asked for and have not come count as starting; afterwards as missing."""
LONGEST_GAP: Final = 300.0
"""Seconds between two looks beyond which nobody knows whether it was quiet meanwhile."""
TRIAL_SECONDS: Final = 180.0
"""How long work waits beside free room before a node is tried for it."""
TRIED_SECONDS: Final = 6 * 3600.0
"""So long after the last stuck work a trial that was made for it is remembered, lest work that comes and goes gets one
each time."""
MISSING_SHARE: Final = 0.1
"""Of a group's nodes, or one node: what may be missing and is bought in its place."""
SLACK: Final = 0.05
"""So far below the utilisation aimed at stays who shrinks, lest the next small thing makes it grow again."""
_BLIND_TOLD: Final = 3
"""Looks in a row that failed, or that missed nodes, until people are told."""
_MOST_REGRETS: Final = 3
_LARGEST_SHARE: Final = 1000.0
"""No engine puts a thousand times as much on a node as the node has."""
_TINY: Final = 1e-9


class Topic(StrEnum):
    """What a decision is about; people are told when it changes."""

    STEADY = "steady"
    RESTING = "resting"
    GROW = "grow"
    SHRINK = "shrink"
    FULL = "full"
    TOO_LARGE = "too large"
    STUCK = "stuck"
    BLIND = "blind"
    MISSING = "missing"


_TROUBLE: Final = frozenset({Topic.FULL, Topic.TOO_LARGE, Topic.STUCK, Topic.BLIND, Topic.MISSING})
"""What people are told of once, and of its end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the policy allows. Utilisation as a share of 1, times in seconds."""

    least: int
    most: int
    target: float
    scale_in: float
    quiet: float
    rest_out: float
    rest_in: float
    step_out: int
    step_in: int


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a nodegroup."""

    ready: int
    """Nodes of the group that take work."""
    nodes: int
    """These and those that are coming: what `cpu` and `memory` are shares of."""
    cpu: float
    memory: float
    """What work on the group's nodes asks for, as a share of what they have."""
    idle: int
    """Nodes without work that would have to be moved, as far as those leave that are to leave first."""
    spare: int
    """Nodes whose work fits elsewhere, in the order in which nodes leave; the idle ones among them."""
    more: int
    """New nodes that fit what waits and has no room."""
    waiting: tuple[str, ...] = ()
    """That work, for people."""
    stuck: tuple[str, ...] = ()
    """Work that waits although there is room, for people."""
    too_large: tuple[str, ...] = ()
    """Work that no node of this group fits, for people."""
    size: Amount | None = None
    """What a new node of the group offers; None: not known."""
    word: str = "pods"
    """What the engine calls its work."""
    missing: int = 0
    """Nodes of the group that do not work and had their time to start."""

    @property
    def sound(self) -> bool:
        """Whether it can be true."""
        counts = (self.ready, self.nodes, self.idle, self.spare, self.more, self.missing)
        shares = Amount(self.cpu, self.memory)
        return min(counts) >= 0 and self.ready <= self.nodes and shares.sound and max(shares) <= _LARGEST_SHARE


@dataclass(frozen=True, slots=True)
class History:
    """What one look leaves for the next. Instants in seconds of one clock."""

    at: float | None = None
    count: int | None = None
    changed: float | None = None
    """When the count was first seen as it is."""
    out_at: float | None = None
    in_at: float | None = None
    quiet_since: float | None = None
    regrets: int = 0
    stuck_since: float | None = None
    tried: int = 0
    """How much was stuck when a node was tried for it; 0: none was, lately."""
    stuck_at: float | None = None
    """When anything was last stuck."""
    blind: int = 0
    missed: int = 0
    """Looks in a row that missed nodes."""
    told: str = Topic.STEADY.value

    @classmethod
    def of(cls, memo: Mapping[str, object]) -> History:
        """What `asdict` made of one; what is not a value of its field counts as absent."""
        found = {one.name: memo[one.name] for one in fields(cls) if _fits(one.name, memo.get(one.name))}
        return cls(**found)  # type: ignore[arg-type]  # _fits has looked at each

    def memo(self) -> dict[str, object]:
        """As JSON; what is as in a new one is left out."""
        fresh = asdict(History())
        return {name: value for name, value in asdict(self).items() if value != fresh[name]}


@dataclass(frozen=True, slots=True)
class Decision:
    """How many nodes the group is to have, and why, as a sentence for people."""

    desired: int
    reason: str
    topic: Topic
    history: History
    tell: bool
    """Whether people should read it: something is done, or the reason is another one than before."""


def young(now: float, count: int, history: History) -> bool:
    """Whether nodes of the group that are not there yet may still be starting."""
    return history.changed is None or history.count != count or now - history.changed < BOOT_SECONDS


def made_up(count: int, missing: int) -> int:
    """How many of the nodes that are missing although they had their time are bought anew; the others still count as
    coming: else a group whose new nodes never work would grow as far as it may."""
    return min(missing, max(1, int(count * MISSING_SHARE)))


def decide(
    now: float, count: int, load: Load | None, limits: Limits, history: History, *, unseen: str = ""
) -> Decision:
    """How many nodes the group of `count` nodes is to have.

    `load` None: nothing could be seen, for the reason `unseen`.
    """
    seen = load if load is not None and load.sound else None
    past = _followed(now, count, history)
    if seen is not None:
        past = replace(past, blind=0, missed=past.missed + 1 if seen.missing else 0)
    case = _Case(now, count, seen, limits, past, unseen)
    return case.range() or case.blind() or case.out() or case.inward() or case.rest()


@dataclass
class _Case:
    now: float
    count: int
    load: Load | None
    limits: Limits
    past: History
    unseen: str

    def range(self) -> Decision | None:
        """Rule 1."""
        limits, count = self.limits, self.count
        if count < limits.least:
            return self._grow(
                limits.least, f"The group has {words.nodes(count)} and shall have {limits.least} at least"
            )
        return None

    def blind(self) -> Decision | None:
        """Nothing is seen, so nothing is known of quiet either."""
        if self.load is not None:
            return None
        self.past = replace(self.past, quiet_since=None, blind=self.past.blind + 1)
        topic = Topic.BLIND if self.past.blind >= _BLIND_TOLD else Topic.RESTING
        because = f" ({self.unseen.rstrip('.')})" if self.unseen else ""
        return self._decision(self.count, f"What runs in the cluster cannot be seen{because}; its size stays.", topic)

    def out(self) -> Decision | None:
        """Rule 2."""
        load = self._seen()
        wanted, why = self._by_waiting(load)
        aimed = self.count + self._short_of_target(load)
        if aimed > wanted:
            share = max(load.cpu, load.memory)
            what = "cpu" if load.cpu >= load.memory else "memory"
            aim = f"more than the {self.limits.target:.0%} aimed at"
            wanted, why = (
                aimed,
                f"{share:.0%} of the nodes' {what} is asked for, {aim}; {words.more(aimed - self.count)} it",
            )
        if wanted <= self.count:
            wanted, why = self._by_trial(load)
        return self._grow(wanted, why) if wanted > self.count else None

    def inward(self) -> Decision | None:
        """Rule 3."""
        load, limits = self._seen(), self.limits
        leaving = self._leaving(load)
        if not leaving:
            self.past = replace(self.past, quiet_since=None)
            return None
        since = self.now if self.past.quiet_since is None else self.past.quiet_since
        self.past = replace(self.past, quiet_since=since)
        quiet = limits.quiet * 2**self.past.regrets
        rested = self.now - max(_or_never(self.past.changed), _or_never(self.past.out_at)) >= limits.rest_in
        if self.now - since < quiet or not rested or self.now - _or_never(self.past.in_at) < limits.rest_in:
            return None
        calm = self.now - _or_never(self.past.out_at) > 4 * quiet
        self.past = replace(self.past, in_at=self.now, quiet_since=None, regrets=0 if calm else self.past.regrets)
        why = f"{self._calm(load, leaving, self.now - since)}; what runs fits on {words.nodes(self.count - leaving)}."
        return self._decision(self.count - leaving, why, Topic.SHRINK)

    def rest(self) -> Decision:
        """Nothing is to be done; which is worth telling where work waits all the same."""
        load = self._seen()
        if self.past.missed >= _BLIND_TOLD:
            return self._missing(load)
        if load.too_large:
            why = f"{words.work(load.too_large, load.word)} for larger nodes than this group has; more would not help."
            return self._decision(self.count, why, Topic.TOO_LARGE)
        if load.stuck and self.now - _or_never(self.past.stuck_since) >= TRIAL_SECONDS:
            why = f"{words.work(load.stuck, load.word)} although nodes have room; more would not help."
            return self._decision(self.count, why, Topic.STUCK)
        topic = Topic.RESTING if load.waiting or load.stuck else Topic.STEADY
        return self._decision(self.count, "All work has room.", topic)

    def _seen(self) -> Load:
        assert self.load is not None  # noqa: S101 - `blind` is asked before
        since = self.now if self.past.stuck_since is None else self.past.stuck_since
        if self.load.stuck:
            self.past = replace(self.past, stuck_since=since, stuck_at=self.now)
        elif self.now - _or_never(self.past.stuck_at) <= TRIED_SECONDS:
            self.past = replace(self.past, stuck_since=None)
        else:
            self.past = replace(self.past, stuck_since=None, stuck_at=None, tried=0)
        return self.load

    def _by_waiting(self, load: Load) -> tuple[int, str]:
        more = load.more if load.waiting else 0
        return (
            self.count + more,
            f"{words.work(load.waiting, load.word)} for room; {words.more(more)} them" if more else "",
        )

    def _short_of_target(self, load: Load) -> int:
        share = max(load.cpu, load.memory)
        return max(0, math.ceil(load.nodes * share / self.limits.target - _TINY) - load.nodes)

    def _by_trial(self, load: Load) -> tuple[int, str]:
        """One node for work that waits beside free room, if the last one so tried has helped."""
        past, stuck = self.past, len(load.stuck)
        due = stuck and self.now - _or_never(past.stuck_since) >= TRIAL_SECONDS and load.ready >= self.count
        if not due or (past.tried and stuck >= past.tried) or self.count >= self.limits.most:
            return self.count, ""
        if self.now - _or_never(past.out_at) >= self.limits.rest_out:
            self.past = replace(past, tried=stuck, stuck_since=self.now)
        return self.count + 1, f"{words.work(load.stuck, load.word)} although nodes have room; one more node is tried"

    def _grow(self, wanted: int, why: str) -> Decision:
        """As far as range, step and cool-down let it."""
        limits = self.limits
        desired = min(wanted, self.count + limits.step_out, limits.most)
        self.past = replace(self.past, quiet_since=None)
        if desired <= self.count and self.load is not None and self.past.missed >= _BLIND_TOLD:
            return self._missing(self.load)
        if desired <= self.count:
            why = f"{why}, and the group may have {limits.most} at most."
            return self._decision(self.count, why, Topic.FULL if self.count >= limits.most else Topic.RESTING)
        if self.now - _or_never(self.past.out_at) < limits.rest_out:
            return self._decision(self.count, f"{why}, after the pause that follows a change.", Topic.RESTING)
        regretted = self.now - _or_never(self.past.in_at) < 2 * limits.quiet * 2**self.past.regrets
        regrets = min(self.past.regrets + 1, _MOST_REGRETS) if regretted else self.past.regrets
        self.past = replace(self.past, out_at=self.now, regrets=regrets)
        bounded = f", of which {desired - self.count} may come now" if desired < wanted else ""
        return self._decision(desired, f"{why}{bounded}.", Topic.GROW)

    def _leaving(self, load: Load) -> int:
        """How many nodes may leave; 0 while anything waits that nodes may help, or a node is not ready."""
        limits = self.limits
        if load.waiting or (load.stuck and not self._in_vain(load)) or load.ready < self.count:
            return 0
        share, over = max(load.cpu, load.memory), max(0, self.count - limits.most)
        most = load.spare if share < limits.scale_in else max(load.idle, min(load.spare, over))
        leaving = min(most, limits.step_in, self.count - limits.least, load.nodes)
        while leaving > 0:
            left = load.nodes - leaving
            if share * load.nodes <= left * max(0.0, limits.target - SLACK) + _TINY:
                return leaving
            leaving -= 1
        return 0

    def _in_vain(self, load: Load) -> bool:
        """Whether more nodes do not help what is stuck: one was tried, or none may be."""
        past = self.past
        tried = bool(past.tried) and len(load.stuck) >= past.tried
        long = self.now - _or_never(past.stuck_since) >= TRIAL_SECONDS
        return long and (tried or self.count >= self.limits.most)

    def _calm(self, load: Load, leaving: int, seconds: float) -> str:
        """Why nodes may leave, for people."""
        share = max(load.cpu, load.memory)
        if load.idle >= leaving:
            return f"For {words.minutes(seconds)} {words.nodes(leaving)} {words.had(leaving)} no work"
        if share >= self.limits.scale_in:
            return f"The group has {words.nodes(self.count)} and may have {self.limits.most} at most"
        return f"For {words.minutes(seconds)} only {share:.0%} of the nodes is asked for"

    def _missing(self, load: Load) -> Decision:
        joined = f"{words.nodes(load.missing)} of {self.count} did not join the cluster, or left it"
        why = f"{joined}; until they work hardly any others are added. Look at the bay's health."
        return self._decision(self.count, why, Topic.MISSING)

    def _decision(self, desired: int, reason: str, topic: Topic) -> Decision:
        told, acts = self.past.told, desired != self.count
        news = topic in _TROUBLE and topic.value != told
        over = topic is Topic.STEADY and told in {one.value for one in _TROUBLE}
        if acts or news or over:
            self.past = replace(self.past, told=topic.value)
        return Decision(desired, reason[0].upper() + reason[1:], topic, self.past, acts or news or over)


def _followed(now: float, count: int, past: History) -> History:
    """The history as this look finds it: who changed the count, and whether too much time went by unseen.

    Instants after `now` are from a clock that was wrong; they count as now.
    """
    gap = past.at is None or not 0 <= now - past.at <= LONGEST_GAP
    changed = past.count != count or past.changed is None
    names = ("out_at", "in_at", "stuck_since", "stuck_at", "quiet_since", "changed")
    instants = {name: min(now, value) for name in names if (value := getattr(past, name)) is not None}
    instants |= {"changed": now} if changed else {}
    kept = replace(past, **instants)
    return replace(kept, at=now, count=count, quiet_since=None if gap or changed else kept.quiet_since)


def _fits(name: str, value: object) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if name == "told":
        return isinstance(value, str)
    if name in ("count", "regrets", "tried", "blind", "missed"):
        return isinstance(value, int) and value >= 0 and (name != "regrets" or value <= _MOST_REGRETS)
    return isinstance(value, int | float) and math.isfinite(value)


def _or_never(instant: float | None) -> float:
    return -math.inf if instant is None else instant
