"""Draining nodes that seem ill, and how a drain keeps to its operation's own time."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from services.scaler.steps.drain_time import reserve
from tests.scaler.played_coe import PlayedCoe, refused
from tests.scaler.town import Town

BUDGET = "budget shop/web allows no disruption"


@pytest.mark.parametrize("missing", [True, False])
async def test_a_node_that_is_not_ready_for_a_moment_is_drained_like_others(town: Town, missing: bool) -> None:
    """One look tells little: the engine may just have changed its leader."""
    bay, coe = await _shop(town)
    well = coe.nodes["node-2"]
    coe.slow.add("shop/web-2")
    _falls_ill(coe, missing=missing)
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turn(operation) == "resize.drain"
    assert "node-2 is " in await town.note(operation, "resize.drain")
    coe.nodes["node-2"] = replace(well, open=coe.nodes.get("node-2", well).open)
    await town.time_passes(bay, 25)
    assert await town.turn(operation) == "resize.drain"
    _falls_ill(coe, missing=missing)
    await town.time_passes(bay, 25)
    await town.turn(operation)
    await town.time_passes(bay, 25)
    assert await town.turn(operation) == "resize.drain", "it was well in between"
    coe.nodes["node-2"] = replace(well, open=False)
    coe.slow.clear()
    assert await town.turn(operation) == "resize.stack"
    assert await town.note(operation, "resize.drain") == "Drained: node-2."
    assert [work.node for work in coe.works if not work.stays] == ["node-0"]


@pytest.mark.parametrize("missing", [True, False])
async def test_one_that_stays_so_is_not_waited_for(town: Town, missing: bool) -> None:
    bay, coe = await _shop(town)
    _falls_ill(coe, missing=missing)
    coe.budgets["shop/web-2"] = BUDGET
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turn(operation) == "resize.drain"
    for _ in range(2):
        await town.time_passes(bay, 25)
        assert await town.turn(operation) == "resize.drain"
    await town.time_passes(bay, 11)
    assert await town.turn(operation) == "resize.stack"
    told = await town.note(operation, "resize.drain")
    assert told == "Drained: node-2. Not waited for any longer: node-2, not ready."


async def test_looks_far_apart_say_nothing_of_the_time_between(town: Town) -> None:
    bay, coe = await _shop(town)
    _falls_ill(coe, missing=True)
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    await town.time_passes(bay, 61)
    assert await town.turn(operation) == "resize.drain"


async def test_neither_does_an_api_that_did_not_answer(town: Town) -> None:
    bay, coe = await _shop(town)
    _falls_ill(coe, missing=True)
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    for failing in (False, True, False):
        await town.time_passes(bay, 21)
        coe.errors = [refused()] if failing else []
        assert await town.turn(operation) == "resize.drain"


async def test_pods_of_a_node_that_is_not_ready_are_asked_to_leave(town: Town) -> None:
    """That needs no kubelet. Of a swarm or Mesos nobody is asked."""
    bay, coe = await _shop(town)
    _falls_ill(coe)
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turns(operation) == "resize.stack"
    assert [work.node for work in coe.works if not work.stays] == ["node-0"]

    bay, coe = await town.bay(3, coe="swarm")
    coe.runs("web.1", "node-2")
    _falls_ill(coe)
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    assert await town.turn(operation) == "resize.drain"
    assert "drain" not in coe.calls


@pytest.mark.parametrize("strict", [True, False])
async def test_most_nodes_of_a_bay_are_not_lost_at_once(town: Town, strict: bool) -> None:
    """All the time is waited for it; then they go, unless the owner has said `fail` in so many words."""
    bay, coe = await _shop(town, drain_timeout="100", **({"drain_on_timeout": "fail"} if strict else {}))
    for name in ("node-1", "node-2"):
        _falls_ill(coe, name, missing=True)
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    for _ in range(4):
        await town.time_passes(bay, 24)
        assert await town.turn(operation) == "resize.drain"
    told = await town.note(operation, "resize.drain")
    assert told == "node-2 is unknown to the bay; most of the bay's nodes are not ready"
    await town.time_passes(bay, 5)
    step, error = await town.turn(operation), await town.error(operation)
    if strict:
        assert str(error).startswith("After 100 s node-2 is unknown to the bay")
    else:
        assert (step, error) == ("resize.stack", None)


async def test_a_short_drain_timeout_does_not_keep_a_dead_node(town: Town) -> None:
    bay, coe = await _shop(town, drain_timeout="10")
    _falls_ill(coe, missing=True)
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    for _ in range(2):
        await town.time_passes(bay, 25)
        assert await town.turn(operation) == "resize.drain"
    await town.time_passes(bay, 11)
    assert await town.turn(operation) == "resize.stack"
    assert await town.error(operation) is None


@pytest.mark.parametrize("force", [True, False])
async def test_the_operations_own_time_ends_the_drain(town: Town, force: bool) -> None:
    """A quarter of its hour is Heat's: the drain ends by its own rule, and not with the operation."""
    bay, coe = await _shop(town, drain_timeout="86400", **({"drain_on_timeout": "force"} if force else {}))
    coe.budgets["shop/web-2"] = BUDGET
    operation = await town.resize(bay, 2, "node-2")
    await town.turn(operation)
    assert "of the 86400 s of label drain_timeout: the rest" in await town.note(operation, "resize.drain")
    await _ends_in(town, operation, 16 * 60)
    assert await town.turn(operation) == "resize.drain"
    assert await town.error(operation) is None
    await _ends_in(town, operation, 14 * 60)
    step, error = await town.turn(operation), await town.error(operation)
    if force:
        assert (step, error) == ("resize.stack", None)
    else:
        assert f"1 pod left on node-2: shop/web-2 ({BUDGET})" in str(error)
        assert "The nodes stay and take work again." in str(error)
        assert (coe.closed(), await town.left_behind(bay)) == (set(), set())


@pytest.mark.parametrize(("minutes", "kept"), [(60, 900), (12, 300), (6, 180), (0, 0)])
def test_what_is_left_for_heat(minutes: int, kept: float) -> None:
    assert reserve(minutes * 60) == kept


async def test_an_operation_without_a_deadline_does_not_stall_while_it_drains(town: Town) -> None:
    bay, coe = await _shop(town, drain_timeout="86400")
    coe.budgets["shop/web-2"] = BUDGET
    operation = await town.resize(bay, 2, "node-2")
    await town.sql(
        "UPDATE operations SET deadline = NULL, request = request - 'timeout_minutes' WHERE id = $1", operation
    )
    await town.turn(operation)
    await town.sql(
        "UPDATE operation_steps SET started_at = now() - interval '3 hours' WHERE operation_id = $1", operation
    )
    for _ in range(3):
        assert await town.turn(operation) == "resize.drain"
    assert await town.error(operation) is None


async def _shop(town: Town, **labels: str) -> tuple[UUID, PlayedCoe]:
    """Three nodes; shop/web-2 and something that stays run on node-2."""
    bay, coe = await town.bay(3, labels=labels)
    coe.runs("shop/web-2", "node-2")
    coe.runs("kube-system/flannel-2", "node-2", stays=True)
    return bay, coe


def _falls_ill(coe: PlayedCoe, name: str = "node-2", *, missing: bool = False) -> None:
    if missing:
        coe.nodes.pop(name, None)
    else:
        coe.nodes[name] = replace(coe.nodes[name], ready=False, problem="kubelet stopped")


async def _ends_in(town: Town, operation: UUID, seconds: float) -> None:
    """The operation's deadline comes so soon."""
    await town.sql(
        "UPDATE operations SET deadline = now() + make_interval(secs => $2) WHERE id = $1", operation, seconds
    )
