"""Rolling upgrades by the public door: new nodes, drained work, old nodes gone, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from tests.e2e.engines import Engine, open_engine
from tests.support.jobs import control, reason, rows, settled
from tests.support.queues import NO_HOST, SPEED, next_fails, room, standstill
from tests.support.wire import Wire, database_counts, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHIN = 120.0
IMAGE = "fedora-23-atomic-7"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[Wire]:
    async with wires(stack, "demo") as (demo,):
        yield demo


async def test_two_at_a_time_until_none_is_left(stack: LocalStack, demo: Wire) -> None:
    bay, engine = await _bay(stack, demo, 5)
    await engine.do("add_deployment", name="web", replicas=5)
    await engine.do("add_budget", name="web-budget", app="web", min_available=4)
    before, there = await _members(stack, bay), await _servers(stack)
    newer = await demo.template(image_id=IMAGE, flavor_id="m1.medium", docker_volume_size=7)
    await _upgrade(demo, bay, newer, max_batch_size=2)
    assert (await demo.get(f"/v1/clusters/{bay}"))["node_count"] == 5
    most, ended = 0, asyncio.ensure_future(settled(demo.client, bay, seconds=WITHIN))
    while not ended.done():
        most = max(most, len(await _mine(stack, bay)))
        await asyncio.sleep(0.05)
    assert await ended == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert most == 1 + 5 + 2, "one master, and one batch more than there are nodes"
    after = await _members(stack, bay)
    assert {pool: len(found) for pool, found in after.items()} == {1: 5}
    now = await _servers(stack)
    assert not {*before[0]} & {*now}
    (old,), (new,) = ({_made_of(servers[one]) for one in ids} for servers, ids in ((there, before[0]), (now, after[1])))
    assert old[0] != new[0]
    assert old[1] != new[1]
    shown = await demo.get(f"/v1/clusters/{bay}")
    assert (shown["node_count"], shown["cluster_template_id"], shown["flavor_id"]) == (5, newer, "m1.medium")
    assert len(shown["node_addresses"]) == 5
    assert len(await engine.ready_pods("web")) == 5
    await engine.until(lambda nodes: not any(node["closed"] for node in nodes.values()))

    images = {one["name"]: one["image_id"] for one in await _groups(demo, bay)}
    assert images["default-worker"] == new[0], "nodes that come later are of it too"
    assert images["default-master"] == old[0], "masters stay what they were"
    await demo.resize(bay, 6)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    grown = (await _members(stack, bay))[1]
    assert [_made_of((await _servers(stack))[one]) for one in grown] == [new] * 6
    await demo.resize(bay, 1)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    await _upgrade(demo, bay, newer)  # the same again: everything is made anew
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert {pool: len(found) for pool, found in (await _members(stack, bay)).items()} == {2: 1}
    numbers = await rows(stack, "SELECT number FROM node_pools WHERE bay_id = $1::uuid", bay)
    assert [row["number"] for row in numbers] == [2]
    assert not {*grown} & {*await _servers(stack)}
    await demo("DELETE", f"/v1/clusters/{bay}")
    assert await settled(demo.client, bay, seconds=WITHIN) == ""
    assert await _mine(stack, bay) == []


async def test_what_blocks_is_named_and_the_same_again_goes_on(stack: LocalStack, demo: Wire) -> None:
    bay, engine = await _bay(stack, demo, 3, drain_timeout="2")
    await engine.do("add_deployment", name="web", replicas=3)
    await engine.do("add_budget", name="web-budget", app="web", min_available=3)
    before = (await _members(stack, bay))[0]
    newer = await demo.template(flavor_id="m1.medium", labels={"drain_timeout": "2"})
    await _upgrade(demo, bay, newer, max_batch_size=2)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_FAILED"
    told = await reason(demo.client, bay)
    assert told.startswith("After 2 s ")
    assert "web-budget" in told
    blocked = await _members(stack, bay)
    assert (blocked[0], len(blocked[1])) == (before, 2)
    assert len(await engine.ready_pods("web")) == 3
    await engine.until(lambda nodes: not any(node["closed"] for node in nodes.values()))
    shown = await demo.get(f"/v1/clusters/{bay}")
    assert (shown["node_count"], shown["flavor_id"]) == (3, "m1.small")

    rehearsed = await demo("POST", f"/v1/clusters/{bay}/actions/upgrade?dry_run=1", _body(newer, max_batch_size=2))
    assert [len(batch) for batch in rehearsed.json()["batches"]] == [2, 1], rehearsed.text
    await engine.do("scale", name="web", replicas=4)
    await demo.resize(bay, 5, before[0])
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    replaced = await _members(stack, bay)
    assert (len(replaced[0]), before[0] in replaced[0], replaced[1]) == (3, False, blocked[1]), "where it was"
    await _upgrade(demo, bay, newer, max_batch_size=2)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    after = await _members(stack, bay)
    assert list(after) == [1], "no third pool"
    assert len(after[1]) == 5
    assert {*blocked[1]} <= {*after[1]}, "what the first try made is kept"
    assert len(await engine.ready_pods("web")) == 4


async def test_what_heat_cannot_make_is_told_and_made_the_next_time(stack: LocalStack, demo: Wire) -> None:
    """One of two new nodes fails: nothing old is touched, and the same again goes on in the pool that there is."""
    bay, _ = await _bay(stack, demo, 2)
    before, newer = (await _members(stack, bay))[0], await demo.template(flavor_id="m1.medium")
    await next_fails(stack, bay, "kube_minions/1/server")
    await _upgrade(demo, bay, newer, max_batch_size=2)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_FAILED"
    assert NO_HOST in await reason(demo.client, bay)
    assert (await _members(stack, bay))[0] == before
    await _upgrade(demo, bay, newer, max_batch_size=2)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    after = await _members(stack, bay)
    assert {pool: len(found) for pool, found in after.items()} == {1: 2}
    assert len(await _mine(stack, bay)) == 3


async def test_a_batch_that_lacks_room_stops_it_before_anything_is_removed(stack: LocalStack, demo: Wire) -> None:
    """There was room when it was accepted; what was accepted before it took it."""
    bay, _ = await _bay(stack, demo, 1)
    newer = await demo.template(flavor_id="m1.medium")
    async with wires(stack, "admin") as (admin,), room(demo, admin, 1):
        async with standstill(stack):
            await demo.resize(bay, 2)
            await _upgrade(demo, bay, newer)
        assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_FAILED"
        assert (await reason(demo.client, bay)).startswith("Resource limit exceeded: ")
        before = await _members(stack, bay)
        assert {pool: len(found) for pool, found in before.items()} == {0: 2}
    async with wires(stack, "admin") as (admin,), _one_core(demo, admin):
        await demo.resize(bay, 2, before[0][0])
        assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    after = await _members(stack, bay)
    assert ({*after}, len(after[0]), before[0][0] in after[0]) == ({0}, 2, False), "it comes back as it was"
    await _upgrade(demo, bay, newer)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    assert {pool: len(found) for pool, found in (await _members(stack, bay)).items()} == {1: 2}


@asynccontextmanager
async def _one_core(demo: Wire, admin: Wire) -> AsyncIterator[None]:
    """Leave room for one core more."""
    limits = (await demo.client.session.call("compute", "GET", "/limits", wants_json=True)).json().doc("limits")
    session, path = admin.client.session, f"/os-quota-sets/{await demo.project()}"
    body = {"quota_set": {"cores": limits.doc("absolute").number("totalCoresUsed") + 1}}
    await session.call("compute", "PUT", path, json=body)
    yield
    await session.call("compute", "PUT", path, json={"quota_set": {"cores": -1}})


async def test_a_rehearsal_tells_the_order_and_changes_nothing(stack: LocalStack, demo: Wire) -> None:
    bay, _ = await _bay(stack, demo, 3)
    newer = await demo.template(flavor_id="m1.medium")
    before = await database_counts(stack), await _members(stack, bay), await demo.get(f"/v1/clusters/{bay}")
    answer = await demo(
        "POST", f"/v1/clusters/{bay}/actions/upgrade?dry_run=true", _body(newer, max_batch_size=2, nodegroup=None)
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    names = await rows(
        stack, "SELECT name FROM nodes WHERE role = 'worker' AND bay_id = $1::uuid ORDER BY position", bay
    )
    assert [name for batch in told["batches"] for name in batch] == [row["name"] for row in names]
    assert [len(batch) for batch in told["batches"]] == [2, 1]
    assert told["changes"] == {"flavor_id": {"from": "m1.small", "to": "m1.medium"}}
    assert told["version"]["verdict"] == "ok"
    assert (told["nodegroup"], told["node_count"]) == ("default-worker", 3)
    assert (await database_counts(stack), await _members(stack, bay), await demo.get(f"/v1/clusters/{bay}")) == before


async def test_a_further_group_follows_its_cluster(stack: LocalStack, demo: Wire) -> None:
    bay, _ = await _bay(stack, demo, 1)
    answer = await demo("POST", f"/v1/clusters/{bay}/nodegroups", {"name": "more", "node_count": 2})
    assert answer.status_code == 202, answer.text
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    newer = await demo.template(image_id=IMAGE)
    early = await demo("POST", f"/v1/clusters/{bay}/actions/upgrade", _body(newer, nodegroup="more"))
    assert early.status_code == 409
    await _upgrade(demo, bay, newer)
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    kept = (await _members(stack, bay))[1]
    await _upgrade(demo, bay, newer, nodegroup="more")
    assert await settled(demo.client, bay, seconds=WITHIN) == "UPDATE_COMPLETE", await reason(demo.client, bay)
    now = await _members(stack, bay)
    assert {pool: len(found) for pool, found in now.items()} == {2: 1, 3: 2}
    there = await _servers(stack)
    assert not {*kept} & {*there}
    assert len({_made_of(there[one])[0] for one in (*now[2], *now[3])}) == 1
    (more,) = [one for one in await _groups(demo, bay) if one["name"] == "more"]
    assert (more["image_id"], more["node_count"], more["status"]) == (
        _made_of(there[now[3][0]])[0],
        2,
        "UPDATE_COMPLETE",
    )


async def _bay(stack: LocalStack, demo: Wire, nodes: int, **labels: str) -> tuple[str, Engine]:
    bay = await demo.create(node_count=nodes, **({"labels": labels} if labels else {}))
    assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
    return bay, await open_engine(stack, demo.client, bay)


def _body(template: str, **fields: object) -> dict[str, object]:
    return {"cluster_template": template, "nodegroup": "default-worker", **fields}


async def _upgrade(demo: Wire, bay: str, template: str, **fields: object) -> None:
    answer = await demo("POST", f"/v1/clusters/{bay}/actions/upgrade", _body(template, **fields))
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"uuid": bay}


async def _groups(demo: Wire, bay: str) -> list[dict[str, Any]]:
    listed = (await demo.get(f"/v1/clusters/{bay}/nodegroups"))["nodegroups"]
    return [await demo.get(f"/v1/clusters/{bay}/nodegroups/{one['uuid']}") for one in listed]


async def _servers(stack: LocalStack) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in (await control(stack, "/state?kind=server"))["records"].get("server", [])}


async def _mine(stack: LocalStack, bay: str) -> list[str]:
    """All the bay's servers in the cloud."""
    return [one["id"] for one in (await _servers(stack)).values() if UUID(bay).hex[:12] in one["name"]]


def _made_of(server: dict[str, Any]) -> tuple[str, str]:
    return str(server["image_id"]), str(server["flavor_id"])


async def _members(stack: LocalStack, bay: str) -> dict[int, list[str]]:
    """The workers' servers by pool."""
    query = "SELECT server_id, pool FROM nodes WHERE role = 'worker' AND bay_id = $1::uuid ORDER BY pool, position"
    found: dict[int, list[str]] = {}
    for row in await rows(stack, query, bay):
        found.setdefault(row["pool"], []).append(row["server_id"])
    return found
