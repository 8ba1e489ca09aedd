"""How work fits onto nodes: large pieces first, each onto the first node with room. Pure.

Equal pieces are placed together, so that ten thousand of one deployment cost as much as one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple


class Amount(NamedTuple):
    """Cores and bytes: what a node has, or what work asks for."""

    cpu: float = 0.0
    memory: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether it can be one at all; who lies says "not a number", or less than nothing."""
        return all(math.isfinite(one) and one >= 0 for one in self)

    def plus(self, other: Amount, times: float = 1) -> Amount:
        """The sum with so many of another; never less than nothing."""
        return Amount(max(0.0, self.cpu + other.cpu * times), max(0.0, self.memory + other.memory * times))

    def holds(self, ask: Amount) -> float:
        """How many of `ask` fit into it; infinity for what asks for nothing."""
        parts = [(have + _EPSILON * want) // want for have, want in zip(self, ask, strict=True) if want > 0]
        return min(parts, default=math.inf)

    def told(self) -> str:
        """For people: "500m cpu, 128 MiB"."""
        cpu = f"{self.cpu:g} cpu" if self.cpu >= 1 else f"{round(self.cpu * 1000)}m cpu"
        parts = [cpu] if self.cpu > 0 else []
        parts += [f"{math.ceil(self.memory / 2**20)} MiB"] if self.memory > 0 else []
        return ", ".join(parts)


_EPSILON: Final = 1e-6
"""Fractions of cores do not add up exactly."""


def place(free: list[Amount], asks: Mapping[Amount, int]) -> Counter[Amount]:
    """Put work onto nodes with this room, which is taken from `free`; what is left of it."""
    left: Counter[Amount] = Counter()
    for ask in sorted(asks, key=_largest(free), reverse=True):
        rest = asks[ask]
        for index, room in enumerate(free):
            here = int(min(rest, room.holds(ask)))
            if here:
                free[index] = room.plus(ask, -here)
                rest -= here
            if not rest:
                break
        if rest:
            left[ask] = rest
    return left


def nodes_for(size: Amount, asks: Mapping[Amount, int], *, most: int) -> int:
    """How many new nodes of that size take all of this work, each piece of which fits one; `most` is told for more."""
    free: list[Amount] = []
    for ask in sorted(asks, key=_largest([size]), reverse=True):
        rest = place(free, {ask: asks[ask]})[ask]
        while rest and len(free) < most:
            here = int(min(rest, size.holds(ask)))
            if not here:
                break
            free.append(size.plus(ask, -here))
            rest -= here
    return len(free)


def _largest(nodes: Sequence[Amount]) -> _Share:
    return _Share(Amount(max((one.cpu for one in nodes), default=0), max((one.memory for one in nodes), default=0)))


class _Share:
    """The larger of the shares that an ask has of a node's two resources, then the ask itself, so that order is one."""

    def __init__(self, size: Amount) -> None:
        self._size = size

    def __call__(self, ask: Amount) -> tuple[float, Amount]:
        return max(ask.cpu / (self._size.cpu or 1.0), ask.memory / (self._size.memory or 1.0)), ask
