"""New nodes are well before old ones are drained, and what is not well stops the upgrade by name."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from services.scaler.steps.drain import TRIES
from services.scaler.steps.upgrade import SETTLE_SECONDS
from shared.db.repositories import bays
from shared.db.repositories import operations as queue
from shared.domain.operation import OperationKind
from shared.domain.queue import Door
from tests.scaler.played_coe import PlayedCoe, refused
from tests.scaler.town import Town, server_of


async def test_old_nodes_are_drained_once_the_new_ones_are_ready(town: Town) -> None:
    _bay, coe, operation = await _grown(town)
    new = coe.nodes.pop("node-2")
    assert await town.turn(operation) == "upgrade.settle"
    assert await town.note(operation, "upgrade.settle") == "Not ready: node-2 (unknown to the bay)."
    coe.node("node-2", new.addresses[0], ready=False, problem="NetworkNotReady")
    assert await town.turn(operation) == "upgrade.settle"
    assert await town.note(operation, "upgrade.settle") == "Not ready: node-2 (NetworkNotReady)."
    assert coe.closed() == set()
    coe.node("node-2", new.addresses[0])
    assert await town.turns(operation) == "upgrade.shrink"
    assert coe.closed() == {"node-0"}
    assert await town.note(operation, "upgrade.drain") == "Drained: node-0."


async def test_it_stops_when_they_never_become_ready(town: Town) -> None:
    bay, coe, operation = await _grown(town)
    del coe.nodes["node-2"]
    await _waited(town, operation, SETTLE_SECONDS - 5)
    assert await town.turn(operation) == "upgrade.settle"
    assert await town.error(operation) is None
    await _waited(town, operation, SETTLE_SECONDS + 1)
    await town.turn(operation)
    told = await town.error(operation) or ""
    assert told.startswith("The new nodes did not become ready within 10 minutes. Not ready: node-2")
    assert "ask for the same upgrade again" in told
    assert (coe.closed(), await town.left_behind(bay)) == (set(), set())


@pytest.mark.parametrize("reached", [True, False])
async def test_a_new_node_whose_agent_says_no_holds_the_batch(town: Town, reached: bool) -> None:
    """Its engine may think otherwise, or not be there to be asked. What was said long ago does not count."""
    bay, coe, operation = await _grown(town)
    coe.dead = None if reached else refused()
    new = server_of(bay, "node-2")
    await town.sql(
        "INSERT INTO node_reports (bay_id, server_id, revision, healthy, units, next_within, reported_at) VALUES "
        """($1, $2, 'r', false, '{"kubelet": "failed", "flanneld": "active"}', 240, now())""",
        *(bay, new),
    )
    for _ in range(TRIES + 1):
        assert await town.turn(operation) == "upgrade.settle"
    told = "Not ready, as their agents say: node-2 (kubelet is failed)."
    assert await town.note(operation, "upgrade.settle") == told
    await town.sql("UPDATE node_reports SET reported_at = now() - interval '10 min' WHERE bay_id = $1", bay)
    assert await town.turns(operation) == "upgrade.shrink"
    await town.sql("UPDATE operations SET step = 'upgrade.settle', service = 'scaler' WHERE id = $1", operation)
    await town.sql("UPDATE node_reports SET reported_at = now() WHERE bay_id = $1", bay)
    await _waited(town, operation, SETTLE_SECONDS + 1)
    await town.turn(operation)
    assert told in (await town.error(operation) or "")


async def test_removed_nodes_are_struck_off_batch_by_batch(town: Town) -> None:
    bay, coe, operation = await _grown(town)
    assert await town.turns(operation) == "upgrade.shrink"
    await town.server_left(bay, server_of(bay, "node-0"))
    coe.nodes["node-0"] = replace(coe.nodes["node-0"], ready=False)
    await town.sql("UPDATE operations SET step = 'upgrade.settle', service = 'scaler' WHERE id = $1", operation)
    await town.turns(operation)
    assert ("node-0" in coe.nodes, "node-1" in coe.nodes) == (False, True)
    assert "node-0" not in await town.left_behind(bay)


async def test_a_bay_that_never_answers_is_taken_at_heats_word(town: Town) -> None:
    """As it is shrunk without draining (docs/decisions/0017)."""
    _bay, coe, operation = await _grown(town)
    coe.dead = refused()
    for _ in range(TRIES - 1):
        assert await town.turn(operation) == "upgrade.settle"
    assert await town.turns(operation) == "upgrade.shrink"
    assert (await town.note(operation, "upgrade.settle")).startswith("Heat says that the new nodes are up")


async def test_one_that_fell_silent_is_waited_for(town: Town) -> None:
    _bay, coe, operation = await _grown(town)
    del coe.nodes["node-2"]
    await town.turn(operation)
    coe.dead = refused()
    for _ in range(TRIES + 1):
        assert await town.turn(operation) == "upgrade.settle"
    await _waited(town, operation, SETTLE_SECONDS + 1)
    await town.turn(operation)
    assert "did not answer" in (await town.error(operation) or "")


async def _grown(town: Town) -> tuple[UUID, PlayedCoe, UUID]:
    """Two old nodes and a new one, which is to take the place of the first."""
    bay, coe = await town.bay(3)
    await town.sql(
        "INSERT INTO node_pools (bay_id, number, nodegroup_id, generation) "
        "SELECT $1, 1, id, 1 FROM nodegroups WHERE bay_id = $1 AND name = 'default-worker'",
        bay,
    )
    await town.sql("UPDATE nodes SET pool = 1 WHERE server_id = $1", server_of(bay, "node-2"))
    async with town.engine.begin() as conn:
        row = await bays.lock(conn, bay)
        assert row is not None
        operation = await queue.ask(
            conn,
            row,
            kind=OperationKind.UPGRADE,
            request={"node_count": 2, "nodegroup": "default-worker", "max_batch_size": 1},
            requested_by="u",
            timeout_minutes=60,
            busy="queue",
            door=Door.UPGRADE,
        )
    leaves = server_of(bay, "node-0")
    await town.sql(
        "UPDATE operations SET step = 'upgrade.settle', service = 'scaler', memo = jsonb_build_object("
        "'pool', 1, 'remove', jsonb_build_array($2::text), "
        "'batch', jsonb_build_object('round', 1, 'total', 3, 'leave', jsonb_build_array($2::text))) WHERE id = $1",
        operation,
        leaves,
    )
    await _waited(town, operation, 0)
    return bay, coe, operation


async def _waited(town: Town, operation: UUID, seconds: float) -> None:
    """Heat made the nodes so long ago."""
    await town.sql(
        "UPDATE operation_steps SET finished_at = now() - make_interval(secs => $2) "
        "WHERE operation_id = $1 AND name = 'upgrade.grow'",
        operation,
        seconds,
    )
