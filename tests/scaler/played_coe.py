"""A bay's engine, played in memory behind its port: nodes, work, budgets, and all that can go wrong with it.

What it does is what shared/coe/port.py promises of every engine. The real ones speak the wire in tests/coe.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from shared.coe.port import Blocker, CoeNode, Look, Resources, Work
from shared.domain.bay import Bay
from shared.domain.errors import CloudError

PERSON = "somebody"
"""The mark of a node that no operation of ours has closed."""


def refused(*, retryable: bool = True, service: str = "kubernetes") -> CloudError:
    """What a dead API answers."""
    return CloudError("The bay's Kubernetes did not answer: cannot connect.", service=service, retryable=retryable)


@dataclass
class PlayedCoe:
    """The engine of one bay."""

    nodes: dict[str, CoeNode] = field(default_factory=dict)
    works: list[Work] = field(default_factory=list)
    budgets: dict[str, str] = field(default_factory=dict)
    """Work that no eviction moves, and what keeps it."""
    slow: set[str] = field(default_factory=set)
    """Work that takes its time to end."""
    marks: dict[str, str] = field(default_factory=dict)
    errors: list[CloudError] = field(default_factory=list)
    """What the next calls answer instead, one each."""
    dead: CloudError | None = None
    """What every call answers instead."""
    dies_after: int | None = None
    """After so many calls it is dead."""
    calls: list[str] = field(default_factory=list)

    def node(self, name: str, address: str = "", **other: object) -> None:
        """There is such a node, ready and open."""
        plain = CoeNode(name, name, (address,), True, "", True, False, Resources(2.0, 4 << 30))
        self.nodes[name] = replace(plain, **other)  # type: ignore[arg-type] # by the test

    def runs(self, name: str, node: str, *, stays: bool = False, held: bool = False) -> None:
        """Such work runs there."""
        self.works.append(Work(name, node, Resources(0.1, 1 << 20), stays, held=held))

    def closed(self) -> set[str]:
        """Names of the nodes that take no work."""
        return {name for name, node in self.nodes.items() if not node.open}

    def somebody_closes(self, name: str) -> None:
        """By hand."""
        self.nodes[name] = replace(self.nodes[name], open=False)
        self.marks[name] = PERSON

    def _hear(self, what: str) -> None:
        self.calls.append(what)
        if self.dies_after is not None and len(self.calls) > self.dies_after:
            self.dead = refused()
        if self.errors:
            raise self.errors.pop(0)
        if self.dead is not None:
            raise self.dead

    async def health(self) -> Mapping[str, str]:
        """Not asked here."""
        self._hear("health")
        return {"api": "ok"}

    async def look(self) -> Look:
        """What there is."""
        self._hear("look")
        return Look(tuple(self.nodes.values()), tuple(self.works))

    async def close_nodes(self, nodes: Sequence[CoeNode], mark: str) -> None:
        """Closes what is open and leaves its mark."""
        self._hear("close")
        for one in nodes:
            if self.nodes[one.id].open:
                self.nodes[one.id] = replace(self.nodes[one.id], open=False)
                self.marks[one.id] = mark

    async def open_nodes(self, nodes: Iterable[CoeNode], mark: str) -> None:
        """Opens what bears the mark."""
        self._hear("open")
        for one in nodes:
            if self.marks.get(one.id) == mark:
                del self.marks[one.id]
                self.nodes[one.id] = replace(self.nodes[one.id], open=True)

    async def drain(self, nodes: Sequence[CoeNode], *, force: bool) -> list[Blocker]:
        """What no budget keeps goes to another node that takes it, or waits for one."""
        self._hear("drain by force" if force else "drain")
        assert all(not self.nodes[one.id].open for one in nodes), "drained while new work may come"
        leaving, left = {one.id for one in nodes}, []
        for work in [one for one in self.works if one.node in leaving and not one.stays]:
            kept = "" if force else self.budgets.get(work.name, "")
            if kept or work.name in self.slow:
                left.append(Blocker(work.name, kept))
                continue
            takers = [node.id for node in self.nodes.values() if node.open and node.ready]
            self.works[self.works.index(work)] = replace(work, node=takers[0] if takers else None)
        return left

    async def forget(self, nodes: Iterable[CoeNode]) -> None:
        """Strikes them off."""
        self._hear("forget")
        for one in nodes:
            self.nodes.pop(one.id, None)

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class PlayedAccess:
    """The way into bays that are played."""

    bays: dict[object, PlayedCoe] = field(default_factory=dict)
    """By the bay's id."""
    out_of_reach: set[object] = field(default_factory=set)

    def reaches(self, bay: Bay) -> bool:
        """Unless the test says otherwise."""
        return self.unreachable(bay) is None

    def unreachable(self, bay: Bay) -> str | None:
        """Why not."""
        return "This bay is not reached from here." if bay.id in self.out_of_reach else None

    @asynccontextmanager
    async def open(self, bay: Bay) -> AsyncIterator[PlayedCoe]:
        """That bay's."""
        assert self.reaches(bay)
        yield self.bays[bay.id]
