"""Real Heat makes further nodegroups, upgrades and other numbers of masters, and touches nobody who was not meant."""

from __future__ import annotations

import pytest

from tests.realcloud.scaling import Scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_nodegroup_comes_grows_and_goes_beside_the_others(scaled: Scaled) -> None:
    seen = scaled.seen
    born, made, grown = seen["born"].workers, seen["group made"].workers, seen["group grown"].workers
    assert born < made < grown
    assert [len(one) for one in (born, made, grown)] == [2, 3, 4]
    assert seen["group gone"].workers == born


async def test_an_upgrade_replaces_every_worker_and_no_master(scaled: Scaled) -> None:
    before, after = scaled.seen["group gone"], scaled.seen["upgraded"]
    old, new = scaled.flavors
    assert (len(after.workers), before.workers & after.workers) == (2, frozenset())
    assert (scaled.made_of["group gone"], scaled.made_of["upgraded"]) == ({old}, {new})
    assert before.masters == after.masters
    (upgrade,) = [one for one in scaled.operations if one.kind == "upgrade"]
    assert (upgrade.state, upgrade.error) == ("done", None)


async def test_work_goes_from_the_old_nodes_to_the_new_ones(scaled: Scaled) -> None:
    for phase in ("born", "upgraded", "one master"):
        seen = scaled.seen[phase]
        assert len(seen.serving) == 2, phase
        assert set(seen.serving) <= seen.names, phase


async def test_masters_come_and_go_and_the_first_stays(scaled: Scaled) -> None:
    one, three, back = (scaled.seen[phase].masters for phase in ("upgraded", "three masters", "one master"))
    assert (len(one), len(three), one < three, back) == (1, 3, True, one)
    assert scaled.seen["one master"].workers == scaled.seen["three masters"].workers == scaled.seen["upgraded"].workers


async def test_the_bay_tells_what_it_has(scaled: Scaled) -> None:
    told = [scaled.seen[phase].shown for phase in ("born", "group grown", "upgraded", "three masters", "one master")]
    assert told == [(1, 2), (1, 2), (1, 2), (3, 2), (1, 2)]


async def test_nothing_of_it_is_left(scaled: Scaled) -> None:
    assert scaled.after == scaled.before
