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
