"""The state table: every pair is either a move or refused, and the documents are drawn from it."""

from __future__ import annotations

import itertools

import pytest

from shared.domain.bay_state import SENTENCES, TRANSITIONS, BayEvent, BayStatus, after, allows
from shared.domain.errors import IllegalTransition


@pytest.mark.parametrize(("status", "event"), list(itertools.product(BayStatus, BayEvent)))
def test_every_pair_moves_or_is_refused(status: BayStatus, event: BayEvent) -> None:
    if event in TRANSITIONS[status]:
        assert allows(status, event)
        assert after(status, event) is TRANSITIONS[status][event]
    else:
        assert not allows(status, event)
        with pytest.raises(IllegalTransition, match=status.value):
            after(status, event)


def test_every_state_has_a_row_and_a_sentence() -> None:
    assert set(TRANSITIONS) == set(BayStatus) == set(SENTENCES)


def test_every_state_but_the_last_can_be_deleted() -> None:
    for status in set(BayStatus) - {BayStatus.DELETE_COMPLETE}:
        assert after(status, BayEvent.DELETE_ASKED) is BayStatus.DELETE_IN_PROGRESS


def test_every_state_can_be_reached() -> None:
    reached = {BayStatus.CREATE_IN_PROGRESS}
    while new := {became for status in reached for became in TRANSITIONS[status].values()} - reached:
        reached |= new
    assert reached == set(BayStatus)


def test_nothing_but_deletion_leaves_a_failed_create() -> None:
    assert set(TRANSITIONS[BayStatus.CREATE_FAILED]) == {BayEvent.DELETE_ASKED}
