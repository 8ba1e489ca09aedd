"""Nodes that the engine calls not ready, or does not know: whether to believe it.

One look tells little. Swarm calls all nodes unknown for a while after a change of its leader, Mesos' agents come back
one by one after one of its master, and Kubernetes calls a node not ready whose kubelet is late. So it is believed of a
node of which look after look has said so for `HOLD_SECONDS`, and of most of a bay's nodes at once only when all the
time that a drain has is over. What was seen is kept in the operation's memo, in seconds of the drain's own clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from shared.coe.port import Look
from shared.domain.bay import Node

HOLD_SECONDS: Final = 60.0
"""So long a node must have been not ready, or missing, at every look."""
GAP_SECONDS: Final = 30.0
"""Two looks further apart than this say nothing of the time between them."""
UNREADY: Final = "unready"
"""In the operation's memo: by server id the first and the last of the looks in a row that found it not ready."""


def unready(look: Look, nodes: Sequence[Node]) -> list[Node]:
    """Those that the engine calls not ready or does not know."""
    return [node for node in nodes if (one := look.find(node)) is None or not one.ready]


def mostly_unready(look: Look, nodes: Sequence[Node]) -> bool:
    """Whether more of the bay's nodes are not ready than are: then it is hardly the nodes.

    A master counts where the engine knows it; Mesos has no agents on them.
    """
    counted = [node for node in nodes if node.role == "worker" or look.find(node) is not None]
    return 2 * len(unready(look, counted)) > len(counted)


def noted(memo: Mapping[str, object], servers: Collection[str], now: float, scale: float) -> dict[str, list[float]]:
    """What to remember under `UNREADY` after a look at `now` that found these servers not ready."""
    before = memo.get(UNREADY)
    known = before if isinstance(before, Mapping) else {}
    return {server: [_since(known.get(server), now, scale), now] for server in servers}


def _since(seen: object, now: float, scale: float) -> float:
    match seen:
        case [int() | float() as first, int() | float() as last] if 0 <= now - last <= GAP_SECONDS * scale:
            return float(first)
        case _:
            return now


def held(remembered: Mapping[str, Sequence[float]], seconds: float) -> set[str]:
    """The servers of which every look has said so for at least so many seconds."""
    return {server for server, (first, last) in remembered.items() if last - first >= seconds}
