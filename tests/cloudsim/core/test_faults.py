"""Fault rules in-process: which request they strike, and what is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from cloudsim.faults import AnswerLostError, template
from cloudsim.world import World
from tests.cloudsim.core.conftest import Login

NETWORKS = "/network/v2.0/networks"


async def _fault(client: httpx.AsyncClient, **rule: Any) -> int:
    answer = await client.post("/control/faults", json=rule)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["fault"]["id"])


def _count(world: World) -> int:
    """Networks beside the external one."""
    return world.store.count("network") - 1


@pytest.mark.parametrize(("status", "key"), [(401, "error"), (409, "NeutronError"), (500, "NeutronError")])
async def test_a_status_in_the_service_s_shape(
    client: httpx.AsyncClient, login: Login, world: World, status: int, key: str
) -> None:
    headers = await login()
    await _fault(client, kind="status", status=status, service="network", method="POST")
    answer = await client.post(NETWORKS, json={"network": {}}, headers=headers)
    assert answer.status_code == status
    assert key in answer.json()
    assert _count(world) == 0
    assert (await client.post(NETWORKS, json={"network": {}}, headers=headers)).status_code == 201


async def test_too_many_requests_says_when_to_come_again(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    await _fault(client, kind="status", status=429, retry_after=7, path="^/compute/")
    answer = await client.get("/compute/v2.1/flavors", headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


async def test_the_nth_request_and_how_many(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    await _fault(client, kind="status", status=503, path="/flavors", nth=2, count=2)
    answers = [(await client.get("/compute/v2.1/flavors", headers=headers)).status_code for _ in range(5)]
    assert answers == [200, 503, 503, 200, 200]
    shown = (await client.get("/control/faults")).json()["faults"][0]
    assert (shown["seen"], shown["struck"]) == (5, 2)


async def test_for_ever_until_removed(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    plan_id = await _fault(client, kind="status", service="compute", count=0)
    for _ in range(3):
        assert (await client.get("/compute/v2.1/flavors", headers=headers)).status_code == 503
    assert (await client.delete(f"/control/faults/{plan_id}")).status_code == 204
    assert (await client.delete(f"/control/faults/{plan_id}")).status_code == 404
    assert (await client.get("/compute/v2.1/flavors", headers=headers)).status_code == 200


async def test_an_error_after_the_effect(client: httpx.AsyncClient, login: Login, world: World) -> None:
    headers = await login()
    await _fault(client, kind="status", status=503, method="POST", path=NETWORKS, effect=True)
    assert (await client.post(NETWORKS, json={"network": {}}, headers=headers)).status_code == 503
    assert _count(world) == 1


async def test_rubbish_is_no_json(client: httpx.AsyncClient, login: Login) -> None:
    headers = await login()
    await _fault(client, kind="rubbish", service="network")
    answer = await client.get(NETWORKS, headers=headers)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


async def test_a_hanging_request_is_held_and_does_nothing(
    client: httpx.AsyncClient, login: Login, world: World
) -> None:
    headers = await login()
    await _fault(client, kind="hang", seconds=40, method="POST", path=NETWORKS)
    held = asyncio.create_task(client.post(NETWORKS, json={"network": {}}, headers=headers))
    await world.clock.advance(39)
    assert not held.done()
    await world.clock.advance(1)
    assert (await held).status_code == 504
    assert _count(world) == 0


async def test_late_effect_before_a_later_answer(client: httpx.AsyncClient, login: Login, world: World) -> None:
    headers = await login()
    await _fault(client, kind="late", effect_at=89, answer_at=90, method="POST", path=NETWORKS)
    held = asyncio.create_task(client.post(NETWORKS, json={"network": {}}, headers=headers))
    await world.clock.advance(88)
    assert _count(world) == 0
    await world.clock.advance(1.5)
    assert _count(world) == 1
    assert not held.done()
    await world.clock.advance(1)
    assert (await held).status_code == 201


@pytest.mark.parametrize(("kind", "kept"), [("answer_lost", 1), ("drop", 0)])
async def test_a_cut_connection_in_process(
    client: httpx.AsyncClient, login: Login, world: World, kind: str, kept: int
) -> None:
    headers = await login()
    await _fault(client, kind=kind, method="POST", path=NETWORKS)
    with pytest.raises(AnswerLostError):
        await client.post(NETWORKS, json={"network": {}}, headers=headers)
    assert _count(world) == kept


async def test_losing_a_stack_calls_its_owner(client: httpx.AsyncClient, login: Login, world: World) -> None:
    stack = world.store.create("stack", "p", {"stack_name": "bay-1"})

    async def lose(stack_id: str) -> None:
        world.store.delete("stack", stack_id)

    world.on_lose_stack = lose
    headers = await login()
    await _fault(client, kind="lose_stack", stack="bay-1", path="/flavors", nth=2)
    assert (await client.get("/compute/v2.1/flavors", headers=headers)).status_code == 200
    assert world.store.get("stack", stack.id) is not None
    assert (await client.get("/compute/v2.1/flavors", headers=headers)).status_code == 200
    assert world.store.get("stack", stack.id) is None
    assert (await client.post("/control/stacks/bay-1/lose")).status_code == 404


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "explode"},
        {"kind": "status", "status": 200},
        {"kind": "status", "path": "("},
        {"kind": "late", "effect_at": 2, "answer_at": 1},
        {"kind": "lose_stack"},
        {"kind": "hang", "secnds": 3},
        {"kind": "status", "nth": 0},
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(client: httpx.AsyncClient, rule: dict[str, Any]) -> None:
    answer = await client.post("/control/faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_paths_are_counted_without_ids() -> None:
    project, stack = "0" * 32, "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    base = f"/orchestration/v1/{project}/stacks"
    assert template(f"{base}/bay-1/{stack}/resources/kube") == (
        "/orchestration/v1/{id}/stacks/{stack}/{id}/resources/{resource}"
    )
    assert template(f"{base}/detail") == "/orchestration/v1/{id}/stacks/detail"
    assert template(f"/compute/v2.1/servers/{stack}") == "/compute/v2.1/servers/{id}"
