"""A worker that is named while the number stays is replaced (docs/decisions/0010), also after that failed once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from tests.support.jobs import control, reason, settled
from tests.support.queues import NO_HOST, SPEED, next_fails, room, shape, workers_of
from tests.support.wire import Wire, detail, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(stack: LocalStack) -> AsyncIterator[tuple[Wire, Wire]]:
    async with wires(stack, "demo", "admin") as (demo, admin):
        yield demo, admin


@pytest_asyncio.fixture(loop_scope="module")
async def bay(people: tuple[Wire, Wire]) -> str:
    """Two workers."""
    demo, _ = people
    made = await demo.create(node_count=2)
    assert await settled(demo.client, made) == "CREATE_COMPLETE", await reason(demo.client, made)
    return made


async def test_who_is_named_goes_and_another_comes(people: tuple[Wire, Wire], bay: str, stack: LocalStack) -> None:
    """Of two: the one, then the other, then both that came, and the bay still grows and shrinks."""
    demo, _ = people
    for count in (1, 1, 2):
        before = await workers_of(stack, bay)
        await demo.resize(bay, 2, *before[:count])
        assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
        wanted, there, after = await shape(demo, stack, bay)
        assert (wanted, there, set(before) - set(after)) == (2, 2, set(before[:count]))
    await demo.resize(bay, 3)
    await demo.resize(bay, 3, after[0])
    await demo.resize(bay, 1)
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert await shape(demo, stack, bay) == (1, 1, [after[1]])


async def test_after_a_replacement_that_failed_the_next_resize_ends_both(
    people: tuple[Wire, Wire], bay: str, stack: LocalStack
) -> None:
    """The new one could not be made, so Heat did not come to removing the old one, which is no node any more."""
    demo, _ = people
    first, second = await workers_of(stack, bay)
    await next_fails(stack, bay, "kube_minions/2/server")
    await demo.resize(bay, 2, first)
    assert await settled(demo.client, bay) == "UPDATE_FAILED"
    assert NO_HOST in await reason(demo.client, bay)
    assert await workers_of(stack, bay) == [second]
    await demo.resize(bay, 2)
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    wanted, there, after = await shape(demo, stack, bay)
    assert (wanted, there, first in after, second in after) == (2, 2, False, True)


async def test_there_has_to_be_room_for_the_old_and_the_new(
    people: tuple[Wire, Wire], bay: str, stack: LocalStack
) -> None:
    demo, admin = people
    named = await workers_of(stack, bay)
    async with room(demo, admin, 1) as limit:
        refused = await demo("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 2, "nodes_to_remove": named})
        why = f"Resource limit exceeded: 2 servers needed, 1 left of {limit}."
        assert (refused.status_code, detail(refused)) == (403, why)
        await demo.resize(bay, 2, named[0])
        assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert (await workers_of(stack, bay))[0] == named[1]


async def test_that_another_left_than_was_named_is_told_with_both(
    people: tuple[Wire, Wire], bay: str, stack: LocalStack
) -> None:
    """Heat ends the wrong one. The count is right and the resize is not; our record is as the stack is."""
    demo, _ = people
    first, second = await workers_of(stack, bay)
    rule = {"effect": "wrong_member", "action": "UPDATE", "path": "kube_minions", "times": 1}
    await control(stack, "/heat/behaviours", "POST", {**rule, "stack": f"*{UUID(bay).hex[:12]}*"})
    await demo.resize(bay, 1, first)
    assert await settled(demo.client, bay) == "UPDATE_FAILED"
    told = await reason(demo.client, bay)
    assert told == f"Other servers left than were named: left ['{second}'], named ['{first}']."
    assert await shape(demo, stack, bay) == (1, 1, [first])
    await demo.resize(bay, 2)
    assert await settled(demo.client, bay) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    wanted, there, after = await shape(demo, stack, bay)
    assert (wanted, there, after[0]) == (2, 2, first)
