"""Whether a group grows or shrinks: rule by rule, with figures alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from shared.domain.autoscaling import (
    BOOT_SECONDS,
    TRIAL_SECONDS,
    TRIED_SECONDS,
    Decision,
    History,
    Limits,
    Load,
    Topic,
    decide,
    made_up,
    young,
)

LIMITS = Limits(
    least=1, most=10, target=0.85, scale_in=0.5, quiet=600, rest_out=60, rest_in=300, step_out=10, step_in=5
)
BUSY = Load(ready=3, nodes=3, cpu=0.6, memory=0.3, idle=0, spare=0, more=0)
IDLE = replace(BUSY, cpu=0.2, memory=0.1, idle=1, spare=2)
WAITING = replace(BUSY, more=2, waiting=("web-1: 500m cpu", "web-2: 500m cpu", "web-3: 500m cpu"))


def after(*looks: tuple[float, int, Load | None], limits: Limits = LIMITS) -> Decision:
    """The last of some looks, which follow one another."""
    history = History()
    for now, count, load in looks:
        found = decide(now, count, load, limits, history)
        history = History.of(found.history.memo())
    return found


def quiet(load: Load = IDLE, *, minutes: int = 11, limits: Limits = LIMITS) -> Decision:
    """A look a minute, all of them alike."""
    return after(*((60.0 * minute, 3, load) for minute in range(minutes)), limits=limits)


def test_what_waits_gets_its_nodes_at_once() -> None:
    found = after((0, 3, WAITING))
    assert (found.desired, found.topic, found.tell) == (5, Topic.GROW, True)
    waiting = "web-1: 500m cpu; web-2: 500m cpu; web-3: 500m cpu"
    assert found.reason == f"3 pods wait ({waiting}) for room; 2 more nodes fit them."


def test_one_thing_that_waits_is_one() -> None:
    found = after((0, 3, replace(BUSY, more=1, waiting=("db-0: 2 cpu, 512 MiB",), word="tasks")))
    assert found.reason == "1 task waits (db-0: 2 cpu, 512 MiB) for room; 1 more node fits them."


def test_many_that_wait_are_counted() -> None:
    found = after((0, 3, replace(BUSY, more=1, waiting=tuple(f"w-{number}" for number in range(9)))))
    assert found.reason.startswith("9 pods wait (w-0; w-1; w-2; and 6 more) for room")


def test_steps_and_range_bound_a_growth() -> None:
    many = replace(WAITING, more=40)
    stepped = after((0, 3, many), limits=replace(LIMITS, most=100))
    assert stepped.desired == 13
    assert stepped.reason.endswith("40 more nodes fit them, of which 10 may come now.")
    assert after((0, 3, many)).desired == 10


def test_a_full_group_says_so_once() -> None:
    full = replace(WAITING, ready=10, nodes=10)
    first, second = after((0, 10, full)), after((0, 10, full), (60, 10, full))
    assert (first.desired, first.topic, first.tell) == (10, Topic.FULL, True)
    assert first.reason.endswith("2 more nodes fit them, and the group may have 10 at most.")
    assert (second.topic, second.tell) == (Topic.FULL, False)
    over = after((0, 10, full), (60, 10, full), (120, 10, replace(BUSY, ready=10, nodes=10)))
    assert (over.topic, over.tell, over.reason) == (Topic.STEADY, True, "All work has room.")


def test_utilisation_above_the_target_grows() -> None:
    found = after((0, 3, replace(BUSY, cpu=0.95)))
    assert found.desired == 4
    assert found.reason == "95% of the nodes' cpu is asked for, more than the 85% aimed at; 1 more node fits it."
    assert after((0, 3, replace(BUSY, memory=0.9))).reason.startswith("90% of the nodes' memory")
    assert after((0, 3, replace(BUSY, cpu=0.85))).desired == 3


def test_nodes_that_come_are_counted_while_they_may_still_come() -> None:
    history = decide(0, 3, BUSY, LIMITS, History()).history
    assert young(10, 3, history)
    assert young(10, 4, history)
    assert not young(BOOT_SECONDS, 3, history)


def test_a_growth_is_followed_by_a_pause() -> None:
    hurried = after((0, 3, WAITING), (30, 5, replace(WAITING, ready=5, nodes=5)))
    assert (hurried.desired, hurried.topic, hurried.tell) == (5, Topic.RESTING, False)
    assert after((0, 3, WAITING), (60, 5, replace(WAITING, ready=5, nodes=5))).desired == 7


def test_a_quiet_group_shrinks_after_its_time_and_not_before() -> None:
    early, due = quiet(minutes=10), quiet(minutes=11)
    assert (early.desired, early.topic, early.tell) == (3, Topic.STEADY, False)
    assert (due.desired, due.topic, due.tell) == (1, Topic.SHRINK, True)
    assert due.reason == "For 10 minutes only 20% of the nodes is asked for; what runs fits on 1 node."


def test_idle_nodes_leave_a_group_that_is_busy_otherwise() -> None:
    found = quiet(replace(BUSY, cpu=0.52, idle=1, spare=1))
    assert found.desired == 2
    assert found.reason == "For 10 minutes 1 node has had no work; what runs fits on 2 nodes."


def test_work_that_fits_nowhere_else_keeps_its_node() -> None:
    assert quiet(replace(IDLE, idle=0, spare=0), minutes=60).desired == 3


def test_what_is_left_must_not_be_too_much_for_it() -> None:
    assert quiet(replace(IDLE, cpu=0.45, idle=0)).desired == 2
    assert quiet(replace(IDLE, cpu=0.56, idle=1)).desired == 3


def test_a_shrinking_keeps_to_step_and_range() -> None:
    assert quiet(limits=replace(LIMITS, step_in=1)).desired == 2
    assert quiet(limits=replace(LIMITS, least=2)).desired == 2
    assert quiet(limits=replace(LIMITS, least=3), minutes=60).desired == 3


def test_an_empty_group_may_go_to_zero_and_comes_back() -> None:
    empty = Load(ready=3, nodes=3, cpu=0.0, memory=0.0, idle=3, spare=3, more=0)
    assert quiet(empty, limits=replace(LIMITS, least=0)).desired == 0
    woken = after((0, 0, replace(empty, ready=0, nodes=0, idle=0, spare=0, more=1, waiting=("a",))))
    assert woken.desired == 1  # its range begins there
    woken = decide(0, 0, replace(WAITING, ready=0, nodes=0), replace(LIMITS, least=0), History())
    assert woken.desired == 2


def test_a_busy_minute_begins_the_quiet_time_anew() -> None:
    looks: list[tuple[float, int, Load | None]] = [(60.0 * minute, 3, IDLE) for minute in range(20)]
    looks[9] = (540.0, 3, BUSY)
    assert after(*looks[:20]).desired == 3
    assert after(*looks, (1200, 3, IDLE)).desired == 1


@pytest.mark.parametrize(
    "blink",
    [
        None,
        replace(IDLE, ready=2, nodes=2),
        replace(IDLE, cpu=math.nan),
        replace(IDLE, cpu=1e308),
        replace(IDLE, spare=-1),
        replace(IDLE, stuck=("a",)),
        replace(IDLE, more=1, waiting=("a",)),
    ],
    ids=["nothing seen", "a node is missing", "no number", "too much", "less than none", "work is stuck", "work waits"],
)
def test_who_does_not_know_does_not_shrink(blink: Load | None) -> None:
    looks: list[tuple[float, int, Load | None]] = [(60.0 * minute, 3, IDLE) for minute in range(10)]
    assert after(*looks, (600, 3, blink)).desired >= 3
    assert after(*looks, (600, 3, blink), (660, 3, IDLE)).desired == 3  # and has to wait anew


def test_who_looks_late_does_not_shrink() -> None:
    assert after((0, 3, IDLE), (700, 3, IDLE)).desired == 3
    assert after((0, 3, IDLE), (300, 3, IDLE), (600, 3, IDLE)).desired == 1
    assert after((0, 3, IDLE), (-5000, 3, IDLE), (-4950, 3, IDLE)).desired == 3


def test_a_group_that_somebody_resized_rests() -> None:
    looks: list[tuple[float, int, Load | None]] = [(60.0 * minute, 4, replace(IDLE, ready=4)) for minute in range(10)]
    assert after(*looks, *((600 + 60.0 * minute, 3, IDLE) for minute in range(10))).desired == 3


def test_blindness_is_told_when_it_lasts() -> None:
    blind: list[tuple[float, int, Load | None]] = [(60.0 * minute, 3, None) for minute in range(4)]
    assert [after(*blind[:number]).tell for number in (1, 2, 3, 4)] == [False, False, True, False]
    assert after(*blind[:3]).reason == "What runs in the cluster cannot be seen; its size stays."
    assert after(*blind, (240, 3, BUSY)).tell


def test_a_group_outside_its_range_is_brought_back() -> None:
    assert after((0, 1, None), limits=replace(LIMITS, least=3)).desired == 3  # blind or not
    over = replace(BUSY, ready=12, nodes=12, spare=9)
    assert _long(over).desired == 10
    assert _long(over).reason == "The group has 12 nodes and may have 10 at most; what runs fits on 10 nodes."
    assert _long(replace(over, spare=1)).desired == 11  # no further than drains safely
    assert _long(replace(WAITING, ready=12, nodes=12)).desired == 12


def test_a_group_above_its_range_waits_and_asks_like_any_other_that_shrinks() -> None:
    over = replace(BUSY, ready=12, nodes=12, spare=9)
    assert after((0, 12, over)).desired == 12
    assert _long(over, minutes=10).desired == 12  # not quiet for long enough
    assert _long(over, limits=replace(LIMITS, rest_in=3000)).desired == 12
    assert _long(replace(over, cpu=0.79)).desired == 12  # what is left would be too much for 11
    assert _long(replace(over, stuck=("a",)), minutes=3).desired == 12


def _long(load: Load, *, minutes: int = 11, limits: Limits = LIMITS) -> Decision:
    return after(*((60.0 * minute, 12, load) for minute in range(minutes)), limits=limits)


def test_nodes_that_do_not_come_are_told_once_and_so_is_their_coming() -> None:
    missing = replace(BUSY, ready=3, nodes=5, missing=2)
    looks: list[tuple[float, int, Load | None]] = [(60.0 * minute, 5, missing) for minute in range(4)]
    assert not after(*looks[:2]).tell  # it may be over at once
    told = after(*looks[:3])
    assert (told.desired, told.topic, told.tell) == (5, Topic.MISSING, True)
    assert told.reason.startswith("2 nodes of 5 did not join the cluster, or left it; ")
    assert not after(*looks).tell
    came = after(*looks, (240, 5, replace(BUSY, ready=5, nodes=5)))
    assert (came.topic, came.tell) == (Topic.STEADY, True)


def test_a_full_group_whose_nodes_do_not_come_says_which() -> None:
    full = replace(WAITING, ready=3, nodes=10, missing=7)
    assert after(*((60.0 * minute, 10, full) for minute in range(3))).topic is Topic.MISSING


def test_one_missing_node_is_made_up_for_and_many_are_not() -> None:
    assert [made_up(count, missing) for count, missing in ((0, 0), (1, 1), (5, 3), (40, 3), (40, 30))] == [
        0, 1, 1, 3, 4,
    ]  # fmt: skip


def test_what_no_node_fits_does_not_grow_the_group() -> None:
    giant = replace(BUSY, too_large=("giant-0: 64 cpu",))
    found = after(*((60.0 * minute, 3, giant) for minute in range(30)))
    assert (found.desired, found.topic) == (3, Topic.TOO_LARGE)
    assert found.reason == "1 pod waits (giant-0: 64 cpu) for larger nodes than this group has; more would not help."


def test_work_that_waits_beside_free_room_gets_one_node_on_trial() -> None:
    stuck = replace(BUSY, stuck=("a", "b"))
    looks: list[tuple[float, int, Load | None]] = [(60.0 * minute, 3, stuck) for minute in range(4)]
    assert after(*looks[:3]).desired == 3
    tried = after(*looks)
    assert tried.desired == 4
    assert tried.reason == "2 pods wait (a; b) although nodes have room; one more node is tried."
    came = replace(stuck, ready=4, nodes=4)
    later: list[tuple[float, int, Load | None]] = [(240 + 60.0 * minute, 4, came) for minute in range(60)]
    vain = after(*looks, *later)
    assert (vain.desired, vain.topic) == (4, Topic.STUCK)  # it did not help: no second one
    helped: list[tuple[float, int, Load | None]] = [
        (now, count, replace(came, stuck=("b",))) for now, count, _ in later
    ]
    assert after(*looks, *helped[:3]).desired == 5


STUCK = replace(IDLE, stuck=("a",))


def _tried(then: Load) -> list[tuple[float, int, Load | None]]:
    """A node was tried for what is stuck, and came; and an hour after it."""
    looks: list[tuple[float, int, Load | None]] = [(60.0 * minute, 3, STUCK) for minute in range(4)]
    return looks + [(240 + 60.0 * minute, 4, then) for minute in range(60)]


def test_what_a_trial_has_not_helped_keeps_nobody_from_leaving() -> None:
    came = replace(STUCK, ready=4, nodes=4)
    looks = _tried(came)
    assert after(*looks[:4]).desired == 4
    shrunk = [number for number in range(5, 40) if after(*looks[:number]).desired < 4]
    assert shrunk
    assert shrunk[0] * 60 >= TRIAL_SECONDS + LIMITS.quiet
    back = (240 + 3600, 2, replace(STUCK, ready=2, nodes=2, spare=0))
    assert all(
        after(*looks[: shrunk[0]], *[(back[0] + 60.0 * n, *back[1:]) for n in range(k)]).desired == 2 for k in (1, 9)
    )


def test_a_trial_is_remembered_for_hours_after_what_was_stuck() -> None:
    busy = replace(BUSY, ready=4, nodes=4)
    looks = _tried(busy)
    assert after(*looks[:4]).desired == 4
    again: list[tuple[float, int, Load | None]] = [
        (4000 + 60.0 * minute, 4, replace(busy, stuck=("b",))) for minute in range(6)
    ]
    assert after(*looks, *again).desired == 4
    late = [(now + TRIED_SECONDS, count, load) for now, count, load in again]
    assert after(*looks, (late[0][0] - 60, 4, busy), *late[:4]).desired == 5


def test_a_group_that_is_full_shrinks_in_spite_of_what_is_stuck() -> None:
    full = replace(LIMITS, most=3)
    assert quiet(STUCK, minutes=13, limits=full).desired == 3
    assert quiet(STUCK, minutes=14, limits=full).desired == 1


def test_a_shrinking_that_had_to_be_undone_doubles_the_patience() -> None:
    looks: list[tuple[float, int, Load | None]] = [(60.0 * minute, 3, IDLE) for minute in range(11)]
    looks += [(660, 1, replace(WAITING, ready=1, nodes=1))]
    undone = after(*looks)
    assert (undone.desired, undone.history.regrets) == (3, 1)
    looks += [(720 + 60.0 * minute, 3, IDLE) for minute in range(20)]
    assert after(*looks).desired == 3
    assert after(*looks, (1920, 3, IDLE)).desired == 1


def test_a_memo_that_is_not_ours_is_as_none() -> None:
    junk = {"at": "yesterday", "count": -1, "out_at": math.inf, "regrets": 99, "told": 3, "blind": True, "more": 1}
    assert History.of(junk) == History()
    assert History().memo() == {}
