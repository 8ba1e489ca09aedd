"""Which of a bay's Heat stacks has which workers: pools of nodes, and in each pool shards.

Heat limits the resources of a stack and all that is nested in it (1000 as it ships). So a bay's first stack has at most
`LARGEST` workers, and each further one, a shard, as many; shard 0 is the first stack. These are pool 0. A further
nodegroup has a pool of its own, whose shards are all stacks beside the first; a group grows in its newest pool.
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


Place = tuple[int, int]
"""A stack of a bay: its pool and its shard."""
FIRST: Final[Place] = (0, 0)
"""The bay's first stack, which has masters and network."""


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


def stack_name(first: str, shard: int, pool: int = 0) -> str:
    """The name of a shard's stack, from that of the bay's first."""
    of_pool = f"{first}-g{pool}" if pool else first
    return f"{of_pool}-s{shard}" if shard else of_pool


_ENDING: Final = r"(?:-g([1-9][0-9]*))?(?:-s([1-9][0-9]*))?"


def shard_of(name: str, first: str) -> Place | None:
    """Which pool and shard a stack is, by its name; None when it is none of the bay whose first is called `first`."""
    found = re.fullmatch(re.escape(first) + _ENDING, name)
    return (int(found[1] or 0), int(found[2] or 0)) if found else None


def is_further(name: str, first: str) -> bool:
    """Whether a stack of that name is one of the bay's beside its first."""
    return shard_of(name, first) not in (None, FIRST)


def stack_of(server: str, first: str) -> Place:
    """In which stack a server of the bay is, by its name, which begins with that of the stack."""
    found = re.match(re.escape(first) + _ENDING + "-", server, re.IGNORECASE)
    return (int(found[1] or 0), int(found[2] or 0)) if found else FIRST


def home(node: Node) -> Place:
    """The stack that a node is in."""
    return node.pool, place(node.position)[0]


def shares(
    workers: Iterable[Node],
    wanted: int,
    remove: Collection[str] = (),
    *,
    pool: int = 0,
    largest: int = LARGEST,
    back: Iterable[Place] = (),
) -> dict[Place, Share]:
    """What each stack is to have when a nodegroup of these workers is to have `wanted` and `remove` leave.

    Those that leave are taken where they are. Of those that come, first one goes to each stack of `back`, where one is
    replaced; the others fill the stacks of `pool`, the group's newest, in order, with at most `largest` in each. The
    first stack of that pool is always in the answer; of the others those that have workers, or are to have some.
    """
    held: dict[Place, list[Node]] = {(pool, 0): []}
    for node in workers:
        held.setdefault(home(node), []).append(node)
    counts = {one: sum(node.server_id not in remove for node in nodes) for one, nodes in held.items()}
    grow, shard = max(0, wanted - sum(counts.values())), 0
    for one in back:
        if grow:
            counts[one] = counts.get(one, 0) + 1
            grow -= 1
    while grow:
        more = min(grow, max(0, largest - counts.get((pool, shard), 0)))
        counts[pool, shard] = counts.get((pool, shard), 0) + more
        grow, shard = grow - more, shard + 1
    found = {}
    for one, count in sorted(counts.items()):
        gone = tuple(node.server_id for node in held.get(one, ()) if node.server_id in remove)
        found[one] = Share(count, gone, bool(gone) or count != len(held.get(one, ())))
    return found
