"""Who is next in an upgrade, and which releases go together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bay import Node
from shared.domain.upgrade import batches, laid_over, minor_step, next_batch, skew


def nodes(old: int, new: int, pool: int = 3) -> list[Node]:
    return [
        Node(f"{of}-{at}", "worker", at, f"{of}-{at}", "", "", of)
        for of, many in ((0, old), (pool, new))
        for at in range(many)
    ]


@given(
    old=st.integers(0, 12), new=st.integers(0, 12), count=st.integers(0, 12), size=st.integers(1, 5), pool=st.just(3)
)
def test_it_ends_with_that_many_new_nodes_and_never_has_fewer(
    old: int, new: int, count: int, size: int, pool: int
) -> None:
    """From whatever a try that stopped has left; each round ends with old ones gone, or there was none."""
    for round_ in range(1, 40):
        batch = next_batch(nodes(old, new), pool, count, size, round_)
        if batch is None:
            break
        leaving = sum(server.startswith("0-") for server in batch.leave)
        assert leaving == min(size, old)
        assert batch.total >= old + new
        assert batch.total - len(batch.leave) >= min(count, old + new)
        if old + new == count:
            assert batch.total <= count + size
        old, new = old - leaving, batch.total - old - (len(batch.leave) - leaving)
    assert (old, new) == (0, count)


def test_those_that_leave_are_the_first() -> None:
    found = next_batch(nodes(3, 0), 3, 3, 2, 1)
    assert found is not None
    assert (found.total, found.leave) == (5, ("0-0", "0-1"))
    assert [batches(count, 2) for count in (0, 1, 2, 3)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("was", "to", "verdict"),
    [
        ("v1.30.1", "v1.30.1", ""),
        ("v1.30.1", "v1.30.9", ""),
        ("v1.30.1", "v1.31.0", ""),
        ("v1.30.1", "v1.32.0", "one minor release at a time"),
        ("v1.30.1", "v2.0.0", "one minor release at a time"),
        ("v1.30.2", "v1.30.1", "no way back"),
        ("1.30.0", "v1.29.9", "no way back"),
        ("latest", "v1.31.0", ""),
        ("", "", ""),
    ],
)
def test_releases_that_go_together(was: str, to: str, verdict: str) -> None:
    said = skew(was, to)
    assert (said is None) == (not verdict)
    assert verdict in (said or "")


def test_a_patch_is_no_minor_step() -> None:
    assert not minor_step("v1.30.1", "v1.30.9")
    assert minor_step("v1.30.1", "v1.31.0")
    assert minor_step("latest", "v1.31.0"), "what cannot be told apart is not taken for the same"
    assert not minor_step("", "")


def test_what_the_owner_chose_stays() -> None:
    bay, was, to = {"a": "1", "b": "own", "c": "1"}, {"a": "1", "b": "1", "c": "1"}, {"a": "2", "b": "2", "d": "2"}
    assert laid_over(bay, was, to) == {"a": "2", "b": "own", "d": "2"}
