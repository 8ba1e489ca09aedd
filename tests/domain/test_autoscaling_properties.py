"""What holds of every decision, whatever is seen; and groups that live with them, on a clock of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scaler.autoscale_load import load_of
from shared.coe.port import CoeNode, Look, Resources, Work
from shared.domain.autoscaling import History, Limits, Load, decide, young
from shared.domain.bay import Node
from shared.domain.packing import Amount, nodes_for, place

NAMES = st.lists(st.just("w"), max_size=3).map(tuple)
SHARES = st.floats() | st.floats(0, 2)
COUNTS = st.integers(-2, 40)
LOADS = st.none() | st.builds(
    Load, ready=COUNTS, nodes=COUNTS, cpu=SHARES, memory=SHARES, idle=COUNTS, spare=COUNTS, more=COUNTS,
    waiting=NAMES, stuck=NAMES, too_large=NAMES, missing=COUNTS,
)  # fmt: skip
LIMITS = st.builds(
    lambda least, wide, target, low, quiet, out, rest, steps: Limits(
        least=least, most=least + wide, target=target, scale_in=low * target, quiet=quiet, rest_out=out, rest_in=rest,
        step_out=steps[0], step_in=steps[1],
    ),
    st.integers(0, 10), st.integers(0, 20), st.floats(0.01, 1), st.floats(0, 0.99), st.floats(0, 2000),
    st.floats(0, 600), st.floats(0, 600), st.tuples(st.integers(1, 50), st.integers(0, 50)),
)  # fmt: skip
INSTANTS = st.none() | st.floats(-1e6, 1e6)
HISTORIES = st.builds(
    History, at=INSTANTS, count=st.none() | st.integers(0, 40), changed=INSTANTS, out_at=INSTANTS, in_at=INSTANTS,
    quiet_since=INSTANTS, regrets=st.integers(0, 3), stuck_since=INSTANTS, tried=st.integers(0, 3),
    blind=st.integers(0, 5), stuck_at=INSTANTS, missed=st.integers(0, 5),
)  # fmt: skip


@settings(max_examples=400)
@given(st.floats(-1e6, 1e6), st.integers(0, 40), LOADS, LIMITS, HISTORIES)
def test_bounds_of_every_decision(now: float, count: int, load: Load | None, limits: Limits, history: History) -> None:
    found = decide(now, count, load, limits, history)
    low, high = min(count, limits.least), max(count, limits.most)
    assert low <= found.desired <= high  # never further out than it is, and never out of the range by itself
    assert found.desired - count <= limits.step_out
    assert count - found.desired <= limits.step_in
    if found.desired < count:
        assert load is not None
        assert load.sound
        assert load.ready >= count
        assert count - found.desired <= load.spare or count - found.desired <= load.idle
        assert found.desired >= limits.least
    assert found.tell or found.desired == count
    assert found.reason.endswith(".")
    again = History.of(found.history.memo())
    assert again == found.history
    assert decide(now, count, load, limits, again).desired >= 0


AMOUNTS = st.builds(Amount, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.sampled_from([0.0, 64.0, 512.0, 1000.0]))
WORKS = st.dictionaries(AMOUNTS, st.integers(1, 30), max_size=6)


@given(st.lists(AMOUNTS, max_size=6), WORKS)
def test_what_is_placed_fits(free: list[Amount], asks: dict[Amount, int]) -> None:
    before = list(free)
    left = place(free, asks)
    assert all(room.sound for room in free)
    assert all(0 <= left[ask] <= number for ask, number in asks.items())
    for index in (0, 1):
        taken = sum(one[index] for one in before) - sum(one[index] for one in free)
        put = sum(ask[index] * (number - left[ask]) for ask, number in asks.items())
        assert abs(taken - put) < 1e-3
    assert all(room.holds(ask) < 1 for ask in left for room in free)  # and what is left does not


@given(WORKS)
def test_new_nodes_take_it_all_and_are_not_too_many(asks: dict[Amount, int]) -> None:
    size = Amount(1.0, 1000.0)
    number = nodes_for(size, asks, most=1000)
    assert not place([size] * number, asks)
    whole = [sum(ask[index] * count for ask, count in asks.items()) / size[index] for index in (0, 1)]
    assert number <= 2 * sum(whole) + 2


@dataclass
class Group:
    """A nodegroup with a scheduler that spreads: each piece of work goes to the node with the most room."""

    size: float
    nodes: list[str] = field(default_factory=list)
    homes: dict[str, str | None] = field(default_factory=dict)
    asks: dict[str, float] = field(default_factory=dict)
    made: int = 0

    def resize(self, count: int, leaving: list[str]) -> None:
        for name in leaving[: max(0, len(self.nodes) - count)]:
            self.nodes.remove(name)
            self.homes = {work: None if home == name else home for work, home in self.homes.items()}
        while len(self.nodes) < count:
            self.nodes.append(f"node-{self.made}")
            self.made += 1

    def schedule(self) -> None:
        for work in sorted(self.asks):
            self.homes.setdefault(work, None)
            if self.homes[work] is None:
                room = {node: self.room(node) for node in self.nodes}
                best = max(room, key=lambda node: room[node], default=None)
                if best is not None and room[best] + 1e-9 >= self.asks[work]:
                    self.homes[work] = best

    def room(self, node: str) -> float:
        return self.size - sum(self.asks[work] for work, home in self.homes.items() if home == node)

    def look(self) -> Look:
        have = Resources(self.size, 1000)
        return Look(
            tuple(CoeNode(one, one, (), True, "", True, False, have) for one in self.nodes),
            tuple(
                Work(name, self.homes[name], Resources(ask, 1), False, "" if self.homes[name] else "no room")
                for name, ask in self.asks.items()
            ),
        )

    def rows(self) -> list[Node]:
        return [Node(one, "worker", int(one.partition("-")[2]), one, "", "") for one in self.nodes]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.1, 0.3, 0.45, 0.55, 0.9]), max_size=30), st.integers(0, 12), st.integers(0, 2))
def test_a_steady_load_comes_to_rest(asks: list[float], begin: int, least: int) -> None:
    """No flapping: with work that does not change, growth ends, and what was let go comes back three times at most."""
    limits = Limits(
        least=least, most=40, target=0.85, scale_in=0.65, quiet=600, rest_out=60, rest_in=300, step_out=30, step_in=10
    )
    group, history, seen = Group(1.0), History(), []
    group.asks = {f"work-{number:02}": ask for number, ask in enumerate(asks)}
    group.resize(begin, [])
    for minute in range(60 * 24):
        group.schedule()
        now, count = 60.0 * minute, len(group.nodes)
        load = load_of(group.look(), group.rows(), count=count, young=young(now, count, history))
        assert load is not None
        found = decide(now, count, load, limits, history)
        history = found.history
        order = sorted(
            group.nodes, key=lambda node: (sum(home == node for home in group.homes.values()), -int(node[5:]))
        )
        group.resize(found.desired, order)
        seen.append(found.desired)
    turns = [after - before for before, after in pairwise(seen) if after != before]
    assert sum(one > 0 and other < 0 for one, other in pairwise(turns)) <= 3
    assert len(set(seen[-6 * 60 :])) == 1
    assert all(home is not None for home in group.homes.values())
    assert seen[-1] >= least
