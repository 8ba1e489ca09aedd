"""What holds of a policy where its owner said nothing."""

from __future__ import annotations

from shared.domain.scaling_policy import MOST, Source, Value, effective


def most(count: int, *, stored: int | None = None, group: int | None = None, label: str = "") -> Value:
    policy = {} if stored is None else {MOST: stored}
    return effective({"max_node_count": label}, policy, born=2, count=count, group=(0, group))[MOST]


def test_an_owners_resize_is_not_undone_where_nobody_set_a_maximum() -> None:
    assert most(2) == Value(3, Source.DEFAULT)
    assert most(3) == Value(3, Source.DEFAULT)
    assert most(8) == Value(8, Source.DEFAULT)


def test_a_maximum_that_somebody_set_holds_whatever_there_is() -> None:
    assert most(8, stored=5) == Value(5, Source.POLICY)
    assert most(8, label="4") == Value(4, Source.LABEL)
    assert most(8, group=6) == Value(6, Source.NODEGROUP)
