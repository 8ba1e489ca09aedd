"""An engine that dies, as on a real cloud: nothing goes on by itself, and an update or a deletion takes it up."""

from __future__ import annotations

import asyncio

import pytest

from tests.cloudsim.heat.support import Heat, bay

FOR_EVER = 600.0
"""Ten times as long as Heat is given."""


async def made(heat: Heat) -> str:
    stack_id = await heat.make("bay", timeout_mins=1, **bay())
    await heat.world.clock.advance(30)
    return stack_id


async def test_a_creation_stays_in_progress_until_an_update_takes_it_up(heat: Heat) -> None:
    stack_id = await heat.make("bay", timeout_mins=1, **bay())
    await heat.world.clock.advance(1.5)
    before = heat.servers()
    heat.engine.die()
    heat.engine.live()
    await heat.world.clock.advance(FOR_EVER)
    stack = await heat.show(stack_id)
    assert (stack["stack_status"], stack["stack_status_reason"]) == ("CREATE_IN_PROGRESS", "Stack CREATE started")
    assert (await heat.update(stack_id, method="PATCH", parameters={})).status_code == 202
    await heat.world.clock.advance(60)
    assert (await heat.show(stack_id))["stack_status"] == "UPDATE_COMPLETE"
    assert before.items() <= heat.servers().items()


async def test_an_update_too_and_no_server_is_replaced(heat: Heat) -> None:
    stack_id = await made(heat)
    before = heat.servers()
    await heat.patch(stack_id, number_of_minions=4, wait=1.5)
    heat.engine.die()
    heat.engine.live()
    await heat.world.clock.advance(FOR_EVER)
    assert (await heat.show(stack_id))["stack_status"] == "UPDATE_IN_PROGRESS"
    assert (await heat.patch(stack_id, number_of_minions=4))["stack_status"] == "UPDATE_COMPLETE"
    assert before.items() <= heat.servers().items()
    assert len(heat.servers()) == 5


async def test_a_deletion_has_to_be_asked_for_again(heat: Heat) -> None:
    before = heat.listing()
    stack_id = await made(heat)
    await heat.delete(stack_id, wait=0.1)
    heat.engine.die()
    heat.engine.live()
    await heat.world.clock.advance(FOR_EVER)
    assert (await heat.show(stack_id))["stack_status"] == "DELETE_IN_PROGRESS"
    await heat.delete(stack_id)
    assert heat.listing() == before
    assert heat.engine.idle_and_empty()


@pytest.mark.parametrize("comes", [True, False])
async def test_requests_wait_a_minute_for_the_next_engine(heat: Heat, comes: bool) -> None:
    stack_id = await made(heat)
    heat.engine.die()
    asked = asyncio.create_task(heat.client.get(heat.url(f"/stacks/bay/{stack_id}")))
    while heat.world.clock.pending == 0:
        await asyncio.sleep(0)
    if comes:
        heat.engine.live()
    else:
        await heat.world.clock.advance(61)
    answer = await asked
    assert answer.status_code == (200 if comes else 500)
    heat.engine.live()
