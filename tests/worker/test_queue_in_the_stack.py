"""Queued changes over the whole stack: each goes by its own request, and what a failed one left is cleared up."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.db.engine import make_engine
from shared.db.repositories import bays, operations
from shared.domain.operation import OperationKind
from shared.domain.queue import Door
from tests.support.jobs import BAYMODEL, cloud_counts, control, reason, rows, settled

NO_HOST = "No valid host was found."


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """One for all of these; every test makes a bay of its own."""
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=20, time_scale=0.2) as running:
        yield running


async def test_a_create_reaches_its_own_count_before_what_waits(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        bay = await _create(client, 2)
        await _ask(stack, bay, 3)
        await _ask(stack, bay, 1, nodes_to_remove=["no-such-server"])
        await _ask(stack, bay, 4)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        ended = [(one.kind, one.state, one.error) for one in reversed(await client.operations(bay))]
        assert ended == [
            ("create", "done", None),
            ("resize", "done", None),
            ("resize", "failed", "The nodes that leave could not be chosen: no-such-server is no node of this bay"),
            ("resize", "done", None),
        ]
        assert (await client.bay(bay)).node_count == 4
        assert len(await _workers(stack, bay)) == 4


async def test_what_waits_behind_a_failed_resize_clears_up_after_it(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        bay = await _create(client, 2)
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        await _fail(stack, "kube_minions/2/server")
        await _ask(stack, bay, 4)
        await _ask(stack, bay, 3)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        states = [(one.state, NO_HOST in (one.error or "")) for one in await client.operations(bay)]
        assert states == [("done", False), ("failed", True), ("done", False)]
        assert await _workers(stack, bay) == [0, 1, 4]  # 2 and 3 never came to be, and Heat uses no index twice


async def test_an_autoscaler_may_push_again_and_shrink_after_a_failure(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        bay = await _create(client, 1)
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        await _fail(stack, "kube_minions/1/server")
        await _ask(stack, bay, 2)
        assert await settled(client, bay) == "UPDATE_FAILED"
        await _ask(stack, bay, 3)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        await _ask(stack, bay, 1)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        assert await _workers(stack, bay) == [0]


async def test_what_heat_ended_after_we_had_given_up_is_caught_up_with(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        bay = await _create(client, 1)
        await _ask(stack, bay, 3)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        # As after a deadline: the operation failed, Heat went on and finished, and nobody wrote the nodes down.
        await rows(stack, "UPDATE operations SET state = 'failed' WHERE kind = 'resize' AND bay_id = $1", UUID(bay))
        await rows(stack, "DELETE FROM nodes WHERE position = 2 AND bay_id = $1", UUID(bay))
        await _ask(stack, bay, 2)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        assert await _workers(stack, bay) == [0, 1]


async def test_a_rollback_leaves_a_later_wish_alone(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        bay = await _create(client, 1)
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        await _fail(stack, "kube_minions/1/server")
        await _ask(stack, bay, 3, rollback=True)
        await _ask(stack, bay, 2, rollback=True)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        assert "was rolled back to 1 nodes" in str((await client.operations(bay))[1].error)
        assert (await client.bay(bay)).node_count == 2
        assert len(await _workers(stack, bay)) == 2


async def test_the_quota_is_looked_at_again_when_a_turn_comes(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        bay = await _create(client, 1)
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        async with _room_for(stack, client, 1) as limit:
            await _ask(stack, bay, 2)
            await _ask(stack, bay, 4)
            assert await settled(client, bay) == "UPDATE_FAILED"
            why = f"Resource limit exceeded: 2 servers needed, 0 left of {limit}. Nothing was changed."
            assert await reason(client, bay) == why
            assert len(await _workers(stack, bay)) == 2
            await _ask(stack, bay, 1)
            assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)


async def test_a_creation_is_held_against_the_quota_once_more(stack: LocalStack) -> None:
    async with stack.client("demo") as client:
        before = await cloud_counts(stack)
        provisioner = stack.supervisor.pid("provisioner-1")
        async with AsyncExitStack() as until:
            os.kill(provisioner, signal.SIGSTOP)  # until others have taken what there was
            try:
                bay = await _create(client, 2)
                limit = await until.enter_async_context(_room_for(stack, client, 2))
            finally:
                os.kill(provisioner, signal.SIGCONT)
            assert await settled(client, bay) == "CREATE_FAILED"
        assert f"3 servers needed, 2 left of {limit}. Nothing was created." in await reason(client, bay)
        assert await cloud_counts(stack) == before


@asynccontextmanager
async def _room_for(stack: LocalStack, client: JeroboamClient, servers: int) -> AsyncIterator[int]:
    """Leave room for so many servers in the project; the limit."""
    project = (await rows(stack, "SELECT project_id FROM bays"))[0]["project_id"]
    limits = (await client.session.call("compute", "GET", "/limits", wants_json=True)).json().doc("limits")
    limit = limits.doc("absolute").number("totalInstancesUsed") + servers
    async with stack.client("admin") as admin:
        path = f"/os-quota-sets/{project}"
        await admin.session.call("compute", "PUT", path, json={"quota_set": {"instances": limit}})
        try:
            yield limit
        finally:
            await admin.session.call("compute", "DELETE", path)


async def _create(client: JeroboamClient, count: int) -> str:
    model = await client.create_baymodel(BAYMODEL)
    return await client.create_bay({"name": "queue", "baymodel_id": model.uuid, "node_count": count})


async def _ask(stack: LocalStack, bay: str, count: int, **request: object) -> None:
    """A resize as the gateway takes it, with its rights."""
    engine = make_engine(stack.dsn("jb_api"), pool_size=1)
    try:
        async with engine.begin() as conn:
            found = await bays.lock(conn, UUID(bay))
            assert found is not None
            await operations.ask(
                conn,
                found,
                kind=OperationKind.RESIZE,
                request={"node_count": count, **request},
                requested_by="u",
                timeout_minutes=60,
                busy="queue",
                door=Door.RESIZE,
            )
    finally:
        await engine.dispose()


async def _fail(stack: LocalStack, path: str) -> None:
    """The next creation of that resource fails."""
    fault = {"effect": "fail", "type": "OS::Nova::Server", "path": path, "reason": NO_HOST, "times": 1}
    await control(stack, "/heat/behaviours", "POST", fault)


async def _workers(stack: LocalStack, bay: str) -> list[int]:
    query = "SELECT position FROM nodes WHERE role = 'worker' AND bay_id = $1 ORDER BY 1"
    return [row["position"] for row in await rows(stack, query, UUID(bay))]
