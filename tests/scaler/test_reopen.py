"""What an operation left behind is brought into order, and a bay that does not answer holds up nobody else."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from services.scaler.reopen import AT_ONCE
from shared.db.repositories import drained
from shared.domain.bay import Node
from tests.scaler.played_coe import PlayedCoe, refused
from tests.scaler.town import Town, server_of


async def test_a_node_that_stays_is_opened_again(town: Town) -> None:
    bay, coe, operation = await _drained(town)
    assert await town.sweep() == 0, "the operation lives"
    assert coe.closed() == {"node-2"}
    await town.fails(operation)
    assert await town.sweep() == 1
    assert (coe.closed(), await town.left_behind(bay)) == (set(), set())


async def test_one_that_has_left_is_struck_off(town: Town) -> None:
    """Not before the engine has noticed: a node that reports may be another one of that address."""
    bay, coe, operation = await _drained(town)
    await town.server_left(bay, server_of(bay, "node-2"))
    await town.fails(operation)
    await town.sweep()
    assert ("node-2" in coe.nodes, await town.left_behind(bay)) == (True, {"node-2"})
    coe.nodes["node-2"] = replace(coe.nodes["node-2"], ready=False)
    await town.sweep()
    assert ("node-2" in coe.nodes, await town.left_behind(bay)) == (False, set())


async def test_one_that_the_engine_knows_with_its_domain_is_struck_off(town: Town) -> None:
    """As swarms do where the cloud gives servers one; a name that only begins alike is another's."""
    bay, coe, operation = await _drained(town)
    await town.server_left(bay, server_of(bay, "node-2"))
    del coe.nodes["node-2"]
    coe.node("Node-2.novalocal", "10.0.0.12", ready=False)
    coe.node("node-20.novalocal", "10.0.0.30", ready=False)
    await town.fails(operation)
    await town.sweep()
    assert ("Node-2.novalocal" in coe.nodes, "node-20.novalocal" in coe.nodes) == (False, True)
    assert await town.left_behind(bay) == set()


async def test_whoever_got_its_address_is_left_alone(town: Town) -> None:
    """A new server has the address of the one that left, and is not ready yet."""
    bay, coe, operation = await _drained(town)
    await town.server_left(bay, server_of(bay, "node-2"))
    del coe.nodes["node-2"]
    new = Node("new", "worker", 9, "node-9", "127.64.0.9", "10.0.0.12")
    await town.sql(
        "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) "
        "VALUES ($1, 'new', 'worker', 9, 'node-9', '', '10.0.0.12')",
        bay,
    )
    coe.node(new.name, new.private_address, ready=False)
    await town.fails(operation)
    await town.sweep()
    assert ("node-9" in coe.nodes, await town.left_behind(bay)) == (True, set())
    assert "forget" not in coe.calls


async def test_nobody_is_struck_off_for_an_address(town: Town) -> None:
    """A new server that is not recorded yet has the address of the one that left, and is not ready yet."""
    bay, coe, operation = await _drained(town)
    await town.server_left(bay, server_of(bay, "node-2"))
    del coe.nodes["node-2"]
    coe.node("node-9", "10.0.0.12", ready=False)
    await town.fails(operation)
    await town.sweep()
    assert ("node-9" in coe.nodes, await town.left_behind(bay)) == (True, set())
    assert "forget" not in coe.calls


async def test_a_node_that_is_called_by_its_address_is_struck_off_by_that(town: Town) -> None:
    """As Mesos' agents are."""
    bay, coe, operation = await _drained(town)
    await town.server_left(bay, server_of(bay, "node-2"))
    del coe.nodes["node-2"]
    coe.node("10.0.0.12", "10.0.0.12", ready=False)
    await town.fails(operation)
    await town.sweep()
    assert ("10.0.0.12" in coe.nodes, await town.left_behind(bay)) == (False, set())


async def test_nobody_is_struck_off_while_the_bay_has_a_live_operation(town: Town) -> None:
    """Whose new nodes are not recorded yet."""
    bay, coe, first = await _drained(town)
    await town.server_left(bay, server_of(bay, "node-2"))
    coe.nodes["node-2"] = replace(coe.nodes["node-2"], ready=False)
    await town.fails(first)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay)
    second = await town.resize(bay, 3)
    await town.sweep()
    assert ("node-2" in coe.nodes, await town.left_behind(bay)) == (True, {"node-2"})
    await town.fails(second)
    await town.sweep()
    assert ("node-2" in coe.nodes, await town.left_behind(bay)) == (False, set())


async def test_what_somebody_else_closed_stays_closed(town: Town) -> None:
    bay, coe = await town.bay(3)
    coe.somebody_closes("node-2")
    operation = await town.resize(bay, 2, "node-2")
    await town.turns(operation)
    await town.fails(operation)
    await town.sweep()
    assert (coe.closed(), await town.left_behind(bay)) == ({"node-2"}, set())


async def test_a_later_operation_takes_over_and_its_end_opens(town: Town) -> None:
    bay, coe, first = await _drained(town)
    await town.fails(first)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay)
    second = await town.resize(bay, 2, "node-2")
    await town.turns(second)
    assert await town.sweep() == 0
    assert coe.closed() == {"node-2"}
    await town.fails(second)
    await town.sweep()
    assert coe.closed() == set()


async def test_nobody_closes_what_is_just_being_opened(town: Town) -> None:
    """A sweep that began before the operation must not open what that has closed: the operation waits for it."""
    bay, coe, first = await _drained(town)
    await town.fails(first)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay)
    async with town.own.begin() as conn:
        assert len(await drained.claim(conn, bays=1, lease_seconds=50)) == 1
    second = await town.resize(bay, 2, "node-2")
    calls = len(coe.calls)
    assert await town.turn(second) == "resize.drain"
    assert "just being opened again" in await town.note(second, "resize.drain")
    assert len(coe.calls) == calls
    await town.sql("UPDATE drained_nodes SET lease_until = now() - interval '1 second'")  # whoever it was has died
    assert await town.turn(second) == "resize.stack"
    assert coe.closed() == {"node-2"}


async def test_the_time_of_a_later_operation_begins_anew(town: Town) -> None:
    bay, coe = await town.bay(3)
    coe.runs("shop/web", "node-2")
    coe.budgets["shop/web"] = "budget shop/web allows no disruption"
    first = await town.resize(bay, 2, "node-2")
    await town.turn(first)
    await town.time_passes(bay, 1000)
    await town.fails(first)
    await town.sql("UPDATE bays SET status = 'UPDATE_FAILED' WHERE id = $1", bay)
    second = await town.resize(bay, 2, "node-2")
    assert await town.turn(second) == "resize.drain"
    assert await town.error(second) is None


async def test_a_dead_bay_is_tried_later_and_holds_up_nobody(town: Town) -> None:
    sick = [await _drained(town, dead=True) for _ in range(AT_ONCE + 2)]
    well, coe, operation = await _drained(town)
    await town.fails(operation)
    await town.sql("UPDATE drained_nodes SET next_at = now() - interval '1 hour'")
    await town.sql("UPDATE drained_nodes SET next_at = now() - interval '1 minute' WHERE bay_id = $1", well)
    rounds = 0
    while await town.left_behind(well):  # each round takes those that wait longest, and those that failed wait anew
        assert await town.round() > 0
        rounds += 1
    assert (rounds, coe.closed()) == (2, set())
    assert [len(await town.left_behind(bay)) for bay, _, _ in sick] == [1] * len(sick)
    assert await town.round() == 0, "all that failed are tried later"
    bay, played, _ = sick[0]
    played.dead = None
    await town.sweep()
    await town.round()
    assert (played.closed(), await town.left_behind(bay)) == (set(), set())


@pytest.mark.parametrize("tries", [1, 5, 40])
async def test_tries_become_rarer_but_never_end(town: Town, tries: int) -> None:
    _, coe, operation = await _drained(town)
    await town.fails(operation)
    coe.dead = refused()
    await town.sql("UPDATE drained_nodes SET tries = $1", tries - 1)
    await town.sweep()
    (row,) = await town.rows("SELECT extract(epoch FROM next_at - now()) AS wait FROM drained_nodes")
    assert float(row["wait"]) == pytest.approx(min(5 * 2 ** (tries - 1), 600), abs=4)


async def test_two_sweeps_do_not_take_the_same(town: Town) -> None:
    _, coe, operation = await _drained(town)
    await town.fails(operation)
    coe.dead = refused()
    assert await town.sweep() == 1
    assert await town.round() == 0


async def _drained(town: Town, *, dead: bool = False) -> tuple[UUID, PlayedCoe, UUID]:
    """A bay whose node-2 an operation closed; `dead`: which failed, and whose API is dead since then."""
    bay, coe = await town.bay(3)
    operation = await town.resize(bay, 2, "node-2")
    assert await town.turns(operation) == "resize.stack"
    if dead:
        await town.fails(operation)
        coe.dead = refused()
    return bay, coe, operation
