"""A nodegroup's life under autoscaling on a simulated clock: loads, a scheduler, nodes that take their time to boot."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.scaler.autoscale_load import load_of
from shared.coe.port import CoeNode, Look, Resources, Work
from shared.domain.autoscaling import History, Limits, decide, young
from shared.domain.bay import Node
from shared.domain.packing import Amount, nodes_for
from shared.domain.scaling import Busy, idlest

STEP: Final = 60.0
"""Seconds between two looks."""
DAY: Final = 24 * 3600.0
BOOT: Final = 240.0
"""Seconds from asking for nodes to their being ready: Heat, Nova, the system's start, the images."""
LEAVE: Final = 120.0
"""Seconds from asking nodes to leave to their being gone: drain and stack."""
SIZE: Final = Amount(3.8, 14 * 2.0**30)
"""What a node of 4 cores and 16 GiB offers."""

Demand = Callable[[float], Mapping[str, Amount]]
"""By time: the work that there is, by name."""


def daily(seed: int = 7) -> Demand:
    """Pods of half a core: 10 at night, 80 at noon, with the unrest of real visitors, who come and go in minutes."""
    noise, unrest, level = random.Random(seed), list[float](), 0.0
    for _ in range(int(DAY / STEP) + 1):
        level = 0.9 * level + noise.gauss(0, 1.5)
        unrest.append(level)

    def pods(now: float) -> Mapping[str, Amount]:
        wave = 45 - 35 * math.cos(2 * math.pi * now / DAY)
        return _web(round(wave + unrest[int(now / STEP)]))

    return pods


def spike(now: float) -> Mapping[str, Amount]:
    """Ten pods of half a core, and a hundred for forty minutes in the eighth hour."""
    return _web(100 if 8 * 3600 <= now < 8 * 3600 + 2400 else 10)


class Batch:
    """Every three hours sixty jobs of a core, each of which runs for twenty minutes once it has a place."""

    every, jobs, seconds = 3 * 3600.0, 60, 1200.0

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def __call__(self, now: float) -> Mapping[str, Amount]:
        come = int(now // self.every)
        names = (f"batch-{turn}-{job:02}" for turn in range(1, come + 1) for job in range(self.jobs))
        ask = Amount(1.0, 2.0**30)
        return {**_web(4), **{name: ask for name in names if now < self.began.get(name, math.inf) + self.seconds}}


def _web(number: int) -> dict[str, Amount]:
    ask = Amount(0.5, 2.0**29)
    return {f"web-{at:03}": ask for at in range(max(0, number))}


@dataclass
class Life:
    """What became of it, a value for each look."""

    nodes: list[int] = field(default_factory=list)
    ideal: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    changes: int = 0

    @property
    def node_hours(self) -> float:
        return sum(self.nodes) * STEP / 3600

    @property
    def ideal_hours(self) -> float:
        return sum(self.ideal) * STEP / 3600

    @property
    def unmet_minutes(self) -> float:
        """Minutes in which any work waited."""
        return sum(number > 0 for number in self.waiting) * STEP / 60

    @property
    def waited_minutes(self) -> float:
        """Minutes that all work together has waited."""
        return sum(self.waiting) * STEP / 60


@dataclass
class _Group:
    nodes: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    works: dict[str, Amount] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def join(self, number: int) -> None:
        for _ in range(number):
            self.nodes.append(f"node-{self.made}")
            self.made += 1

    def close(self, number: int) -> None:
        """Drain the nodes that a resize would choose."""
        moving = Counter(self.homes.values())
        busy = {name: Busy(ready=True, open=True, works=moving[name]) for name in self.nodes}
        self.closed = set(idlest(self.rows(), busy)[:number])
        self.homes = {work: home for work, home in self.homes.items() if home not in self.closed}

    def leave(self) -> None:
        self.nodes = [name for name in self.nodes if name not in self.closed]
        self.closed = set()

    def schedule(self, works: Mapping[str, Amount]) -> list[str]:
        """Give each work that has no node the one with the most room, as Kubernetes does; who got one now."""
        self.works = dict(works)
        self.homes = {work: home for work, home in self.homes.items() if work in works}
        room = {name: SIZE for name in self.nodes if name not in self.closed}
        for work, home in self.homes.items():
            room[home] = room[home].plus(works[work], -1)
        placed = []
        for work in sorted(works.keys() - self.homes.keys()):
            best = max(room, key=lambda name: room[name].cpu, default="")
            if best and room[best].holds(works[work]) >= 1:
                self.homes[work] = best
                room[best] = room[best].plus(works[work], -1)
                placed.append(work)
        return placed

    def look(self) -> Look:
        have = Resources(SIZE.cpu, int(SIZE.memory))
        nodes = (CoeNode(name, name, (), True, "", name not in self.closed, False, have) for name in self.nodes)
        works = (
            Work(
                name,
                self.homes.get(name),
                Resources(ask.cpu, int(ask.memory)),
                False,
                "" if name in self.homes else "no room",
            )
            for name, ask in self.works.items()
        )
        return Look(tuple(nodes), tuple(works))

    def rows(self) -> list[Node]:
        return [Node(name, "worker", int(name.rpartition("-")[2]), name, "", "") for name in self.nodes]


def live(demand: Demand, limits: Limits, *, begin: int = 3) -> Life:
    """A day of it."""
    group, history, life = _Group(), History(), Life()
    group.join(begin)
    wanted, done_at = begin, -1.0
    for step in range(int(DAY / STEP)):
        now = step * STEP
        if 0 <= done_at <= now:
            group.leave() if wanted < len(group.nodes) else group.join(wanted - len(group.nodes))
            done_at = -1.0
        placed = group.schedule(demand(now))
        if isinstance(demand, Batch):
            demand.began |= dict.fromkeys(placed, now)
        life.nodes.append(len(group.nodes))
        life.ideal.append(max(limits.least, nodes_for(SIZE, Counter(group.works.values()), most=1000)))
        life.waiting.append(len(group.works) - len(group.homes))
        if done_at >= 0:
            continue  # an operation is under way: nobody looks
        load = load_of(group.look(), group.rows(), count=wanted, young=young(now, wanted, history))
        found = decide(now, wanted, load, limits, history)
        history = found.history
        if found.desired != wanted:
            life.changes += 1
            if found.desired < wanted:
                group.close(wanted - found.desired)
            done_at = now + (BOOT if found.desired > wanted else LEAVE)
            wanted = found.desired
    return life
