"""What a look says of a group's load: figures in, figures out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from services.scaler.autoscale_load import MOST_KINDS, load_of
from shared.coe.port import CoeNode, Look, Resources, Work
from shared.domain.autoscaling import Load
from shared.domain.bay import Node
from shared.domain.packing import Amount

GIB = 1 << 30


def node(at: int, *, cpu: float = 2.0, memory: int = 4 * GIB, **other: object) -> CoeNode:
    plain = CoeNode(f"n-{at}", f"n-{at}", (f"10.0.0.{at}",), True, "", True, False, Resources(cpu, memory))
    return replace(plain, **other)  # type: ignore[arg-type] # by the test


def row(at: int) -> Node:
    return Node(f"s-{at}", "worker", at, f"n-{at}", "127.64.0.1", f"10.0.0.{at}")


def runs(name: str, at: int, cpu: float = 0.5, *, stays: bool = False, held: bool = False) -> Work:
    return Work(name, f"n-{at}", Resources(cpu, GIB // 4), stays, held=held)


def waits(name: str, cpu: float = 0.5, memory: int = GIB // 4) -> Work:
    return Work(name, None, Resources(cpu, memory), stays=False, waiting="Insufficient cpu.")


def seen(
    nodes: list[CoeNode], works: list[Work], *, ours: int | None = None, count: int | None = None, young: bool = True
) -> Load:
    rows = [row(at) for at in range(len(nodes) if ours is None else ours)]
    found = load_of(Look(tuple(nodes), tuple(works)), rows, count=len(rows) if count is None else count, young=young)
    assert found is not None
    return found


def test_shares_are_of_the_groups_own_nodes() -> None:
    found = seen([node(0), node(1), node(2)], [runs("a", 0, 1), runs("b", 1, 1), runs("c", 2, 2)], ours=2)
    assert (found.ready, found.nodes, found.cpu) == (2, 2, 0.5)
    assert found.memory == 1 / 16


def test_what_waits_goes_first_where_there_is_room() -> None:
    full = [runs("a", 0, 1.8), runs("b", 1, 1.4)]
    found = seen([node(0), node(1)], [*full, waits("w-0"), *(waits(f"w-{n}") for n in range(1, 6))])
    assert (found.more, len(found.waiting), len(found.stuck)) == (2, 5, 1)
    assert found.waiting[0] == "w-0: 500m cpu, 256 MiB"


def test_other_groups_nodes_have_room_too_and_the_masters_have_none() -> None:
    full = [runs("a", 0, 2)]
    assert seen([node(0), node(1)], [*full, waits("w")], ours=1).more == 0
    assert seen([node(0), node(1, manager=True)], [*full, waits("w")], ours=1).more == 1
    assert seen([node(0), node(1, open=False)], [*full, waits("w")], ours=1).more == 1
    assert seen([node(0), node(1, ready=False)], [*full, waits("w")], ours=1).more == 1


def test_nodes_that_come_are_counted_as_long_as_they_may() -> None:
    works = [runs("a", 0, 2), *(waits(f"w-{n}") for n in range(6))]
    coming = seen([node(0)], works, ours=1, count=2)
    late = seen([node(0)], works, ours=1, count=2, young=False)
    assert (coming.more, coming.nodes, coming.cpu) == (1, 2, 0.5)
    assert (late.more, late.nodes, late.cpu) == (2, 1, 1.0)
    assert coming.stuck == ()


def test_nodes_that_never_come_are_not_bought_again_and_again() -> None:
    works, count, counts = [runs("a", 0, 2), *(waits(f"w-{n}", 1.9) for n in range(9))], 1, []
    for _ in range(20):
        found = seen([node(0)], works, ours=1, count=count, young=False)
        assert found.missing == count - 1
        count += found.more
        counts.append(count)
    assert counts[0] == 10
    assert counts[-1] == counts[-2] <= 12


def test_one_broken_node_is_made_up_for() -> None:
    nodes, works = [node(0), node(1, ready=False)], [runs("a", 0, 2), waits("w")]
    found = seen(nodes, works, young=False)
    assert (found.more, found.missing, found.ready) == (1, 1, 1)
    assert seen(nodes, works).missing == 0


def test_a_node_that_somebody_closed_is_not_missing() -> None:
    found = seen([node(0), node(1, open=False), node(2, open=False)], [runs("a", 0, 2), waits("w")], young=False)
    assert (found.more, found.missing, found.ready) == (1, 0, 1)


def test_what_goes_with_every_node_is_on_the_new_one_before_the_rest() -> None:
    agent = [runs("agent", 0, 0.6, stays=True), runs("a", 0, 1.4)]
    found = seen([node(0)], [*agent, *(waits(f"w-{n}", 0.7) for n in range(4))])
    assert found.size == Amount(1.4, 4 * GIB - GIB // 4)
    assert found.more == 2
    assert seen([node(0)], [*agent, waits("w", 1.5)]).too_large == ("w: 1.5 cpu, 256 MiB",)


def test_what_no_node_fits_needs_none() -> None:
    found = seen([node(0)], [runs("a", 0, 2), waits("giant", 64), waits("fat", 0.1, 900 * GIB), waits("w")])
    assert (found.more, len(found.waiting)) == (1, 1)
    assert len(found.too_large) == 2


def test_who_leaves_first_and_whose_work_fits_elsewhere() -> None:
    nodes = [node(0), node(1), node(2)]
    assert _leaving(seen(nodes, [runs("a", 0), runs("b", 1)])) == (1, 2)
    assert _leaving(seen(nodes, [runs("a", 0), runs("agent", 2, stays=True)])) == (2, 2)
    assert _leaving(seen(nodes, [runs("a", 0, 1.5), runs("b", 1, 1.5), runs("c", 2, 1.5)])) == (0, 0)
    assert _leaving(seen(nodes, [runs("a", 0, 1.5), runs("b", 1, 1.5)])) == (1, 1)
    assert _leaving(seen(nodes, [])) == (3, 3)


def test_a_node_with_work_that_a_drain_would_not_move_is_not_spare() -> None:
    nodes = [node(0), node(1), node(2)]
    assert _leaving(seen(nodes, [runs("a", 0), runs("bare", 1, held=True)])) == (1, 2)
    assert _leaving(seen(nodes, [runs("a", 0), runs("b", 0), runs("bare", 1, held=True)])) == (1, 2)
    assert _leaving(seen(nodes, [runs("bare", at, held=True) for at in range(3)])) == (0, 0)


def test_what_is_stuck_still_finds_its_room_on_what_is_left() -> None:
    nodes, works = [node(0), node(1), node(2)], [runs("a", 0, 1.0)]
    assert _leaving(seen(nodes, works)) == (2, 3 - 1)
    assert _leaving(seen(nodes, [*works, waits("w", 0.9)])) == (2, 2)
    assert _leaving(seen(nodes, [*works, waits("w", 1.9)])) == (1, 1)


def _leaving(found: Load) -> tuple[int, int]:
    return found.idle, found.spare


def test_without_any_node_one_is_asked_for_unless_the_size_is_known() -> None:
    works = tuple(waits(f"w-{n}") for n in range(8))
    blind = load_of(Look((), works), [], count=0, young=False)
    assert blind is not None
    assert (blind.more, len(blind.waiting), blind.size) == (1, 8, None)
    known = load_of(Look((), works), [], count=0, young=False, size=Amount(2.0, 4 * GIB))
    assert known is not None
    assert known.more == 2
    ordered = load_of(Look((), works), [], count=1, young=True)
    assert ordered is not None
    assert ordered.more == 0


def test_work_that_asks_for_nothing_waits_for_a_first_node() -> None:
    idle = Work("w", None, Resources(), stays=False, waiting="no suitable node")
    found = load_of(Look((), (idle,)), [], count=0, young=False, size=Amount(2.0, 4 * GIB))
    assert found is not None
    assert (found.more, found.waiting) == (1, ("w",))
    assert seen([node(0)], [idle]).more == 0


def test_work_that_waits_for_something_else_counts_for_nothing() -> None:
    found = seen([node(0)], [Work("w", None, Resources(9, 1), stays=False)])
    assert (found.more, found.waiting, found.stuck, found.too_large) == (0, (), (), ())


@pytest.mark.parametrize("cpu", [math.nan, math.inf, -1.0])
def test_who_lies_is_not_believed(cpu: float) -> None:
    rows = [row(0)]
    assert load_of(Look((node(0, cpu=cpu),), ()), rows, count=1, young=False) is None
    assert load_of(Look((node(0),), (runs("a", 0, cpu),)), rows, count=1, young=False) is None


def test_who_says_more_than_a_bay_can_have_is_not_believed() -> None:
    kinds = [runs(f"a-{n}", 0, n / 1e6) for n in range(MOST_KINDS + 1)]
    assert load_of(Look((node(0),), tuple(kinds)), [row(0)], count=1, young=False) is None
    assert load_of(Look((node(0),), tuple(kinds[:-1])), [row(0)], count=1, young=False) is not None
    strangers = Look(tuple(node(at) for at in range(1000)), ())
    assert load_of(strangers, [row(0)], count=1, young=False) is None
    assert load_of(strangers, [row(0)], count=1, young=False, known=500) is not None
    many = [runs(f"a-{n}", n, n / 1e6) for n in range(MOST_KINDS)]
    large = Look(tuple(node(at) for at in range(1001)), tuple(many))
    assert load_of(large, [row(0)], count=1, young=False, known=1000) is None


def test_who_boasts_is_not_believed_either() -> None:
    vast = [runs("a", 0, 1e308), runs("b", 0, 1e308), *(waits(f"w-{n}", 1e308) for n in range(3))]
    assert not seen([node(0)], vast).sound
    assert seen([node(0, cpu=1e308)], [runs("a", 0), waits("w", 1e308)]).sound


def test_nodes_that_say_that_they_have_nothing_are_not_multiplied() -> None:
    found = seen([node(0, cpu=0.0, memory=0)], [waits("w")])
    assert (found.more, found.cpu) == (0, 0.0)


def test_a_thousand_nodes_and_ten_thousand_pods_are_one_look() -> None:
    nodes = [node(at) for at in range(300)]
    works = [runs(f"a-{at}-{n}", at, 0.2) for at in range(300) for n in range(10)]
    found = seen(nodes, [*works, *(waits(f"w-{n}", 0.1) for n in range(2000))])
    assert (found.more, found.ready) == (100, 300)
