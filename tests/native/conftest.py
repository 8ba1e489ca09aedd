"""Bays of one stack, whose certificates real servers judge and real clients show."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio

from scripts import client_venvs
from services.cli.stack import LocalStack
from tests.clients.support.cloud import Cloud
from tests.clients.support.coes import IMAGES
from tests.clients.support.shell import Clients
from tests.native.people import Person

SPEED = 40
"""Simulated seconds per second in the cloud."""

BAYS: dict[str, dict[str, object]] = {
    "pods": {"coe": "kubernetes"},
    "other-pods": {"coe": "kubernetes"},
    "open-pods": {"coe": "kubernetes", "tls_disabled": True},
    "roles": {"coe": "kubernetes", "image_id": "ubuntu-24.04", "docker_storage_driver": "overlay2"},
    "swarm": {"coe": "swarm"},
    "other-swarm": {"coe": "swarm"},
    "open-swarm": {"coe": "swarm", "tls_disabled": True},
    "mesos": {"coe": "mesos"},
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """All processes, as in `make up`."""
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.1) as running:
        yield running


@pytest.fixture(scope="session")
def cloud(stack: LocalStack) -> Iterator[Cloud]:
    """The gateway and the simulated cloud as plain HTTP."""
    with Cloud(stack) as found:
        yield found


@pytest.fixture(scope="session")
def bays(cloud: Cloud) -> dict[str, str]:
    """The bays' API addresses by name. They are born side by side."""

    def made(name: str) -> str:
        coe = str(BAYS[name]["coe"])
        fields = {"image_id": IMAGES[coe], "network_driver": None, **BAYS[name]}
        return str(cloud.show(cloud.bay(name, cloud.template(name, **fields)))["api_address"])

    cloud.token()
    with ThreadPoolExecutor(len(BAYS)) as pool:
        return dict(zip(BAYS, pool.map(made, BAYS), strict=True))


@pytest.fixture(scope="session")
def person(stack: LocalStack, bays: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A user at a terminal, with our command."""
    return Person(stack, tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="session")
def clients(stack: LocalStack, bays: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Clients:
    """The same with the stock clients, or the tests that need them are skipped."""
    try:
        client_venvs.ensure(["m370", "v500"])
    except client_venvs.NoClients as reason:
        pytest.skip(f"NOT RUN: native: stock clients ({reason})")
    return Clients(stack, tmp_path_factory.mktemp("clients"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder with a short name: sockets in it must have paths below 108 characters."""
    made = Path(tempfile.mkdtemp(prefix="jb-native-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)
