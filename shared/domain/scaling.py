"""Deciding about the number of nodes: pure, so that it can be tried with figures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.bay import Node


@dataclass(frozen=True, slots=True)
class Busy:
    """What a bay's engine says of a node, as far as that decides who leaves."""

    ready: bool
    open: bool
    """Whether it takes new work."""
    works: int
    """How much runs on it that would have to be moved."""

    held: int = 0
    """How much of that a drain would not move without force."""

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """The lowest leaves first: who is not ready, who holds nothing that cannot be moved, who is closed, then who
        has the least to move."""
        return int(self.ready), self.held, int(self.open), self.works


UNKNOWN = Busy(ready=False, open=False, works=0)
"""A node of which the engine does not know. It leaves first; that nothing runs on it is not believed of one look, so
whoever drains it asks again (services/scaler/steps/doubt.py)."""


def most_leaving(present: int, wanted: int, named: int) -> int:
    """How many of `present` nodes leave on the way to `wanted`: the surplus, or as many as are named to be replaced."""
    return named if wanted == present else max(present - wanted, 0)


def idlest(workers: Sequence[Node], seen: Mapping[str, Busy]) -> list[str]:
    """The server ids in the order in which they may leave, by what the engine says of each; of equals the youngest."""
    youngest = sorted(workers, key=_age, reverse=True)
    return [node.server_id for node in sorted(youngest, key=lambda node: seen.get(node.server_id, UNKNOWN).rank)]


def leaving(workers: Sequence[Node], wanted: int, named: Sequence[str], preferred: Sequence[str] = ()) -> list[str]:
    """The server ids that leave when `workers` become `wanted`: who is named, then the preferred, then the youngest.

    Naming them all, and never leaving it to Heat's own order, is what lets the result be checked afterwards. Nodes
    that are named while the number stays are replaced: they leave, and Heat makes as many (docs/decisions/0010).
    Who is preferred and not among the workers does not count.

    Raises:
        ValueError: a named server is not a worker of the bay, or more are named than may leave.
    """
    there = {node.server_id for node in workers}
    surplus = most_leaving(len(workers), wanted, len(set(named)))
    strangers = sorted(set(named) - there)
    if strangers:
        raise ValueError(f"{', '.join(strangers)} is no node of this bay")
    if len(set(named)) > surplus:
        raise ValueError(f"{len(set(named))} nodes are named but only {surplus} may leave")
    youngest = [node.server_id for node in sorted(workers, key=_age, reverse=True)]
    order = dict.fromkeys([*named, *(one for one in preferred if one in there), *youngest])
    return list(order)[:surplus]


def _age(node: Node) -> tuple[int, int]:
    """Grows with the node's youth: a group grows in its newest pool, and there upwards."""
    return node.pool, node.position
