"""Which of a bay's stacks has which workers."""

from __future__ import annotations

import pytest

from shared.domain.bay import Node
from shared.domain.shards import LARGEST, UNLIMITED, Share, place, position, shard_of, shares, spread, stack_name


def node(shard: int, index: int) -> Node:
    return Node(f"id-{shard}-{index}", "worker", position(shard, index), "n", "127.64.0.1", "10.0.0.1")


def bay(*counts: int) -> list[Node]:
    return [node(shard, index) for shard, count in enumerate(counts) for index in range(count)]


@pytest.mark.parametrize("count", [0, 1, LARGEST, LARGEST + 1, 3 * LARGEST, 1000])
def test_a_new_bay_fills_one_stack_after_the_other(count: int) -> None:
    found = spread(count)
    assert sum(found) == count
    assert all(one == LARGEST for one in found[:-1])
    assert len(found) == 1 or 0 < found[-1] <= LARGEST
    assert {shard: share.count for shard, share in shares([], count).items()} == dict(enumerate(found))


def test_who_leaves_leaves_the_stack_where_it_is() -> None:
    found = shares(bay(LARGEST, 4), LARGEST + 2, {"id-0-7", "id-1-2"})
    assert found == {0: Share(LARGEST - 1, ("id-0-7",)), 1: Share(3, ("id-1-2",))}


def test_who_comes_fills_the_first_room() -> None:
    found = shares(bay(LARGEST - 2, 4), LARGEST + 5)
    assert {shard: share.count for shard, share in found.items()} == {0: LARGEST, 1: 5}


def test_who_is_replaced_makes_room_for_the_one_that_comes() -> None:
    assert shares(bay(LARGEST, 4), LARGEST + 4, {"id-0-0"}) == {
        0: Share(LARGEST, ("id-0-0",)),
        1: Share(4, changed=False),
    }


def test_a_stack_that_loses_all_is_named_with_none() -> None:
    assert shares(bay(2, 1), 2, {"id-1-0"}) == {0: Share(2, changed=False), 1: Share(0, ("id-1-0",))}


def test_bays_of_older_releases_stay_in_one_stack() -> None:
    assert shares(bay(3), LARGEST + 50, largest=UNLIMITED) == {0: Share(LARGEST + 50)}


@pytest.mark.parametrize(
    ("name", "shard"), [("web-1", 0), ("web-1-s3", 3), ("web-1-s0", None), ("web-1-s1x", None), ("web-12", None)]
)
def test_names_tell_the_shard(name: str, shard: int | None) -> None:
    assert shard_of(name, "web-1") == shard
    if shard is not None:
        assert stack_name("web-1", shard) == name


def test_places_tell_shard_and_index() -> None:
    assert place(position(12, 345)) == (12, 345)
    assert position(0, 7) == 7
