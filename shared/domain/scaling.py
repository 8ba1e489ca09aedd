"""Deciding about the number of nodes: pure, so that it can be tried with figures alone."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.bay import Node


def most_leaving(present: int, wanted: int, named: int) -> int:
    """How many of `present` nodes leave on the way to `wanted`: the surplus, or as many as are named to be replaced."""
    return named if wanted == present else max(present - wanted, 0)


def leaving(workers: Sequence[Node], wanted: int, named: Sequence[str]) -> list[str]:
    """The server ids that leave when `workers` become `wanted`: those that the owner named, then the youngest.

    Naming them all, and never leaving it to Heat's own order, is what lets the result be checked afterwards. Nodes
    that are named while the number stays are replaced: they leave, and Heat makes as many (docs/decisions/0010).

    Raises:
        ValueError: a named server is not a worker of the bay, or more are named than may leave.
    """
    surplus = most_leaving(len(workers), wanted, len(set(named)))
    strangers = sorted(set(named) - {node.server_id for node in workers})
    if strangers:
        raise ValueError(f"{', '.join(strangers)} is no node of this bay")
    if len(set(named)) > surplus:
        raise ValueError(f"{len(set(named))} nodes are named but only {surplus} may leave")
    youngest = sorted(workers, key=lambda node: node.position, reverse=True)
    rest = [node.server_id for node in youngest if node.server_id not in named]
    return [*dict.fromkeys(named), *rest[: surplus - len(set(named))]]
