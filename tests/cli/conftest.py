"""One stack for all commands, and a baymodel to make bays after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from tests.cli.terminal import Terminal
from tests.clients.support.cloud import Cloud

SPEED = 40
"""Simulated seconds per second in the cloud."""

FEW_STREAMS = {"JEROBOAM_EVENTS_STREAMS": "8"}
"""A project gets two of them, so that a test can take them all."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """All processes, as in `make up`."""
    root = tmp_path_factory.mktemp("stack")
    async with LocalStack(root, speed=SPEED, time_scale=0.1, extra_environment=FEW_STREAMS) as running:
        yield running


@pytest.fixture(scope="session")
def cloud(stack: LocalStack) -> Iterator[Cloud]:
    """The gateway and the simulated cloud as plain HTTP."""
    with Cloud(stack) as found:
        yield found


@pytest.fixture(scope="session")
def model(cloud: Cloud) -> str:
    """The name of a baymodel."""
    cloud.template("model")
    return "model"


@pytest.fixture(scope="session")
def terminal(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A person with our command."""
    return Terminal(stack, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def bay(cloud: Cloud, model: str) -> str:
    """The name of a bay that tests may look at, and change as long as it stays."""
    cloud.bay("still", model)
    return "still"


@pytest.fixture
def faults(cloud: Cloud) -> Iterator[Cloud]:
    """The cloud, whose faults and failures end with the test."""
    yield cloud
    cloud.control("/faults", "DELETE")
    cloud.control("/heat/behaviours", "DELETE")
