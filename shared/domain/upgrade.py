"""Moving a nodegroup to another template, a few nodes at a time: who is next, and which releases go together. Pure.

New nodes come before old ones go, so a group never has fewer nodes than it is to have, and at most one batch more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.bay import Node

VERSION_LABEL: Final = "kube_tag"
"""The label that says which release of Kubernetes the nodes run."""
POOL: Final = "pool"
"""In the operation's memo: the number of the pool that the nodes move to."""
BATCH: Final = "batch"
"""In the memo: the batch under way."""
REMOVE: Final = "remove"
"""In the memo: the Nova ids of those that leave, as for a resize."""
SPEC: Final = "spec"
"""In the request: what the new nodes are made of, by the names of the bay's spec."""
OLD_MASTERS: Final = "masters"
"""In a bay's spec: what of it its masters do not share since its workers were upgraded."""


@dataclass(frozen=True)
class Batch:
    """A few nodes that are replaced together."""

    round: int
    total: int
    """How many nodes the group has when the new ones stand and the old ones still do."""
    leave: tuple[str, ...]
    """Nova ids of those that then go."""

    def told(self) -> dict[str, object]:
        """As it is remembered."""
        return {"round": self.round, "total": self.total, "leave": list(self.leave)}


def read_batch(memo: Mapping[str, object]) -> Batch | None:
    """The batch that an operation remembers; None: there is none under way."""
    kept = memo.get(BATCH)
    if not isinstance(kept, Mapping):
        return None
    return Batch(int(kept["round"]), int(kept["total"]), tuple(map(str, kept["leave"])))


def next_batch(nodes: Sequence[Node], pool: int, count: int, size: int, round_: int) -> Batch | None:
    """Who is next, of a group whose workers are `nodes`; None when all `count` nodes stand in the new pool.

    Goes on from whatever there is: nodes that are too few come with the first batch, one batch too many is drained
    without another one being built.
    """
    old = [node for node in nodes if node.pool != pool]
    new = [node for node in nodes if node.pool == pool]
    if not old and len(new) == count:
        return None
    leaving = old[:size] if old else new[count:]
    stay = max(len(old) - len(leaving), 0) if old else 0
    total = len(old) + max(len(new), count - stay)
    return Batch(round_, total, tuple(node.server_id for node in leaving))


def batches(count: int, size: int) -> int:
    """How many batches so many nodes are."""
    return -(-count // size)


_RELEASE: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def skew(was: str, to: str) -> str | None:
    """Why nodes must not go from one release of Kubernetes to the other; None: they may.

    Kubernetes goes one minor release at a time, and never back. What is no release number is not judged.
    """
    before, after = _RELEASE.match(was), _RELEASE.match(to)
    if was == to or before is None or after is None:
        return None
    old, new = ([int(part or 0) for part in found.groups()] for found in (before, after))
    if new < old:
        return f"it has Kubernetes {to} and the cluster has {was}: there is no way back"
    if new[0] != old[0] or new[1] > old[1] + 1:
        return f"it has Kubernetes {to} and the cluster has {was}: go one minor release at a time"
    return None


def minor_step(was: str, to: str) -> bool:
    """Whether the minor release differs: then masters go before nodes, which must never be newer."""
    before, after = _RELEASE.match(was), _RELEASE.match(to)
    if before is None or after is None:
        return was != to
    return before.groups()[:2] != after.groups()[:2]


def laid_over(bay: Mapping[str, object], was: Mapping[str, object], to: Mapping[str, object]) -> dict[str, object]:
    """What a bay has after its template changed from `was` to `to`: what its owner chose differently stays."""
    names = {*bay, *to}
    result = {name: to.get(name) if bay.get(name) == was.get(name) else bay.get(name) for name in names}
    return {name: value for name, value in result.items() if value is not None}
