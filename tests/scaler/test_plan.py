"""Choosing who leaves: the named, then the idle as the bay's engine says, else the youngest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.scaler.steps.plan import DOUBTED_LOOKS, LOOKS
from shared.domain.bay import Node
from tests.scaler.played_coe import refused
from tests.scaler.town import Town, server_of


async def test_the_idle_leave_before_the_youngest(town: Town) -> None:
    bay, coe = await town.bay(4)
    for number, node in enumerate(("node-0", "node-2", "node-2", "node-2", "node-3", "node-3")):
        coe.runs(f"shop/web-{number}", node)
    operation = await town.resize(bay, 2)
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-1", "node-0"]
    assert await town.note(operation, "resize.plan") == "node-1 is idle; node-0 runs 1 pod, the fewest"


async def test_who_holds_what_nobody_moves_leaves_last(town: Town) -> None:
    """It would keep the drain from its end, or be lost by force."""
    bay, coe = await town.bay(3)
    coe.runs("shop/bare", "node-2", held=True)
    for number, node in enumerate(("node-0", "node-0", "node-1")):
        coe.runs(f"shop/web-{number}", node)
    operation = await town.resize(bay, 1)
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-1", "node-0"]


async def test_what_goes_with_its_node_does_not_count(town: Town) -> None:
    bay, coe = await town.bay(3)
    for at in range(3):
        coe.runs(f"kube-system/flannel-{at}", f"node-{at}", stays=True)
    coe.runs("shop/web", "node-2")
    coe.runs("shop/db", "node-1")
    operation = await town.resize(bay, 2)
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-0"]


async def test_the_broken_leave_first_then_the_closed(town: Town) -> None:
    bay, coe = await town.bay(5)
    del coe.nodes["node-0"]
    coe.nodes["node-2"] = replace(coe.nodes["node-2"], ready=False, problem="kubelet stopped")
    coe.runs("shop/web-2", "node-2")
    coe.somebody_closes("node-1")
    coe.runs("shop/web-1", "node-1")
    operation = await town.resize(bay, 2)
    await town.turn(operation)
    assert await town.leaving(operation) == ["node-0", "node-2", "node-1"]
    told = await town.note(operation, "resize.plan")
    assert told == "node-0 is unknown to the bay; node-2 is not ready; node-1 is closed and runs 1 pod"


@pytest.mark.parametrize("missing", [True, False])
async def test_that_most_nodes_are_broken_is_not_believed_of_one_look(town: Town, missing: bool) -> None:
    """A swarm whose leader changes calls them unknown, Mesos has no agents for a while after a failover."""
    bay, coe = await town.bay(3)
    coe.runs("shop/web-2", "node-2")
    kept = dict(coe.nodes)
    for name in ("node-1", "node-2"):
        coe.nodes[name] = replace(coe.nodes[name], ready=False)
        if missing:
            del coe.nodes[name]
    operation = await town.resize(bay, 2)
    for _ in range(LOOKS + 1):
        assert await town.turn(operation) == "resize.plan"
    assert "Most of the bay's nodes are not ready" in await town.note(operation, "resize.plan")
    coe.nodes.update(kept)
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-1"]


async def test_it_is_believed_in_the_end(town: Town) -> None:
    bay, coe = await town.bay(2)
    for name in ("node-0", "node-1"):
        coe.nodes[name] = replace(coe.nodes[name], ready=False)
    operation = await town.resize(bay, 1)
    for _ in range(DOUBTED_LOOKS):
        assert await town.turn(operation) == "resize.plan"
    assert await town.turn(operation) != "resize.plan"
    assert await town.leaving(operation) == ["node-1"]


async def test_of_equals_the_youngest_leave(town: Town) -> None:
    """The youngest is in the newest pool, whatever its place there."""
    bay, coe = await town.bay(0)
    nodes = [Node(f"s-{at}", "worker", place, f"node-{at}", "", f"10.0.0.{at}", pool) for at, place, pool in _PLACES]
    await town.nodes(bay, nodes)
    for node in nodes:
        coe.node(node.name, node.private_address)
    group = await town.rows("SELECT id FROM nodegroups WHERE bay_id = $1 AND role = 'worker'", bay)
    await town.sql("INSERT INTO node_pools VALUES ($1, 1, $2, 1)", bay, group[0]["id"])
    operation = await town.resize(bay, 1)
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-3", "node-2", "node-1"]


_PLACES = ((0, 7, 0), (1, 8, 0), (2, 0, 1), (3, 1, 1))


async def test_the_named_leave_whatever_they_run(town: Town) -> None:
    bay, coe = await town.bay(3)
    coe.runs("shop/web", "node-0")
    operation = await town.resize(bay, 1, "node-0")
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-0", "node-2"]
    assert await town.note(operation, "resize.plan") == "node-0 was named; node-2 is idle"


async def test_only_nodes_of_the_group_leave(town: Town) -> None:
    bay, coe = await town.bay(2)
    await town.sql(
        "INSERT INTO nodegroups (id, bay_id, name, role, node_count) VALUES ($2, $1, 'gpu', 'worker', 2)",
        bay,
        other := "11111111-1111-4111-8111-111111111111",
    )
    await town.sql("INSERT INTO node_pools VALUES ($1, 1, $2, 1)", bay, other)
    for at in (7, 8):
        await town.sql(
            "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address, pool) "
            "VALUES ($1, $2, 'worker', $3, $4, '', $5, 1)",
            bay,
            server_of(bay, f"node-{at}"),
            at,
            f"node-{at}",
            f"10.0.0.{at + 10}",
        )
        coe.node(f"node-{at}", f"10.0.0.{at + 10}")
        coe.runs(f"train/{at}", f"node-{at}")
    operation = await town.resize(bay, 1)
    await town.sql('UPDATE operations SET request = request || \'{"nodegroup": "gpu"}\' WHERE id = $1', operation)
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-8"]


@pytest.mark.parametrize("count", [3, 4])
async def test_nobody_is_asked_when_nobody_leaves(town: Town, count: int) -> None:
    bay, coe = await town.bay(3)
    operation = await town.resize(bay, count)
    assert await town.turns(operation) == "resize.stack"
    assert (coe.calls, await town.leaving(operation)) == ([], [])


async def test_a_dead_bay_is_asked_some_times_and_then_the_youngest_leave(town: Town) -> None:
    bay, coe = await town.bay(3)
    coe.runs("shop/web", "node-2")
    coe.dead = refused()
    operation = await town.resize(bay, 2)
    for _ in range(LOOKS - 1):
        assert await town.turn(operation) == "resize.plan"
    assert "Asking again which nodes are idle." in await town.note(operation, "resize.plan")
    assert await town.turn(operation) == "resize.drain"
    assert await town.leaving(operation) == ["node-2"]
    told = await town.note(operation, "resize.plan")
    assert told.startswith("node-2 is of the youngest. Which nodes are idle is not known: The bay's Kubernetes did")


async def test_a_no_is_not_asked_again(town: Town) -> None:
    bay, coe = await town.bay(2)
    coe.dead = refused(retryable=False)
    operation = await town.resize(bay, 1)
    assert await town.turns(operation) == "resize.stack"
    assert await town.leaving(operation) == ["node-1"]
    assert coe.calls == ["look", "look"]  # each step once


async def test_a_private_bay_is_not_asked(town: Town) -> None:
    bay, coe = await town.bay(2)
    town.access.out_of_reach.add(bay)
    operation = await town.resize(bay, 1)
    assert await town.turns(operation) == "resize.stack"
    assert await town.leaving(operation) == ["node-1"]
    assert "is not reached from here" in await town.note(operation, "resize.plan")
    assert coe.calls == []


async def test_who_was_chosen_once_stays_chosen(town: Town) -> None:
    """Whoever comes back to the step finds the choice, though others are idle by now."""
    bay, coe = await town.bay(3)
    coe.runs("shop/web", "node-2")
    operation = await town.resize(bay, 2)
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-1"]
    coe.works.clear()
    coe.nodes["node-1"] = replace(coe.nodes["node-1"], open=True)
    coe.runs("shop/web", "node-1")
    await town.sql("UPDATE operations SET step = 'resize.plan', service = 'scaler' WHERE id = $1", operation)
    await town.turn(operation)
    assert await town.leaving(operation) == ["node-1"]


async def test_without_a_certificate_of_ours_nothing_is_concluded(town: Town) -> None:
    """It is not the bay's fault that certs is down: the step is tried again."""
    bay, coe = await town.bay(2)
    coe.runs("shop/web", "node-1")
    coe.dead = refused(service="certs")
    operation = await town.resize(bay, 1)
    for _ in range(3 * LOOKS):
        assert await town.turn(operation) == "resize.plan"
    coe.dead = None
    await town.turns(operation)
    assert await town.leaving(operation) == ["node-0"]


async def test_who_is_named_and_gone_by_then_is_told(town: Town) -> None:
    bay, _ = await town.bay(3)
    operation = await town.resize(bay, 2, "node-1")
    await town.server_left(bay, server_of(bay, "node-1"))
    await town.turns(operation)
    assert "is no node of this bay" in str(await town.error(operation))
