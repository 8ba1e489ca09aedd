"""The queue of a bay: who may join it, what a newcomer replaces, and what the bay will be once it is empty. Pure.

In order of acceptance stand the operation under way and those that wait behind it. The rules are issue 3's and Magnum's
table (contract §2.2): what is accepted in which state differs by the door that a request comes through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from shared.domain.bay_state import BayStatus
from shared.domain.operation import OperationKind, OperationState

MOST_QUEUED: Final = 16
"""Operations that may wait for one bay, besides the one under way."""

DEFAULT_WORKERS: Final = "default-worker"
"""The nodegroup that `node_count` of a bay counts, and that a resize without a nodegroup means."""
DEFAULT_MASTERS: Final = "default-master"

REPLACED: Final = "Replaced by a later resize."
"""The end of a resize that a later one made pointless before it began."""

Busy = Literal["queue", "refuse"]
"""What becomes of a request while another is under way: it waits, or it is refused as Magnum refuses it."""


class Door(StrEnum):
    """What a request is, to Magnum's table; the value is the verb of its refusal."""

    UPDATE = "Updating"
    ROTATE = "Rotating the credential of"
    ROTATE_CA = "Rotating the certificate authority of"
    RESIZE = "Resizing"
    UPGRADE = "Upgrading"
    HEAL = "Healing"


@dataclass(frozen=True)
class Live:
    """An operation of the queue, or the one under way."""

    id: UUID
    kind: OperationKind
    state: OperationState
    request: Mapping[str, object]

    @property
    def queued(self) -> bool:
        """Whether it waits."""
        return self.state is OperationState.QUEUED


_STANDS = frozenset({BayStatus.CREATE_COMPLETE, BayStatus.UPDATE_COMPLETE})
_PUSHES_AGAIN = frozenset({BayStatus.UPDATE_IN_PROGRESS, BayStatus.UPDATE_FAILED})
_REPAIRS = frozenset({Door.ROTATE, Door.ROTATE_CA, Door.HEAL, Door.UPGRADE})
_UNDER_WAY = frozenset({BayStatus.CREATE_IN_PROGRESS, BayStatus.UPDATE_IN_PROGRESS})


def takes(door: Door, status: BayStatus, busy: Busy) -> bool:
    """Whether a request is accepted in that state of the bay.

    A resize is taken after a failed change too, so that an autoscaler can push again; other changes are not
    (docs/decisions/0007), but for rotations: that of the credential may be what repairs the bay, and that of the
    authority is finished or undone by asking again, as an upgrade that stopped is gone on with; and healing is what
    repairs it.
    """
    return (
        status in _STANDS
        or (door is Door.RESIZE and status in _PUSHES_AGAIN)
        or (door in _REPAIRS and status is BayStatus.UPDATE_FAILED)
        or (busy == "queue" and status in _UNDER_WAY)
    )


def replaced(live: Sequence[Live], kind: OperationKind, request: Mapping[str, object]) -> list[Live]:
    """The end of the queue that a newcomer makes pointless: resizes of the same nodegroup, when none names nodes.

    One that names nodes to remove stays, and so does everything before it: it must find the nodes that it names.
    """
    found: list[Live] = []
    if _merely_counts(kind, request):
        for one in reversed(live):
            same = _merely_counts(one.kind, one.request) and nodegroup_of(one.request) == nodegroup_of(request)
            if not (one.queued and same):
                break
            found.append(one)
    return found


def projected(live: Sequence[Live], nodegroup: str = DEFAULT_WORKERS) -> int | None:
    """How many nodes the nodegroup has once the queue is empty; None when nothing in it says so."""
    for one in reversed(live):
        resizes = one.kind is OperationKind.RESIZE and nodegroup_of(one.request) == nodegroup
        if resizes or (one.kind is OperationKind.CREATE and nodegroup == DEFAULT_WORKERS):
            return node_count_of(one.request)
    return None


def nodegroup_of(request: Mapping[str, object]) -> str:
    """The nodegroup that a resize is about."""
    return str(request.get("nodegroup") or DEFAULT_WORKERS)


def node_count_of(request: Mapping[str, object]) -> int:
    """How many workers a create or a resize is to reach."""
    return int(str(request["node_count"]))


def master_count_of(request: Mapping[str, object]) -> int:
    """How many masters a change of their number is to reach."""
    return int(str(request["master_count"]))


def named_of(request: Mapping[str, object]) -> list[str]:
    """The Nova ids of the nodes that a resize says are to leave; whether they are nodes is looked at when it starts."""
    named = request.get("nodes_to_remove")
    return [str(server) for server in named] if isinstance(named, list) else []


def _merely_counts(kind: OperationKind, request: Mapping[str, object]) -> bool:
    return kind is OperationKind.RESIZE and not named_of(request)
