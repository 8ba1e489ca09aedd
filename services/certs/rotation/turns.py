"""Whose turn it is in a rotation. Pure. `shared.domain.rotation.Goal` says who has come and who is busy.

    masters   one at a time: nobody gets a turn while another is busy, or unless every other one says that it is healthy
              and has said so lately. One that never comes is waited for, since the quorum could be its neighbours'.
    workers   a tenth of them at a time, at least one. One that does not come for 10 minutes is late: it keeps its turn
              and no longer holds up the others, but of so many only as may have their turn at once: if more of them
              fail, it is the rotation that breaks them. Those that report go first.

Masters and workers go side by side. A node that had come and has a problem now is busy again with the turn that it has,
so that a trouble of all of them makes nobody restart.

A turn for the other generation was given before the rotation was undone. Who is busy with it does not wait until all is
well, since that turn may be what ails it: it gets its turn anew, the newest first, which may be at work; but no more of
them at once than else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.certs.node_plans import MASTER
from shared.db.repositories.rotations import NodeProgress
from shared.domain.rotation import Goal, Rotation, Turn

FRESH: Final = timedelta(minutes=2)
"""How old a report may be to say something of now. While a rotation lasts nodes look every 15 s, and what they say is
written every 30 s at the latest (`node_calls.REPORT_AGES`), also when it is the same again."""
LATE: Final = timedelta(minutes=10)
"""After this a worker that has its turn no longer holds up the others."""
_SHARE: Final = 10  # of this many workers one at a time


@dataclass(frozen=True)
class Scene:
    """A rotation and its nodes, as they were at one moment."""

    goal: Goal
    nodes: Sequence[NodeProgress]

    @property
    def rotation(self) -> Rotation:
        """As it was seen."""
        return self.goal.rotation

    def arrived(self, node: NodeProgress) -> bool:
        """Whether the node has what the present phase is for, and works."""
        return self.goal.arrived(node)

    def busy(self, node: NodeProgress) -> bool:
        """Whether the node has a turn and has not come yet."""
        return self.goal.busy(node)

    def late(self) -> list[NodeProgress]:
        """Those that have not arrived."""
        return [node for node in self.nodes if not self.arrived(node)]

    def of_kind(self, *, masters: bool) -> list[NodeProgress]:
        """The masters, or the others."""
        return [node for node in self.nodes if (node.role == MASTER) == masters]

    def next_turns(self) -> list[Turn]:
        """The turns to give now."""
        chosen = [*self._next_masters(), *self._next_workers()]
        return [Turn(node.server_id, self.rotation.phase, self.rotation.target) for node in chosen]

    def _busy(self, nodes: Sequence[NodeProgress]) -> tuple[list[NodeProgress], list[NodeProgress]]:
        """Those that are busy with the target, and those that are with the other one, the newest turn first."""
        busy = [node for node in nodes if self.busy(node)]
        stale = [node for node in busy if node.turn is not None and node.turn.target != self.rotation.target]
        return [node for node in busy if node not in stale], sorted(stale, key=_waited)

    def _waiting(self, nodes: Sequence[NodeProgress]) -> list[NodeProgress]:
        return [node for node in nodes if not self.arrived(node) and not self.busy(node)]

    def _next_masters(self) -> list[NodeProgress]:
        masters = self.of_kind(masters=True)
        busy, stale = self._busy(masters)
        if busy or stale:
            return [] if busy else stale[:1]
        may = [one for one in self._waiting(masters) if all(well(other) for other in masters if other is not one)]
        return may[:1]

    def _next_workers(self) -> list[NodeProgress]:
        workers = self.of_kind(masters=False)
        at_once = max(1, len(workers) // _SHARE)
        busy, stale = self._busy(workers)
        late = [node for node in busy if _waited(node) > LATE]
        free = max(at_once - len(busy) + min(len(late), at_once), 0)
        again = stale[:free]
        if len(stale) >= free:
            return again
        waiting = sorted(self._waiting(workers), key=lambda node: not fresh(node))
        return [*again, *waiting[: free - len(stale)]]


def _waited(node: NodeProgress) -> timedelta:
    """Since its turn; one that had not to be waited for is older than all."""
    return timedelta.max if node.waited is None else node.waited


def fresh(node: NodeProgress) -> bool:
    """Whether its report is about now."""
    return node.silent is not None and node.silent <= FRESH


def well(node: NodeProgress) -> bool:
    """Whether it says now that it is healthy."""
    return node.healthy and fresh(node)
