"""One stack for the whole suite, every client in an environment of its own, and what they need to be logged in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from scripts import client_venvs
from services.cli.stack import LocalStack
from tests.clients.support.cloud import Cloud
from tests.clients.support.shell import Clients

SPEED = 40
"""Simulated seconds per second in the cloud."""


@pytest.fixture(scope="session")
def environments() -> None:
    """Every client is installed, or every test is skipped with a reason that `make test` repeats at its end."""
    try:
        client_venvs.ensure()
    except client_venvs.NoClients as reason:
        pytest.skip(f"NOT RUN: clients ({reason})")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """All processes, as in `make up`."""
    root = tmp_path_factory.mktemp("stack")
    async with LocalStack(root, speed=SPEED, time_scale=0.2) as running:
        yield running


@pytest.fixture(scope="session")
def cloud(stack: LocalStack) -> Iterator[Cloud]:
    """The gateway and the simulated cloud as plain HTTP."""
    with Cloud(stack) as found:
        yield found


@pytest.fixture(scope="session")
def clients(environments: None, stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    """Runs the clients' commands."""
    return Clients(stack, tmp_path_factory.mktemp("clients"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for the files that a client writes."""
    return tmp_path
