"""What the cloud and its people do behind our back: found, told with resource and reason, and mended where it can be.

Every stack is one of a real Heat's behaviour: an engine that dies leaves it IN_PROGRESS for ever, and only an update
takes it up again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from tests.support.jobs import cloud_counts, control, reason, rows, settled
from tests.support.queues import NO_HOST, next_fails, replace_engine, shape, standstill, time_is_up, workers_of
from tests.support.wire import Wire, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEED = 40
PATIENCE = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """Silence is too long after three seconds, and the sweep comes every six."""
    extra = {"JEROBOAM_SWEEP_MINUTES": "2", "JEROBOAM_STALL_MINUTES": "1"}
    folder = tmp_path_factory.mktemp("stack")
    async with LocalStack(folder, speed=SPEED, time_scale=0.05, extra_environment=extra) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[Wire]:
    async with wires(stack, "demo") as (wire,):
        yield wire


@pytest_asyncio.fixture(loop_scope="module")
async def bay(demo: Wire, stack: LocalStack) -> AsyncIterator[str]:
    """A bay of two workers that stands, and that nobody heals; it is gone afterwards, whatever was done to it."""
    made = await demo.create(node_count=2, labels={"auto_healing_enabled": "false"})
    await ends(demo, made, "CREATE_COMPLETE")
    yield made
    await remove(demo, made)


async def remove(demo: Wire, bay: str) -> None:
    await demo("DELETE", f"/v1/clusters/{bay}")
    assert await settled(demo.client, bay) == ""


async def ends(demo: Wire, bay: str, status: str) -> None:
    assert await settled(demo.client, bay, seconds=PATIENCE) == status, await reason(demo.client, bay)


async def heat(demo: Wire, method: str, bay: str, part: str = "", **more: Any) -> Any:
    """Somebody's own request about the bay's stack."""
    path = f"/stacks/{await stack_of(demo, bay)}{part}"
    return await demo.client.session.call("orchestration", method, path, **more)


async def stack_of(demo: Wire, bay: str) -> str:
    """Its name and id, as Heat's addresses have them."""
    wanted = (await demo.client.bay(bay)).stack_id
    listed = await demo.client.session.call("orchestration", "GET", "/stacks", wants_json=True)
    return next(
        f"{one.text('stack_name')}/{wanted}" for one in listed.json().docs("stacks") if one.text("id") == wanted
    )


async def under_way(demo: Wire, bay: str, status: str) -> None:
    """Return when Heat's listing shows a stack of the bay so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            listed = await demo.client.session.call("orchestration", "GET", "/stacks", wants_json=True)
            mine = [one for one in listed.json().docs("stacks") if UUID(bay).hex[:12] in one.text("stack_name")]
            if any(one.text("stack_status") == status for one in mine):
                return
            await asyncio.sleep(0.05)


async def seen(demo: Wire, bay: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The cluster once it is as wanted, which takes until the sweep has come."""
    shown: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                shown = await demo.get(f"/v1/clusters/{bay}")
                if wanted(shown):
                    return shown
                await asyncio.sleep(0.2)
    except TimeoutError:
        said = {name: shown.get(name) for name in ("status", "health_status", "health_status_reason")}
        raise AssertionError(f"never as wanted, at last {said}") from None


def reasons(shown: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = shown["health_status_reason"] or {}
    return found


# the engine dies


async def test_an_engine_that_dies_in_a_creation(demo: Wire, stack: LocalStack) -> None:
    before = await cloud_counts(stack)
    bay = await demo.create(node_count=2)
    await under_way(demo, bay, "CREATE_IN_PROGRESS")
    await replace_engine(stack)
    await ends(demo, bay, "CREATE_COMPLETE")
    assert (await shape(demo, stack, bay))[:2] == (2, 2)
    await remove(demo, bay)
    assert await cloud_counts(stack) == before


async def test_an_engine_that_dies_in_a_resize_costs_no_node(demo: Wire, stack: LocalStack, bay: str) -> None:
    before = set(await workers_of(stack, bay))
    await demo.resize(bay, 4)
    await under_way(demo, bay, "UPDATE_IN_PROGRESS")
    await replace_engine(stack)
    await ends(demo, bay, "UPDATE_COMPLETE")
    wanted, there, now = await shape(demo, stack, bay)
    assert (wanted, there) == (4, 4)
    assert before <= set(now)


async def test_an_engine_that_dies_in_a_deletion(demo: Wire, stack: LocalStack) -> None:
    before = await cloud_counts(stack)
    bay = await demo.create(node_count=1)
    await ends(demo, bay, "CREATE_COMPLETE")
    await demo("DELETE", f"/v1/clusters/{bay}")
    await under_way(demo, bay, "DELETE_IN_PROGRESS")
    await replace_engine(stack)
    assert await settled(demo.client, bay) == ""
    assert await cloud_counts(stack) == before


async def test_a_server_that_the_dead_engine_did_not_note_is_removed(demo: Wire, stack: LocalStack) -> None:
    """It would hold its port for ever."""
    before = await cloud_counts(stack)
    bay = await demo.create(node_count=1)
    await under_way(demo, bay, "CREATE_IN_PROGRESS")
    await control(stack, "/heat/engine/kill", "POST")
    images = (await demo.client.session.call("image", "GET", "/images", wants_json=True)).json().docs("images")
    flavors = (await demo.client.session.call("compute", "GET", "/flavors", wants_json=True)).json().docs("flavors")
    server = {"name": "unnoted", "imageRef": images[0].text("id"), "flavorRef": flavors[0].text("id")}
    body = {"server": {**server, "metadata": {"jeroboam_bay": bay}, "networks": "none"}}
    made = (await demo.client.session.send("compute", "POST", "/servers", body)).doc("server").text("id")
    await control(stack, "/heat/engine/start", "POST")
    await ends(demo, bay, "CREATE_COMPLETE")
    await until_gone(stack, made)
    assert (await shape(demo, stack, bay))[:2] == (1, 1)
    await remove(demo, bay)
    assert await cloud_counts(stack) == before


async def test_a_creation_that_failed_for_the_engine_s_own_reasons(demo: Wire, stack: LocalStack) -> None:
    rule = {"effect": "fail", "type": "OS::Nova::Server", "path": "kube_minions/*", "times": 1}
    lost = {"error_type": "MessagingTimeout", "reason": "Timed out waiting for a reply to message ID 5f0c"}
    await control(stack, "/heat/behaviours", "POST", {**rule, **lost})
    bay = await demo.create(node_count=2)
    await ends(demo, bay, "CREATE_COMPLETE")
    assert (await shape(demo, stack, bay))[:2] == (2, 2)
    await remove(demo, bay)


async def test_nodes_that_take_long_are_not_given_up(demo: Wire, stack: LocalStack) -> None:
    """They look as if nobody worked on them: the stack is taken up, Heat calls that a failure, and it goes on."""
    slow = {"effect": "slow", "type": "OS::Heat::WaitCondition", "path": "kube_masters*", "seconds": 1000, "times": 1}
    await control(stack, "/heat/behaviours", "POST", slow)
    bay = await demo.create(node_count=1)
    await ends(demo, bay, "CREATE_COMPLETE")
    assert (await shape(demo, stack, bay))[:2] == (1, 1)
    await remove(demo, bay)


async def test_a_stack_left_in_progress_takes_the_next_resize(demo: Wire, stack: LocalStack, bay: str) -> None:
    """It is past its deadline, and nobody works on it any more: what it waits for is told, and it is no dead end."""
    await demo.resize(bay, 4)
    await left_lying(demo, stack, bay)
    assert "it still waits for " in await reason(demo.client, bay)
    await demo.resize(bay, 3)
    await ends(demo, bay, "UPDATE_COMPLETE")
    assert (await shape(demo, stack, bay))[:2] == (3, 3)


async def left_lying(demo: Wire, stack: LocalStack, bay: str) -> None:
    """What was asked for is under way; its engine dies and its time runs out."""
    await under_way(demo, bay, "UPDATE_IN_PROGRESS")
    await control(stack, "/heat/engine/kill", "POST")
    await time_is_up(stack)
    await control(stack, "/heat/engine/start", "POST")
    await ends(demo, bay, "UPDATE_FAILED")


async def grow(demo: Wire, bay: str, group: str, count: int) -> None:
    body = {"node_count": count, "nodegroup": group}
    answer = await demo("POST", f"/v1/clusters/{bay}/actions/resize", body)
    assert answer.status_code == 202, answer.text


async def group_more(demo: Wire, bay: str) -> None:
    answer = await demo("POST", f"/v1/clusters/{bay}/nodegroups", {"name": "more", "node_count": 1})
    assert answer.status_code == 202, answer.text


async def test_a_group_s_stack_left_in_progress_holds_up_nobody(demo: Wire, stack: LocalStack, bay: str) -> None:
    """Neither the other groups, whose changes look at all that is there, nor its own."""
    await group_more(demo, bay)
    await ends(demo, bay, "UPDATE_COMPLETE")
    before = set(await workers_of(stack, bay))
    await grow(demo, bay, "more", 3)
    await left_lying(demo, stack, bay)
    await demo.resize(bay, 3)
    await ends(demo, bay, "UPDATE_COMPLETE")
    now = set(await workers_of(stack, bay))
    assert (len(now), before <= now) == (3 + 3, True), "what was asked for has come to its end"
    await grow(demo, bay, "more", 2)
    await ends(demo, bay, "UPDATE_COMPLETE")
    assert len(await workers_of(stack, bay)) == 3 + 2


async def test_the_first_stack_left_in_progress_holds_up_no_group(demo: Wire, stack: LocalStack, bay: str) -> None:
    """Who is out of time before it is taken up says what is waited for."""
    await demo.resize(bay, 4)
    await left_lying(demo, stack, bay)
    await grow(demo, bay, "default-worker", 3)
    await time_is_up(stack)
    await ends(demo, bay, "UPDATE_FAILED")
    assert "which an earlier change has begun" in await reason(demo.client, bay)
    await group_more(demo, bay)
    await ends(demo, bay, "UPDATE_COMPLETE")
    assert len(await workers_of(stack, bay)) == 4 + 1
    await demo.resize(bay, 3)
    await ends(demo, bay, "UPDATE_COMPLETE")
    assert len(await workers_of(stack, bay)) == 3 + 1


async def test_a_dead_stack_that_would_cost_nodes_is_told_of_at_once(demo: Wire, stack: LocalStack) -> None:
    """Somebody gave it another zone, which no server can change, and the engine died over that: nobody takes it up."""
    bay = await demo.create(node_count=1, labels={"auto_healing_enabled": "false", "availability_zone": "nova"})
    await ends(demo, bay, "CREATE_COMPLETE")
    before = set(await workers_of(stack, bay))
    async with standstill(stack):
        await heat(demo, "PATCH", bay, json={"parameters": {"availability_zone": ""}})
        await under_way(demo, bay, "UPDATE_IN_PROGRESS")
        await replace_engine(stack)
    await group_more(demo, bay)
    await ends(demo, bay, "UPDATE_FAILED")
    assert "would replace servers of the bay if it were to go on." in await reason(demo.client, bay)
    assert before <= set(await workers_of(stack, bay))
    await remove(demo, bay)


# the stack


async def test_a_stack_that_was_deleted(demo: Wire, stack: LocalStack, bay: str) -> None:
    stack_id = (await demo.client.bay(bay)).stack_id
    await heat(demo, "DELETE", bay)
    shown = await seen(demo, bay, lambda one: one["status"] == "CREATE_FAILED")
    assert f"({stack_id}) not found in Heat: somebody deleted it" in shown["status_reason"]
    refused = await demo("PATCH", f"/v1/clusters/{bay}", [{"op": "replace", "path": "/node_count", "value": 3}])
    assert refused.status_code == 400


async def test_a_stack_that_is_deleted_in_a_resize(demo: Wire, stack: LocalStack, bay: str) -> None:
    await demo.resize(bay, 4)
    await under_way(demo, bay, "UPDATE_IN_PROGRESS")
    await heat(demo, "DELETE", bay)
    await ends(demo, bay, "UPDATE_FAILED")
    assert "not found in Heat: somebody deleted it." in await reason(demo.client, bay)


async def test_a_stack_that_somebody_changed(demo: Wire, stack: LocalStack, bay: str) -> None:
    """It is told of, and the next resize begins with what there is now."""
    before = set(await workers_of(stack, bay))
    await heat(demo, "PATCH", bay, json={"parameters": {"number_of_minions": "3"}})
    shown = await seen(demo, bay, lambda one: "cloud.stack" in reasons(one))
    assert "was changed by somebody else" in reasons(shown)["cloud.stack"]
    assert shown["status"] == "CREATE_COMPLETE"
    await demo.resize(bay, 4)
    await ends(demo, bay, "UPDATE_COMPLETE")
    wanted, there, now = await shape(demo, stack, bay)
    assert (wanted, there, len(now)) == (4, 4, 4)
    assert before <= set(now)
    await seen(demo, bay, lambda one: not reasons(one))


async def test_a_stack_that_somebody_broke(demo: Wire, stack: LocalStack, bay: str) -> None:
    before = set(await workers_of(stack, bay))
    await next_fails(stack, bay, "kube_minions/2/server")
    await heat(demo, "PATCH", bay, json={"parameters": {"number_of_minions": "3"}})
    shown = await seen(demo, bay, lambda one: one["health_status"] == "UNHEALTHY")
    assert "UPDATE_FAILED" in reasons(shown)["cloud.stack"]
    assert NO_HOST in reasons(shown)["cloud.stack"]
    await demo.resize(bay, 3)
    await ends(demo, bay, "UPDATE_COMPLETE")
    wanted, there, now = await shape(demo, stack, bay)
    assert (wanted, there, before <= set(now)) == (3, 3, True)


async def test_a_stack_whose_tags_somebody_took_is_neither_lost_nor_left(demo: Wire, stack: LocalStack) -> None:
    before = await cloud_counts(stack)
    bay = await demo.create(node_count=1)
    await ends(demo, bay, "CREATE_COMPLETE")
    await heat(demo, "PATCH", bay, json={"tags": "theirs"})
    shown = await seen(demo, bay, lambda one: "cloud.stack" in reasons(one))
    assert shown["status"] == "CREATE_COMPLETE"
    await remove(demo, bay)
    assert await cloud_counts(stack) == before


async def test_a_stack_that_is_gone_while_its_servers_run_is_no_end(demo: Wire, stack: LocalStack, bay: str) -> None:
    """Somebody abandoned it, or another Heat answers."""
    change = "UPDATE bays SET stack_id = $2 WHERE id = $1"
    kept = (await demo.client.bay(bay)).stack_id
    await rows(stack, change, UUID(bay), str(uuid4()))
    shown = await seen(demo, bay, lambda one: "cloud.stack" in reasons(one))
    assert "not found in Heat, but the bay's servers run" in reasons(shown)["cloud.stack"]
    assert (shown["status"], shown["health_status"]) == ("CREATE_COMPLETE", "UNHEALTHY")
    await rows(stack, change, UUID(bay), kept)
    await seen(demo, bay, lambda one: not reasons(one))


# servers


async def test_a_server_that_was_deleted_is_told_of_and_replaced(demo: Wire, stack: LocalStack, bay: str) -> None:
    first, second = await workers_of(stack, bay)
    await demo.client.session.delete("compute", f"/servers/{first}")
    shown = await seen(demo, bay, lambda one: one["health_status"] == "UNHEALTHY")
    ((key, why),) = reasons(shown).items()
    assert key.startswith("cloud.server.")
    assert first in why
    assert "somebody deleted it" in why
    await demo.resize(bay, 3)
    await ends(demo, bay, "UPDATE_COMPLETE")
    wanted, there, now = await shape(demo, stack, bay)
    assert (wanted, there, len(now)) == (3, 3, 3)
    assert first not in now
    assert second in now
    await seen(demo, bay, lambda one: one["health_status"] is None and not reasons(one))


async def test_who_shrinks_a_bay_with_a_dead_node_loses_that_one(demo: Wire, stack: LocalStack, bay: str) -> None:
    first, second = await workers_of(stack, bay)
    await demo.client.session.delete("compute", f"/servers/{second}")
    await until_gone(stack, second)
    await demo.resize(bay, 1)
    await ends(demo, bay, "UPDATE_COMPLETE")
    assert await shape(demo, stack, bay) == (1, 1, [first])


async def test_a_server_that_dies_in_a_resize(demo: Wire, stack: LocalStack, bay: str) -> None:
    """The resize says so, and the next one makes up for it."""
    first, second = await workers_of(stack, bay)
    await demo.resize(bay, 3)
    await under_way(demo, bay, "UPDATE_IN_PROGRESS")
    await demo.client.session.delete("compute", f"/servers/{first}")
    await ends(demo, bay, "UPDATE_FAILED")
    assert f"Somebody deleted server {first} meanwhile" in await reason(demo.client, bay)
    await demo.resize(bay, 4)
    await ends(demo, bay, "UPDATE_COMPLETE")
    wanted, there, now = await shape(demo, stack, bay)
    assert (wanted, there, len(now)) == (4, 4, 4)
    assert second in now


async def test_a_server_that_stands_still_and_one_who_said_something_else(
    demo: Wire, stack: LocalStack, bay: str
) -> None:
    said = [
        {"op": "replace", "path": "/health_status", "value": "HEALTHY"},
        {"op": "replace", "path": "/health_status_reason", "value": {"api": "ok"}},
    ]
    assert (await demo("PATCH", f"/v1/clusters/{bay}", said)).status_code == 202
    first = (await workers_of(stack, bay))[0]
    await control(stack, f"/servers/{first}/status", "PUT", {"status": "SHUTOFF"})
    shown = await seen(demo, bay, lambda one: one["health_status"] == "UNHEALTHY")
    assert reasons(shown)["api"] == "ok"
    (why,) = (why for key, why in reasons(shown).items() if key.startswith("cloud.server."))
    assert f"({first})" in why
    assert "is SHUTOFF in Nova" in why
    await control(stack, f"/servers/{first}/status", "PUT", {"status": "ACTIVE"})
    shown = await seen(demo, bay, lambda one: reasons(one) == {"api": "ok"})
    assert shown["health_status"] == "HEALTHY", "the owner's word still counts"


async def until_gone(stack: LocalStack, server: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while any(one["id"] == server for one in (await control(stack, "/state?kind=server"))["records"]["server"]):
            await asyncio.sleep(0.05)
