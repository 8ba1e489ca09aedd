"""Names derived from ids, waits, and who leaves: plain figures in, plain figures out."""

from __future__ import annotations

import re
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import names
from shared.domain.bay import Node
from shared.domain.retry import backoff
from shared.domain.scaling import Busy, idlest, leaving


@given(st.text(max_size=300), st.uuids(), st.integers(1, 99))
def test_a_stack_name_is_one_that_heat_takes(name: str, bay_id: UUID, generation: int) -> None:
    made = names.stack_name(name, bay_id, generation)
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]{0,62}", made)
    assert made == names.stack_name(name, bay_id, generation)


@given(st.uuids())
def test_a_tag_tells_its_bay(bay_id: UUID) -> None:
    assert names.tagged_bay(names.bay_tag(bay_id)) == bay_id


@pytest.mark.parametrize("tag", ["jeroboam", f"jeroboam-bay-{36 * '-'}", f"jeroboam-bay-{32 * '0'}", "x-bay-1"])
def test_what_somebody_wrote_into_a_tag_is_no_bay(tag: str) -> None:
    assert names.tagged_bay(tag) is None


def test_two_bays_of_one_name_have_two_stacks() -> None:
    assert names.stack_name("k8s", uuid4(), 1) != names.stack_name("k8s", uuid4(), 1)


@given(st.integers(0, 1000))
def test_automatic_names_follow_the_contract(seed: int) -> None:
    assert re.fullmatch(r"[a-z]+-([1-9]|1[0-9]|2[0-4])-bay", names.automatic(seed, "bay"))


@given(st.integers(0, 50))
def test_waits_double_up_to_a_minute(failures: int) -> None:
    plain = min(2.0 * 2.0 ** max(failures - 1, 0), 60.0)
    assert plain * 0.7 <= backoff(failures).total_seconds() <= min(plain * 1.3, 60.0)


def test_a_service_that_asks_for_more_time_gets_it() -> None:
    assert backoff(1, wish=90.0).total_seconds() == 90.0


def _workers(count: int) -> list[Node]:
    return [Node(f"s{i}", "worker", i, f"node-{i}", "", f"10.0.0.{i}") for i in range(count)]


def test_the_youngest_leave_when_nobody_is_named() -> None:
    assert leaving(_workers(4), 2, []) == ["s3", "s2"]


def test_the_named_leave_first() -> None:
    assert leaving(_workers(4), 2, ["s0"]) == ["s0", "s3"]


def test_nobody_leaves_when_the_bay_grows() -> None:
    assert leaving(_workers(2), 4, []) == []


def test_the_named_are_replaced_when_the_number_stays() -> None:
    """And nobody else leaves (docs/decisions/0010)."""
    assert leaving(_workers(3), 3, ["s2", "s0"]) == ["s2", "s0"]
    assert leaving(_workers(3), 3, []) == []
    with pytest.raises(ValueError, match="1 nodes are named but only 0 may leave"):
        leaving(_workers(3), 4, ["s0"])
    with pytest.raises(ValueError, match="no node of this bay"):
        leaving(_workers(3), 3, ["zz"])


def test_the_preferred_leave_after_the_named_and_before_the_youngest() -> None:
    assert leaving(_workers(4), 1, ["s0"], ["s2", "gone", "s0"]) == ["s0", "s2", "s3"]
    assert leaving(_workers(4), 3, [], ["s1", "s2"]) == ["s1"]
    assert leaving(_workers(2), 4, [], ["s1"]) == []


def test_the_youngest_is_in_the_newest_pool() -> None:
    """A place in it says nothing about another pool."""
    nodes = [replace(node, pool=1) if node.position < 2 else node for node in _workers(4)]
    assert leaving(nodes, 0, []) == ["s1", "s0", "s3", "s2"]


def test_the_idlest_first() -> None:
    seen = {
        "s0": Busy(ready=True, open=True, works=0),
        "s1": Busy(ready=True, open=False, works=9),
        "s2": Busy(ready=False, open=True, works=9),
        "s3": Busy(ready=True, open=True, works=2),
        "s4": Busy(ready=True, open=True, works=0),
    }
    assert idlest(_workers(6), seen) == ["s5", "s2", "s1", "s4", "s0", "s3"]
    seen["s1"] = replace(seen["s1"], held=1)
    seen["s2"] = replace(seen["s2"], held=1)
    assert idlest(_workers(6), seen) == ["s5", "s2", "s4", "s0", "s3", "s1"], "what nobody moves goes last"


@given(st.integers(0, 8), st.integers(0, 8), st.data())
def test_whoever_is_preferred_as_many_leave(present: int, wanted: int, data: st.DataObject) -> None:
    ids = [f"s{number}" for number in range(present)]
    preferred = data.draw(st.lists(st.sampled_from([*ids, "zz"]), max_size=12))
    named = data.draw(
        st.lists(st.sampled_from(ids), max_size=max(present - wanted, 0), unique=True) if ids else st.just([])
    )
    chosen = leaving(_workers(present), wanted, named, preferred)
    assert len(set(chosen)) == len(chosen) == (len(named) if wanted == present else max(present - wanted, 0))
    assert set(named) <= set(chosen) <= set(ids)


@pytest.mark.parametrize(("named", "why"), [(["zz"], "no node of this bay"), (["s0", "s1", "s2"], "only 1 may leave")])
def test_wrong_names_are_refused(named: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        leaving(_workers(3), 2, named)
