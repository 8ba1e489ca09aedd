"""Which of a bay's stacks has which workers."""

from __future__ import annotations

import pytest

from shared.domain.bay import Node
from shared.domain.shards import (
    FIRST,
    LARGEST,
    UNLIMITED,
    Place,
    Share,
    home,
    is_further,
    place,
    position,
    shard_of,
    shares,
    spread,
    stack_name,
    stack_of,
)


def node(shard: int, index: int, pool: int = 0) -> Node:
    server = f"id-{shard}-{index}" if not pool else f"id-{pool}-{shard}-{index}"
    return Node(server, "worker", position(shard, index), "n", "127.64.0.1", "10.0.0.1", pool)


def bay(*counts: int) -> list[Node]:
    return [node(shard, index) for shard, count in enumerate(counts) for index in range(count)]


@pytest.mark.parametrize("count", [0, 1, LARGEST, LARGEST + 1, 3 * LARGEST, 1000])
def test_a_new_bay_fills_one_stack_after_the_other(count: int) -> None:
    found = spread(count)
    assert sum(found) == count
    assert all(one == LARGEST for one in found[:-1])
    assert len(found) == 1 or 0 < found[-1] <= LARGEST
    for pool in (0, 3):
        there = {(pool, shard): one for shard, one in enumerate(found)}
        assert {where: share.count for where, share in shares([], count, pool=pool).items()} == there


def test_who_leaves_leaves_the_stack_where_it_is() -> None:
    found = shares(bay(LARGEST, 4), LARGEST + 2, {"id-0-7", "id-1-2"})
    assert found == {FIRST: Share(LARGEST - 1, ("id-0-7",)), (0, 1): Share(3, ("id-1-2",))}


def test_who_comes_fills_the_first_room() -> None:
    found = shares(bay(LARGEST - 2, 4), LARGEST + 5)
    assert {where: share.count for where, share in found.items()} == {FIRST: LARGEST, (0, 1): 5}


def test_who_is_replaced_makes_room_for_the_one_that_comes() -> None:
    assert shares(bay(LARGEST, 4), LARGEST + 4, {"id-0-0"}) == {
        FIRST: Share(LARGEST, ("id-0-0",)),
        (0, 1): Share(4, changed=False),
    }


def test_who_is_replaced_comes_back_where_it_was() -> None:
    workers = [*bay(3), *(node(0, index, 2) for index in range(2))]
    assert shares(workers, 5, {"id-0-1"}, pool=2, back=[FIRST]) == {
        FIRST: Share(3, ("id-0-1",)),
        (2, 0): Share(2, changed=False),
    }
    assert shares(workers, 5, {"id-0-1"}, pool=2)[2, 0] == Share(3), "one that comes beside"
    assert shares(workers[1:], 6, pool=2, back=[FIRST]) == {FIRST: Share(3), (2, 0): Share(3)}, "who was gone"
    assert shares(workers, 4, {"id-0-1"}, pool=2, back=[FIRST])[FIRST] == Share(2, ("id-0-1",)), "nobody comes"


def test_a_stack_that_loses_all_is_named_with_none() -> None:
    assert shares(bay(2, 1), 2, {"id-1-0"}) == {
        FIRST: Share(2, changed=False),
        (0, 1): Share(0, ("id-1-0",)),
    }


def test_bays_of_older_releases_stay_in_one_stack() -> None:
    assert shares(bay(3), LARGEST + 50, largest=UNLIMITED) == {FIRST: Share(LARGEST + 50)}


def test_a_group_grows_in_its_newest_pool_and_shrinks_where_its_nodes_are() -> None:
    workers = [*bay(3), *(node(0, index, 2) for index in range(4))]
    grown = shares(workers, 9, {"id-0-0"}, pool=2)
    assert grown == {FIRST: Share(2, ("id-0-0",)), (2, 0): Share(7)}
    assert shares(workers, 6, {"id-2-0-3"}, pool=2)[FIRST] == Share(3, changed=False)
    assert shares(workers[:3], 3 + LARGEST + 1, pool=2) == {
        FIRST: Share(3, changed=False),
        (2, 0): Share(LARGEST),
        (2, 1): Share(1),
    }


def test_nodes_of_different_pools_may_have_the_same_place() -> None:
    assert [home(node(1, 4, pool)) for pool in (0, 1)] == [(0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("web-1", FIRST),
        ("web-1-s3", (0, 3)),
        ("web-1-g2", (2, 0)),
        ("web-1-g2-s13", (2, 13)),
        ("web-1-s0", None),
        ("web-1-g0", None),
        ("web-1-s1x", None),
        ("web-1-s1-g2", None),
        ("web-12", None),
    ],
)
def test_names_tell_pool_and_shard(name: str, where: Place | None) -> None:
    assert shard_of(name, "web-1") == where
    assert is_further(name, "web-1") == (where not in (None, FIRST))
    if where is not None:
        pool, shard = where
        assert stack_name("web-1", shard, pool) == name
        assert stack_of(f"{name}-minion-7".lower(), "Web-1") == where


def test_places_tell_shard_and_index() -> None:
    assert place(position(12, 345)) == (12, 345)
    assert position(0, 7) == 7
