"""The rotation of a bay's certificate authorities: its phases, and what a node is to trust and to use in each. Pure.

    trust     every node trusts the old authorities and the new ones; the old ones sign
    reissue   the target signs; every node gets certificates of it
    drop      every node trusts the target alone; from here there is no way back

The target is the new generation, or the previous one after all when the rotation is undone. A node goes into a phase
when it has been given its turn, so that not all masters restart at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID


class Phase(StrEnum):
    """How far a rotation is."""

    TRUST = "trust"
    REISSUE = "reissue"
    DROP = "drop"


@dataclass(frozen=True)
class Rotation:
    """A rotation that is not over."""

    bay_id: UUID
    generation: int
    previous: int
    target: int
    phase: Phase

    @property
    def undone(self) -> bool:
        """Whether the previous generation shall remain."""
        return self.target == self.previous

    @property
    def signing(self) -> int:
        """The generation that signs now."""
        return self.previous if self.phase is Phase.TRUST else self.target

    @property
    def both(self) -> frozenset[int]:
        """What is trusted until the last phase."""
        return frozenset({self.previous, self.generation})


@dataclass(frozen=True)
class Turn:
    """How far a node may go, and towards which generation."""

    server_id: str
    phase: Phase
    target: int


class NodeState(Protocol):
    """What is known of a node in a rotation."""

    @property
    def turn(self) -> Turn | None:
        """How far it may go."""

    @property
    def answered(self) -> bool:
        """Whether it has reported since it was given its turn."""

    @property
    def revision(self) -> str | None:
        """Names the authorities that it trusts (`revision_of`)."""

    @property
    def generation(self) -> int | None:
        """Of the authority that issued the certificate by which it proved itself."""

    @property
    def problem(self) -> str | None:
        """Why it has not done what is wanted of it."""


@dataclass(frozen=True)
class Goal:
    """What the nodes of a bay are to come to.

    A node has *come* when it reported after its turn was given, and the report says what that turn is for. Until then
    it is *busy*: it may be restarting its services at this moment.
    """

    rotation: Rotation
    both: str
    """The revision of a node that trusts both generations."""
    alone: str
    """The revision of a node that trusts the target alone."""

    @classmethod
    def of(cls, rotation: Rotation, authorities: Iterable[tuple[int, str]]) -> Self:
        """By the authorities that the bay trusts: generation and certificate of each."""
        known = list(authorities)
        both, alone = (
            revision_of(certificate for generation, certificate in known if generation in generations)
            for generations in (rotation.both, {rotation.target})
        )
        return cls(rotation, both, alone)

    def arrived(self, node: NodeState) -> bool:
        """Whether the node has what the present phase is for, and works."""
        return self._has(node, self.rotation.phase, self.rotation.target) and not self.busy(node)

    def busy(self, node: NodeState) -> bool:
        """Whether the node has a turn and has not come yet."""
        turn = node.turn
        return turn is not None and not (node.answered and self._has(node, turn.phase, turn.target))

    def _has(self, node: NodeState, phase: Phase, target: int) -> bool:
        if phase is Phase.TRUST:
            return node.revision == self.both
        # In the last phase, too: a certificate that was asked for before the rotation was undone may come late.
        # A node proves itself by the new certificate at once, and has a problem until its services use it.
        has_certificate = node.generation == target and node.problem is None
        return has_certificate and (phase is Phase.REISSUE or node.revision == self.alone)


def trusted(rotation: Rotation, turn: Turn | None, own: int) -> frozenset[int]:
    """The generations that a node is to trust whose certificate is of generation `own`.

    One without a turn keeps to the old ones only as long as nobody can have certificates of the new ones: a node that
    is made later has to trust what the others use, also when the rotation was undone meanwhile.
    """
    if turn is None and rotation.phase is Phase.TRUST:
        return frozenset({rotation.previous, own})
    if turn is None:
        return rotation.both
    return frozenset({rotation.target}) if turn.phase is Phase.DROP else rotation.both


def renews(rotation: Rotation, turn: Turn | None, own: int) -> bool:
    """Whether a node is to ask for certificates of another generation now.

    A turn that was given before the rotation was undone lets nobody renew: the way back has turns of its own.
    """
    return (
        turn is not None
        and turn.phase is not Phase.TRUST
        and rotation.phase is not Phase.TRUST
        and turn.target == rotation.target
        and own != rotation.target
    )


def revision_of(certificates: Iterable[str]) -> str:
    """Names a set of authorities, in whichever order they come; 16 hexadecimal digits."""
    digests = sorted(hashlib.sha256(pem.strip().encode()).digest() for pem in certificates)
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16]
