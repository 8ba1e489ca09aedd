"""The states of a bay and every move between them.

Rule 1: a status changes only by an event of this table. Rule 2: an unknown pair raises and changes nothing.
Rule 3: terminal states are present, with empty rows. `docs/bay-states.md` is drawn from here.

The words are Magnum's (contract §2.1). States that only ever mirrored a Heat stack there (RESUME, RESTORE, SNAPSHOT,
CHECK, ADOPT) are not ours: no operation of ours starts them.
"""

from __future__ import annotations

from enum import StrEnum

from shared.domain.errors import IllegalTransition


class BayStatus(StrEnum):
    """What a client sees as `status`."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    CREATE_FAILED = "CREATE_FAILED"
    CREATE_COMPLETE = "CREATE_COMPLETE"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    UPDATE_FAILED = "UPDATE_FAILED"
    UPDATE_COMPLETE = "UPDATE_COMPLETE"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETE_FAILED = "DELETE_FAILED"
    DELETE_COMPLETE = "DELETE_COMPLETE"

    @property
    def stable(self) -> bool:
        """Nothing is under way: a client that waits may stop waiting."""
        return not self.value.endswith("_IN_PROGRESS")


class BayEvent(StrEnum):
    """What can happen to a bay."""

    CREATED = "created"
    CREATE_BROKE = "create broke"
    UPDATE_ASKED = "update asked"
    UPDATED = "updated"
    UPDATE_BROKE = "update broke"
    STACK_LOST = "stack lost"
    DELETE_ASKED = "delete asked"
    DELETED = "deleted"
    DELETE_BROKE = "delete broke"


SENTENCES: dict[BayStatus, str] = {
    BayStatus.CREATE_IN_PROGRESS: "The bay is being built.",
    BayStatus.CREATE_FAILED: "It was not built, or its stack is gone; its reason says why, and it can only be deleted.",
    BayStatus.CREATE_COMPLETE: "The bay stands as it was asked for.",
    BayStatus.UPDATE_IN_PROGRESS: "The bay is being changed, or changes wait for it to be built.",
    BayStatus.UPDATE_FAILED: "The last change did not go through; its reason says why, and what was there runs on.",
    BayStatus.UPDATE_COMPLETE: "The last change went through.",
    BayStatus.DELETE_IN_PROGRESS: "The bay is being taken down.",
    BayStatus.DELETE_FAILED: "Something could not be removed; its reason names it, and delete may be asked again.",
    BayStatus.DELETE_COMPLETE: "Nothing of the bay is left; its row is about to go.",
}
"""One sentence per state, for the documents and the dashboard."""

_S, _E = BayStatus, BayEvent

TRANSITIONS: dict[BayStatus, dict[BayEvent, BayStatus]] = {
    _S.CREATE_IN_PROGRESS: {
        _E.CREATED: _S.CREATE_COMPLETE,
        _E.CREATE_BROKE: _S.CREATE_FAILED,
        # A change asked for meanwhile queues; a client that waits for its end must not take the create's for it.
        _E.UPDATE_ASKED: _S.UPDATE_IN_PROGRESS,
        _E.DELETE_ASKED: _S.DELETE_IN_PROGRESS,
    },
    _S.CREATE_FAILED: {_E.DELETE_ASKED: _S.DELETE_IN_PROGRESS},
    _S.CREATE_COMPLETE: {
        _E.UPDATE_ASKED: _S.UPDATE_IN_PROGRESS,
        # Somebody deleted the stack behind our back: nothing of the bay is there that could be changed.
        _E.STACK_LOST: _S.CREATE_FAILED,
        _E.DELETE_ASKED: _S.DELETE_IN_PROGRESS,
    },
    _S.UPDATE_IN_PROGRESS: {
        # Changes queue behind what is under way, and the bay stays in progress until the last of them has ended.
        _E.UPDATE_ASKED: _S.UPDATE_IN_PROGRESS,
        # What they wait for may be the create: with its end, in one transaction, the first of them starts.
        _E.CREATED: _S.CREATE_COMPLETE,
        _E.CREATE_BROKE: _S.CREATE_FAILED,
        _E.UPDATED: _S.UPDATE_COMPLETE,
        _E.UPDATE_BROKE: _S.UPDATE_FAILED,
        _E.DELETE_ASKED: _S.DELETE_IN_PROGRESS,
    },
    _S.UPDATE_FAILED: {
        _E.UPDATE_ASKED: _S.UPDATE_IN_PROGRESS,
        _E.STACK_LOST: _S.CREATE_FAILED,
        _E.DELETE_ASKED: _S.DELETE_IN_PROGRESS,
    },
    _S.UPDATE_COMPLETE: {
        _E.UPDATE_ASKED: _S.UPDATE_IN_PROGRESS,
        _E.STACK_LOST: _S.CREATE_FAILED,
        _E.DELETE_ASKED: _S.DELETE_IN_PROGRESS,
    },
    _S.DELETE_IN_PROGRESS: {
        _E.DELETE_ASKED: _S.DELETE_IN_PROGRESS,
        _E.DELETED: _S.DELETE_COMPLETE,
        _E.DELETE_BROKE: _S.DELETE_FAILED,
    },
    _S.DELETE_FAILED: {_E.DELETE_ASKED: _S.DELETE_IN_PROGRESS},
    _S.DELETE_COMPLETE: {},
}


def after(status: BayStatus, event: BayEvent) -> BayStatus:
    """The status that `event` leads to from `status`.

    Raises:
        IllegalTransition: the table does not have the pair.
    """
    try:
        return TRANSITIONS[status][event]
    except KeyError:
        raise IllegalTransition(f"A bay in {status} does not know the event '{event}'.") from None


def allows(status: BayStatus, event: BayEvent) -> bool:
    """Whether the table has the pair."""
    return event in TRANSITIONS[status]
