"""A bay that one Heat stack cannot hold: further stacks of workers come, change and go with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.domain.names import bay_tag
from shared.domain.shards import LARGEST
from tests.support.jobs import cloud_counts, control, reason, rows, settled
from tests.support.queues import SPEED, next_fails, shape, workers_of
from tests.support.wire import Wire, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[Wire]:
    async with wires(stack, "demo") as (wire,):
        yield wire


async def stacks_of(demo: Wire, bay: str) -> dict[str, str]:
    """The bay's stacks by what their names end in, with their status."""
    query = f"/stacks?tags={bay_tag(UUID(bay))}"
    listed = (await demo.client.session.call("orchestration", "GET", query, wants_json=True)).json().docs("stacks")
    return {one.text("stack_name").partition(UUID(bay).hex[:12])[2]: one.text("stack_status") for one in listed}


async def made(demo: Wire, bay: str, status: str = "UPDATE_COMPLETE") -> None:
    assert await settled(demo.client, bay, seconds=240) == status, await reason(demo.client, bay)


async def by_shard(stack: LocalStack, bay: str) -> dict[int, list[str]]:
    query = "SELECT server_id, position FROM nodes WHERE role = 'worker' AND bay_id = $1 ORDER BY position"
    found: dict[int, list[str]] = {}
    for row in await rows(stack, query, UUID(bay)):
        found.setdefault(row["position"] // 1_000_000, []).append(row["server_id"])
    return found


async def test_grows_over_several_stacks_and_loses_exactly_who_is_named(demo: Wire, stack: LocalStack) -> None:
    before = await cloud_counts(stack)
    bay = await demo.create(node_count=LARGEST + 10)
    await made(demo, bay, "CREATE_COMPLETE")
    assert (await shape(demo, stack, bay))[:2] == (LARGEST + 10, LARGEST + 10)
    assert set(await stacks_of(demo, bay)) == {"-1", "-1-s1"}

    await demo.resize(bay, 2 * LARGEST + 5)
    await made(demo, bay)
    held = await by_shard(stack, bay)
    assert {shard: len(servers) for shard, servers in held.items()} == {0: LARGEST, 1: LARGEST, 2: 5}

    everyone = set(await workers_of(stack, bay))
    named = [held[0][3], held[1][0], held[1][LARGEST - 1], *held[2]]
    await demo.resize(bay, 2 * LARGEST - 3, *named)
    await made(demo, bay)
    wanted, there, left = await shape(demo, stack, bay)
    assert (wanted, there) == (2 * LARGEST - 3, 2 * LARGEST - 3)
    assert everyone - set(left) == set(named)
    assert set(await stacks_of(demo, bay)) == {"-1", "-1-s1"}, "a stack without nodes goes"

    await demo.resize(bay, 3)
    await made(demo, bay)
    assert (await shape(demo, stack, bay))[:2] == (3, 3)
    assert set(await stacks_of(demo, bay)) == {"-1"}

    await demo("DELETE", f"/v1/clusters/{bay}")
    assert await settled(demo.client, bay) == ""
    assert await cloud_counts(stack) == before


async def test_a_further_stack_that_failed_is_told_and_mended_by_the_next_resize(demo: Wire, stack: LocalStack) -> None:
    bay = await demo.create(node_count=2)
    await made(demo, bay, "CREATE_COMPLETE")
    await next_fails(stack, bay, "kube_minions/1/server")
    await demo.resize(bay, LARGEST + 3)
    await made(demo, bay, "UPDATE_FAILED")
    why = await reason(demo.client, bay)
    assert "kube_minions" in why
    await demo.resize(bay, LARGEST + 2)
    await made(demo, bay)
    assert (await shape(demo, stack, bay))[:2] == (LARGEST + 2, LARGEST + 2)
    await demo("DELETE", f"/v1/clusters/{bay}")
    assert await settled(demo.client, bay) == ""
    assert await stacks_of(demo, bay) == {}


async def test_nodes_of_a_stack_that_failed_to_grow_are_kept(demo: Wire, stack: LocalStack) -> None:
    """Heat may call members failed that stand: they were being updated when another one failed."""
    bay = await demo.create(node_count=LARGEST + 4)
    await made(demo, bay, "CREATE_COMPLETE")
    before = set(await workers_of(stack, bay))
    await next_fails(stack, bay, "kube_minions/5/server")
    await demo.resize(bay, LARGEST + 7)
    await made(demo, bay, "UPDATE_FAILED")
    assert before <= set(await workers_of(stack, bay))
    await demo.resize(bay, LARGEST + 6)
    await made(demo, bay)
    wanted, there, after = await shape(demo, stack, bay)
    assert (wanted, there, before <= set(after)) == (LARGEST + 6, LARGEST + 6, True)
    await demo("DELETE", f"/v1/clusters/{bay}")
    assert await settled(demo.client, bay) == ""


async def test_a_further_stack_without_its_tags_keeps_its_nodes(demo: Wire, stack: LocalStack) -> None:
    """No listing shows it, and one of its workers is gone: what stands there is neither lost nor left over."""
    bay = await demo.create(node_count=LARGEST + 3)
    await made(demo, bay, "CREATE_COMPLETE")
    held = await by_shard(stack, bay)
    session = demo.client.session
    listed = (await session.call("orchestration", "GET", "/stacks", wants_json=True)).json().docs("stacks")
    further = next(one for one in listed if one.text("stack_name").endswith(f"{UUID(bay).hex[:12]}-1-s1"))
    path = f"/stacks/{further.text('stack_name')}/{further.text('id')}"
    await session.call("orchestration", "PATCH", path, json={"tags": "theirs"})
    await session.delete("compute", f"/servers/{held[0][0]}")
    async with asyncio.timeout(60):
        while (await stacks_of(demo, bay)) != {"-1": "CREATE_COMPLETE"} or await served(stack, held[0][0]):
            await asyncio.sleep(0.05)
    await demo.resize(bay, LARGEST + 4)
    await made(demo, bay)
    wanted, there, after = await shape(demo, stack, bay)
    assert (wanted, there) == (LARGEST + 4, LARGEST + 4)
    assert set(held[1]) <= set(after)
    assert set(await stacks_of(demo, bay)) == {"-1", "-1-s1"}, "it has its tags again"
    await session.call("orchestration", "PATCH", path, json={"tags": "theirs"})
    await demo("DELETE", f"/v1/clusters/{bay}")
    assert await settled(demo.client, bay) == ""
    left = (await session.call("orchestration", "GET", "/stacks", wants_json=True)).json().docs("stacks")
    assert further.text("id") not in {one.text("id") for one in left if one.text("stack_status") != "DELETE_COMPLETE"}


async def served(stack: LocalStack, server: str) -> bool:
    return any(one["id"] == server for one in (await control(stack, "/state?kind=server"))["records"]["server"])
