"""Large bays: which of a bay's Heat stacks has which workers.

Heat limits the resources of a stack and all that is nested in it (1000 as it ships). So a bay's first stack has at most
`LARGEST` workers, and each further one, a shard, as many; shard 0 is the first stack.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from shared.domain.bay import Node

LARGEST: Final = 80
"""Workers in one stack. With every option a worker is nine resources; masters, network and the rest are 110 at most."""
UNLIMITED: Final = 1_000_000
"""For bays of releases that put all workers into one stack; also how far apart the shards' places are."""


@dataclass(frozen=True)
class Share:
    """What one stack of a bay is to have."""

    count: int
    remove: tuple[str, ...] = ()
    """Nova ids of those of its servers that leave."""
    changed: bool = True
    """Whether anything of it differs from what is there."""


def spread(count: int) -> list[int]:
    """How many workers each stack of a new bay has, the first stack first."""
    full, rest = divmod(count, LARGEST)
    return [LARGEST] * full + ([rest] if rest or not full else [])


def position(shard: int, index: int) -> int:
    """A worker's place in the whole bay, from its shard and its index in that stack's group."""
    return shard * UNLIMITED + index


def place(of: int) -> tuple[int, int]:
    """Shard and index of a worker, from its place in the whole bay."""
    return divmod(of, UNLIMITED)


def stack_name(first: str, shard: int) -> str:
    """The name of a shard's stack, from that of the first."""
    return f"{first}-s{shard}" if shard else first


def shard_of(name: str, first: str) -> int | None:
    """Which shard a stack is, by its name; None when it is no stack of the bay whose first one is called `first`."""
    if name == first:
        return 0
    found = re.fullmatch(re.escape(first) + r"-s([1-9][0-9]*)", name)
    return int(found[1]) if found else None


def shares(
    workers: Iterable[Node], wanted: int, remove: Collection[str] = (), *, largest: int = LARGEST
) -> dict[int, Share]:
    """What each stack is to have when the bay is to have `wanted` workers and `remove` leave.

    Those that leave are taken where they are; those that come fill the stacks in order. The first stack is always in
    the answer; of the others those that have workers, or are to have some.
    """
    held: dict[int, list[Node]] = {0: []}
    for node in workers:
        held.setdefault(place(node.position)[0], []).append(node)
    counts = {shard: sum(node.server_id not in remove for node in nodes) for shard, nodes in held.items()}
    grow, shard = max(0, wanted - sum(counts.values())), 0
    while grow:
        more = min(grow, max(0, largest - counts.get(shard, 0)))
        counts[shard] = counts.get(shard, 0) + more
        grow, shard = grow - more, shard + 1
    found = {}
    for shard, count in sorted(counts.items()):
        gone = tuple(node.server_id for node in held.get(shard, ()) if node.server_id in remove)
        found[shard] = Share(count, gone, bool(gone) or count != len(held.get(shard, ())))
    return found
