"""How many nodes may be at work at once when things go wrong in the midst of a rotation, and what is said of them."""

from __future__ import annotations

import pytest

from shared.domain.rotation import Phase
from tests.certs.rotation_bay import MakeBay
from tests.certs.world import World


@pytest.mark.parametrize(("masters", "workers", "at_once"), [(3, 0, 1), (1, 20, 2)])
async def test_all_have_a_problem_in_the_last_phase(make: MakeBay, masters: int, workers: int, at_once: int) -> None:
    """As when the authority was away for a minute: their services do not restart together."""
    bay = await make(masters, workers)
    operation = await bay.start()
    await bay.until(operation, Phase.DROP)
    for agent in bay.agents:
        agent.problem = "the API does not answer"
    await bay.poll()
    for _ in range(3):
        await bay.look(operation)
        turns = await bay.turns()
        role = "m" if masters > 1 else "w"
        dropping = {server for server, turn in turns.items() if turn[0] is Phase.DROP and server.startswith(role)}
        assert len(dropping) <= at_once
    for agent in bay.agents:
        agent.problem = None
    await bay.poll()
    await bay.finish(operation)


async def test_masters_that_all_have_a_problem_are_led_back_one_at_a_time(make: MakeBay) -> None:
    """The new certificates may be what ails them: so nobody waits for the others to be well."""
    bay = await make(3, 1)
    operation = await bay.start()
    await bay.until(operation, Phase.REISSUE)
    bay.agent("w0").problem = "the disk is full"
    for _ in range(8):
        await bay.look(operation)
        await bay.poll()
    masters = [bay.agent(name) for name in ("m0", "m1", "m2")]
    assert {one.generation for one in masters} == {2}
    for one in masters:
        one.problem = "etcd is not well"
    await bay.poll()
    assert await bay.undo()
    healed: set[str] = set()
    for _ in masters:
        for _ in range(2):
            await bay.look(operation)
            turns = await bay.turns()
            back = {one.server_id for one in masters if turns[one.server_id] == (Phase.REISSUE, 1)}
            assert len(back - healed) == 1
        (server_id,) = back - healed
        bay.agent(server_id).problem = None
        await bay.poll(server_id)
        healed.add(server_id)
    bay.agent("w0").problem = None
    await bay.finish(operation)
    assert await bay.remains() == [1]


async def test_a_turn_that_nobody_had_to_wait_for_has_no_time(make: MakeBay, world: World) -> None:
    bay = await make(1, 2)
    operation = await bay.start()
    await bay.look(operation)
    assert await bay.undo()
    bay.agent("w1").problem = "the disk is full"
    await bay.poll()
    await bay.look(operation)
    assert (await bay.turns())["w1"] == (Phase.DROP, 1)
    await bay.look(operation)
    note = await bay.note("reissue")
    assert "name-of-w1: it has its turn: the disk is full" in note
    await world.rows(f"UPDATE operations SET deadline = now() WHERE id = '{operation}'")
    bay.agent("w1").problem = None
    await bay.say(bay.agent("w1"), "another")
    await bay.look(operation)
    assert "name-of-w1 (it has its turn)" in await bay.error(operation)
    (faults,) = await world.column("SELECT faults FROM bays")
    assert isinstance(faults, dict)
    assert faults["name-of-w1"] == "It has its turn."
