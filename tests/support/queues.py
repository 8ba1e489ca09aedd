"""What the tests of queues share: a cloud that stands still, and what a bay is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from services.cli.stack import LocalStack
from tests.support.jobs import control, rows
from tests.support.wire import Wire

SPEED = 40
"""How fast the simulated cloud's time is when it does not stand still."""
NO_HOST = "No valid host was found."


def node_count(count: int) -> list[dict[str, Any]]:
    """A patch to that number of workers."""
    return [{"op": "replace", "path": "/node_count", "value": count}]


@asynccontextmanager
async def standstill(stack: LocalStack) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The cloud's time stands still meanwhile, so that what is under way stays it; calling the value ends that."""

    async def go_on() -> None:
        await control(stack, "/speed", "PUT", {"speed": SPEED})

    await control(stack, "/speed", "PUT", {"speed": 0})
    try:
        yield go_on
    finally:
        await go_on()


@asynccontextmanager
async def room(demo: Wire, admin: Wire, servers: int) -> AsyncIterator[int]:
    """Leave room for so many servers in the project; the limit."""
    limits = (await demo.client.session.call("compute", "GET", "/limits", wants_json=True)).json().doc("limits")
    limit = limits.doc("absolute").number("totalInstancesUsed") + servers
    session, path = admin.client.session, f"/os-quota-sets/{await demo.project()}"
    await session.call("compute", "PUT", path, json={"quota_set": {"instances": limit}})
    try:
        yield limit
    finally:
        await session.call("compute", "DELETE", path)


async def next_fails(stack: LocalStack, bay: str, path: str) -> None:
    """The next creation of that resource of this bay fails."""
    rule = {"effect": "fail", "type": "OS::Nova::Server", "path": path, "reason": NO_HOST, "times": 1}
    await control(stack, "/heat/behaviours", "POST", {**rule, "stack": f"*{UUID(bay).hex[:12]}*"})


async def workers_of(stack: LocalStack, bay: str) -> list[str]:
    """The workers' servers, as the provisioner knows them."""
    query = "SELECT server_id FROM nodes WHERE role = 'worker' AND bay_id = $1 ORDER BY position"
    return [row["server_id"] for row in await rows(stack, query, UUID(bay))]


async def shape(demo: Wire, stack: LocalStack, bay: str) -> tuple[int, int, list[str]]:
    """How many workers are wanted, how many the cloud has, and which."""
    servers = (await control(stack, "/state?kind=server"))["records"]["server"]
    there = {one["id"] for one in servers}
    known = await workers_of(stack, bay)
    assert set(known) <= there
    shown = await demo.get(f"/v1/clusters/{bay}")
    assert len(shown["node_addresses"]) == len(known)
    mine = [one for one in servers if UUID(bay).hex[:12] in one["name"]]
    return shown["node_count"], len(mine) - shown["master_count"], known


async def replace_engine(stack: LocalStack) -> None:
    """Heat's engine dies in the midst of what it does, and another one starts."""
    await control(stack, "/heat/engine/kill", "POST")
    await control(stack, "/heat/engine/start", "POST")


async def time_is_up(stack: LocalStack) -> None:
    """The operations under way are past their deadlines."""
    await rows(stack, "UPDATE operations SET deadline = now() WHERE state = 'active'")
