"""A world of its own for each test, its app in-process, and when a test needs sockets a real server on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from cloudsim.app import create_app
from cloudsim.clock import Clock
from cloudsim.serve import CloudServer, configure
from cloudsim.world import CloudsimSettings, World

Login = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
def world() -> World:
    """A world in virtual time."""
    return World(CloudsimSettings(speed=0), Clock(0))


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, in-process."""
    transport = httpx.ASGITransport(create_app(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as found:
        yield found


def auth_body(user: str, project: str | None, password: str | None = None) -> dict[str, Any]:
    """A password login."""
    named = {"name": user, "domain": {"name": "Default"}, "password": password or user}
    body: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": named}}}
    if project:
        body["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
    return {"auth": body}


@pytest.fixture
def login(client: httpx.AsyncClient) -> Login:
    """Log in as a fixture user in its own (or another) project and return the headers of a request."""

    async def log_in(user: str = "demo", project: str | None = None) -> dict[str, str]:
        answer = await client.post("/identity/v3/auth/tokens", json=auth_body(user, project or user))
        assert answer.status_code == 201, answer.text
        return {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    return log_in


@pytest.fixture
async def server(world: World) -> AsyncIterator[str]:
    """The address of a real server that simulates `world`."""
    running = CloudServer(configure(create_app(world), "127.0.0.1", 0))
    serving = asyncio.create_task(running.serve())
    while not running.port:
        await asyncio.sleep(0.01)
        assert not serving.done()
    yield f"http://127.0.0.1:{running.port}"
    running.should_exit = True
    await serving
