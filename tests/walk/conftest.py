"""One stack for all pages, which are followed a few at a time from the start; each test waits for its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from scripts import client_venvs
from services.cli.stack import LocalStack
from tests.walk.pages import Page
from tests.walk.programs import install_missing
from tests.walk.walker import OURS, Walk, follow

SPEED = 60
"""Simulated seconds per second in the cloud."""

AT_ONCE = 3


@pytest.fixture(scope="session")
def clients() -> None:
    """The stock clients, or nothing is walked; and the foreign ones, as far as they can be had."""
    install_missing()
    try:
        client_venvs.ensure(sorted(set(OURS.values())))
    except client_venvs.NoClients as reason:
        pytest.skip(f"NOT RUN: walk: stock clients ({reason})")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def walks(
    clients: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[Page, asyncio.Task[Walk]]]:
    """What becomes of each page that is asked for. Those that break the cloud wait until nobody else is in it."""
    root, lanes = tmp_path_factory.mktemp("walk"), asyncio.Semaphore(AT_ONCE)
    pages = [item.callspec.params["page"] for item in request.session.items if hasattr(item, "callspec")]
    async with LocalStack(root / "up" / ".jeroboam", speed=SPEED, time_scale=0.1, restart=True) as stack:
        tasks: dict[Page, asyncio.Task[Walk]] = {}

        async def one(page: Page, after: list[asyncio.Task[Walk]]) -> Walk:
            await asyncio.gather(*after, return_exceptions=True)
            async with lanes:
                return await follow(page, stack, root / page.name)

        for page in pages:
            before = list(tasks.values()) if page.alone else []
            tasks[page] = asyncio.create_task(one(page, before), name=str(page))
        try:
            yield tasks
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
