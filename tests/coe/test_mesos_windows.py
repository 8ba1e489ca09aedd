"""Whose a window in Mesos' maintenance schedule is, and how the schedule is changed."""

from __future__ import annotations

import orjson
import pytest

from shared.coe.mesos_windows import ANY, Machine, Window, closed, closing, held, opening, read_machine, read_schedule

TEN_DAYS = 10 * 86_400 * 10**9
ONE, TWO = Machine("w-1", "10.0.0.4"), Machine("w-2", "10.0.0.5")


def schedule(*marks: str) -> tuple[Window, ...]:
    """One machine closed, by one operation after another."""
    windows: tuple[Window, ...] = ()
    for mark in marks:
        windows = closing(windows, [ONE], mark, 1_000) or windows
    return windows


def test_what_is_sent_is_read_back() -> None:
    windows = (*schedule("a"), Window((TWO,), 5, None))
    sent = orjson.loads(orjson.dumps({"windows": [window.told() for window in windows]}))
    assert read_schedule(sent) == windows
    assert read_schedule({}) == ()
    assert read_machine({"hostname": "W-1", "ip": "10.0.0.4"}) == ONE


def test_a_mark_survives_numbers_of_fifteen_digits() -> None:
    (window,) = schedule("a")
    assert window.duration == int(f"{float(window.duration or 0):.15g}")


@pytest.mark.parametrize("duration", [None, TEN_DAYS, TEN_DAYS + 10**9, 3_600 * 10**9, 1])
def test_other_people_s_windows_are_not_ours(duration: int | None) -> None:
    theirs = (Window((ONE, TWO), 0, duration),)
    assert held(theirs, ANY) == set()
    assert closing(theirs, [ONE], "a", 9) is None
    assert opening(theirs, [ONE], ANY) is None


def test_marks() -> None:
    assert held(schedule("a"), "a") == {ONE}
    assert held(schedule("a"), "b") == set()
    assert held(schedule("a"), ANY) == {ONE}
    assert held(schedule("a", "b"), "a") == set()
    assert len(schedule("a", "b")) == 1
    assert closing(schedule("a"), [ONE], "a", 9) is None
    assert opening(schedule("a"), [ONE], "b") is None
    assert opening(schedule("a"), [ONE, TWO], "a") == ()


def test_a_window_counts_while_it_lasts() -> None:
    windows = (Window((ONE,), 10, 10), Window((TWO,), 30, None))
    assert [closed(windows, moment) for moment in (9, 10, 19, 20, 30, 99)] == [set(), {ONE}, {ONE}, set(), {TWO}, {TWO}]
