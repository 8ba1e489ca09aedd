"""Whose turn it is in a rotation. Pure.

A node has *come* when it reported after its turn was given, and the report says what that turn is for. Until then it is
*busy*: it may be restarting its services at this moment, so a turn that was given before the rotation was undone makes
busy too, and is given again with the new target.

    masters   one at a time: nobody gets a turn while another is busy, or unless every other one says that it is healthy
              and has said so lately. One that never comes is waited for, since the quorum could be its neighbours'.
    workers   a tenth of them at a time, at least one. One that does not come for 10 minutes is late: it keeps its turn
              and no longer holds up the others, but of so many only as may have their turn at once: if more of them
              fail, it is the rotation that breaks them. Those that report go first.

Masters and workers go side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.certs.node_plans import MASTER
from shared.db.repositories.rotations import NodeProgress
from shared.domain.rotation import Phase, Rotation, Turn

FRESH: Final = timedelta(minutes=2)
"""How old a report may be to say something of now. Nodes report every 15 s while an operation runs on their bay."""
LATE: Final = timedelta(minutes=10)
"""After this a worker that has its turn no longer holds up the others."""
_SHARE: Final = 10  # of this many workers one at a time


@dataclass(frozen=True)
class Scene:
    """A rotation and its nodes, as they were at one moment."""

    rotation: Rotation
    nodes: Sequence[NodeProgress]
    both: str
    """The revision of a node that trusts both generations."""
    alone: str
    """The revision of a node that trusts the target alone."""

    def arrived(self, node: NodeProgress) -> bool:
        """Whether the node has what the present phase is for, and works."""
        return self._has(node, self.rotation.phase, self.rotation.target) and not self.busy(node)

    def busy(self, node: NodeProgress) -> bool:
        """Whether the node has a turn and has not come yet."""
        turn = node.turn
        return turn is not None and not (node.answered and self._has(node, turn.phase, turn.target))

    def late(self) -> list[NodeProgress]:
        """Those that have not arrived."""
        return [node for node in self.nodes if not self.arrived(node)]

    def of_kind(self, *, masters: bool) -> list[NodeProgress]:
        """The masters, or the others."""
        return [node for node in self.nodes if (node.role == MASTER) == masters]

    def next_turns(self) -> list[Turn]:
        """The turns to give now."""
        again = [node for node in self.nodes if self.busy(node) and self._stale(node)]
        chosen = [*again, *self._next_master(), *self._next_workers()]
        return [Turn(node.server_id, self.rotation.phase, self.rotation.target) for node in chosen]

    def _has(self, node: NodeProgress, phase: Phase, target: int) -> bool:
        if phase is Phase.TRUST:
            return node.revision == self.both
        # In the last phase, too: a certificate that was asked for before the rotation was undone may come late.
        # A node proves itself by the new certificate at once, and has a problem until its services use it.
        has_certificate = node.generation == target and node.problem is None
        return has_certificate and (phase is Phase.REISSUE or node.revision == self.alone)

    def _stale(self, node: NodeProgress) -> bool:
        """Whether its turn is of an earlier phase or for the other generation: the rotation was undone since."""
        turn, order = node.turn, tuple(Phase)
        if turn is None:
            return False
        return turn.target != self.rotation.target or order.index(turn.phase) < order.index(self.rotation.phase)

    def _waiting(self, nodes: Sequence[NodeProgress]) -> list[NodeProgress]:
        return [node for node in nodes if not self.arrived(node) and not self.busy(node)]

    def _next_master(self) -> list[NodeProgress]:
        masters = self.of_kind(masters=True)
        if any(self.busy(node) for node in masters):
            return []
        may = [one for one in self._waiting(masters) if all(well(other) for other in masters if other is not one)]
        return may[:1]

    def _next_workers(self) -> list[NodeProgress]:
        workers = self.of_kind(masters=False)
        at_once = max(1, len(workers) // _SHARE)
        busy = [node for node in workers if self.busy(node)]
        late = [node for node in busy if not self._stale(node) and node.waited is not None and node.waited > LATE]
        free = at_once - len(busy) + min(len(late), at_once)
        return sorted(self._waiting(workers), key=lambda node: not fresh(node))[: max(free, 0)]


def fresh(node: NodeProgress) -> bool:
    """Whether its report is about now."""
    return node.silent is not None and node.silent <= FRESH


def well(node: NodeProgress) -> bool:
    """Whether it says now that it is healthy."""
    return node.healthy and fresh(node)
