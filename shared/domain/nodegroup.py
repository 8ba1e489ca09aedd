"""The status of a nodegroup, which is that of what was last asked for it."""

from __future__ import annotations

from typing import Final

from shared.domain.operation import OperationState

_ENDINGS: Final = {
    OperationState.QUEUED: "IN_PROGRESS",
    OperationState.ACTIVE: "IN_PROGRESS",
    OperationState.DONE: "COMPLETE",
    OperationState.FAILED: "FAILED",
    OperationState.CANCELLED: "FAILED",
    OperationState.SUPERSEDED: "FAILED",
}


def group_status(bay: str, *, gone: bool, newest: OperationState | None, asked: int) -> str:
    """What clients see of a further nodegroup.

    Args:
        bay: the status of its bay, which counts while that is being deleted.
        gone: whether its owner has deleted the group.
        newest: the state of the group's last operation, None when there is none.
        asked: how many operations of it there are; the first one makes it.
    """
    if newest is None or bay.startswith("DELETE"):
        return bay
    deed = "DELETE" if gone else ("CREATE" if asked == 1 else "UPDATE")
    return f"{deed}_{_ENDINGS[newest]}"
