"""Who may join a bay's queue: Magnum's table, and ours where requests wait."""

from __future__ import annotations

import pytest

from shared.domain.bay_state import BayStatus
from shared.domain.queue import Busy, Door, takes

_STANDS = {BayStatus.CREATE_COMPLETE, BayStatus.UPDATE_COMPLETE}
_BUSY = {BayStatus.CREATE_IN_PROGRESS, BayStatus.UPDATE_IN_PROGRESS}


@pytest.mark.parametrize(
    ("door", "busy", "accepted"),
    [
        (Door.UPDATE, "refuse", _STANDS),
        (Door.UPGRADE, "refuse", _STANDS | {BayStatus.UPDATE_FAILED}),
        (Door.ROTATE, "refuse", _STANDS | {BayStatus.UPDATE_FAILED}),
        (Door.RESIZE, "refuse", _STANDS | {BayStatus.UPDATE_IN_PROGRESS, BayStatus.UPDATE_FAILED}),
        (Door.UPDATE, "queue", _STANDS | _BUSY),
        (Door.UPGRADE, "queue", _STANDS | _BUSY | {BayStatus.UPDATE_FAILED}),
        (Door.ROTATE, "queue", _STANDS | _BUSY | {BayStatus.UPDATE_FAILED}),
        (Door.RESIZE, "queue", _STANDS | _BUSY | {BayStatus.UPDATE_FAILED}),
    ],
)
def test_each_door_takes_what_its_column_says(door: Door, busy: Busy, accepted: set[BayStatus]) -> None:
    assert {status for status in BayStatus if takes(door, status, busy)} == accepted
