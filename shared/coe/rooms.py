"""What nodes have left for work that must leave others. Pure, and a guess: engines know more reasons than room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from shared.coe.port import CoeNode, Resources

_EPSILON: Final = 1e-9
"""Cores: sums of fractions are not exact."""


class Rooms:
    """The room on nodes that take work; `used` are node ids with what something there asked for."""

    def __init__(self, nodes: Iterable[CoeNode], used: Iterable[tuple[str | None, Resources]]) -> None:
        self._free = {node.id: node.capacity for node in nodes if node.open and node.ready}
        for node, asks in used:
            if node in self._free:
                self._free[node] = _less(self._free[node], asks)

    def copy(self) -> Rooms:
        """Another one of the same content."""
        found = Rooms((), ())
        found._free = dict(self._free)
        return found

    def take(self, asks: Resources, allowed: Callable[[str], bool] = lambda _: True) -> bool:
        """Take room on the `allowed` node that has most memory left, of those with enough; False: there is none."""
        fitting = [
            node
            for node, free in self._free.items()
            if free.cpu + _EPSILON >= asks.cpu and free.memory >= asks.memory and allowed(node)
        ]
        if not fitting:
            return False
        best = max(fitting, key=lambda node: (self._free[node].memory, self._free[node].cpu))
        self._free[best] = _less(self._free[best], asks)
        return True


def _less(has: Resources, asks: Resources) -> Resources:
    return Resources(has.cpu - asks.cpu, has.memory - asks.memory)
