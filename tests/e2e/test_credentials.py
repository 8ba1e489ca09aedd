"""The cloud's own logins go wrong while bays are worked on: every operation ends in success or in a clear sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.e2e.cloud_people import People
from tests.e2e.nodes import PATIENCE, nodes_of
from tests.support.jobs import BAYMODEL, control, reason, settled
from tests.support.wire import Wire

CINDER = BAYMODEL | {"volume_driver": "cinder"}
SERVICES = ("orchestration", "compute", "network", "volumev3")


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[tuple[LocalStack, JeroboamClient, People]]:
    async with LocalStack(root, speed=20, time_scale=0.05) as stack, stack.client("demo") as client:
        people = await People.of(stack)
        try:
            yield stack, client, people
        finally:
            await people.http.aclose()


async def fault(stack: LocalStack, service: str, **other: object) -> None:
    await control(stack, "/faults", "POST", {"kind": "status", "service": service, "path": ".*", **other})


async def begun(client: JeroboamClient, model: dict[str, Any] = BAYMODEL) -> str:
    made = await client.create_baymodel(model)
    return await client.create_bay({"name": "k8s", "baymodel_id": made.uuid, "node_count": 1})


async def complete(client: JeroboamClient, bay: str, status: str) -> None:
    assert await settled(client, bay) == status, await reason(client, bay)


async def refused_once(stack: LocalStack) -> None:
    """The next call of each service is answered 401. After acceptance: a caller's token is not ours to renew."""
    for service in SERVICES:
        await fault(stack, service, status=401)


@pytest.mark.parametrize("token_seconds", [3600, 60])
async def test_401_of_each_service_once_and_short_tokens(tmp_path: Path, token_seconds: int) -> None:
    """The token is renewed, and nothing is tried again that was done."""
    async with running(tmp_path) as (stack, client, _):
        await control(stack, "/settings", "PATCH", {"token_seconds": token_seconds})
        bay = await begun(client, CINDER)
        await refused_once(stack)
        await complete(client, bay, "CREATE_COMPLETE")
        await client.resize_bay(bay, 2)
        await refused_once(stack)
        await complete(client, bay, "UPDATE_COMPLETE")
        rules = (await control(stack, "/faults"))["faults"]
        assert sum(rule["struck"] for rule in rules) >= 3, rules
        await control(stack, "/faults", "DELETE")
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""


async def test_a_role_that_is_taken_away_ends_with_the_command_that_grants_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client, people):
        bay = await begun(client)
        await complete(client, bay, "CREATE_COMPLETE")
        await people.our_role("DELETE")
        await client.resize_bay(bay, 2)
        await complete(client, bay, "UPDATE_FAILED")
        why = await reason(client, bay)
        assert "The service user jeroboam has no role in project" in why
        assert "openstack role add --user jeroboam --user-domain Default --domain DOMAIN --inherited member" in why

        await client.delete_bay(bay)
        await complete(client, bay, "DELETE_FAILED")
        assert "--inherited member" in await reason(client, bay)
        await people.our_role("PUT")
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""


@pytest.mark.parametrize("kind", ["status", "drop"])
async def test_a_keystone_that_is_away_for_a_while_costs_only_time(tmp_path: Path, kind: str) -> None:
    """503, or nobody there: in the midst of a create, and of a resize."""
    async with running(tmp_path) as (stack, client, _):
        await control(stack, "/settings", "PATCH", {"token_seconds": 60})
        made = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "k8s", "baymodel_id": made.uuid, "node_count": 1})
        await _away(stack, kind)
        await complete(client, bay, "CREATE_COMPLETE")
        await client.resize_bay(bay, 2)
        await _away(stack, kind)
        await complete(client, bay, "UPDATE_COMPLETE")


async def _away(stack: LocalStack, kind: str) -> None:
    """Until it was asked four times more; the cloud's services cannot check our token either, and answer 401 once."""
    await fault(stack, "identity", kind=kind, count=4)
    await fault(stack, "orchestration", status=401)


async def test_the_creator_is_deleted_and_the_bay_lives_on(tmp_path: Path) -> None:
    async with running(tmp_path) as (stack, demo, people):
        bay = await begun(demo, CINDER)
        await complete(demo, bay, "CREATE_COMPLETE")
        nodes = await nodes_of(stack, demo, bay)
        async with await people.let_in("alt", "demo") as other:
            await people.delete("demo")
            assert await people.credentials() == set()  # the nodes' went with its owner
            await other.resize_bay(bay, 2)
            await complete(other, bay, "UPDATE_COMPLETE")

            # Whoever rotates heals it.
            wire = Wire(other, people.http)
            answer = await wire("PATCH", f"{stack.api_url}/credentials/{bay}")
            assert answer.status_code == 202, answer.text
            nodes = await nodes_of(stack, other, bay)
            for node in nodes:
                await node.insist(node.csr())
                async with asyncio.timeout(PATIENCE):
                    while not (await node.call("GET", "/nodes/self")).json()["credential_generation"]:
                        await asyncio.sleep(0.1)
                said = {"healthy": True, "revision": "x", "credential_generation": 2}
                assert (await node.call("PUT", "/nodes/self", said)).status_code == 204
            await complete(other, bay, "UPDATE_COMPLETE")
            assert await people.credentials() == {f"jeroboam-{bay}-2"}
            await other.delete_bay(bay)
            assert await settled(other, bay) == ""
        assert await people.credentials() == set()
