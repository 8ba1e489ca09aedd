"""Two clouds: a scripted one for misbehaviour on the wire, and cloudsim as a child process for whole flows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.openstack.auth import Credential
from shared.openstack.cloud import Cloud, CloudConfig
from shared.runtime.egress import EgressPolicy
from tests.openstack.sim import Sim
from tests.openstack.wire import Wire

LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    server = Wire()
    await server.start()
    yield server
    await server.stop()


MakeCloud = Callable[..., Cloud]


@pytest.fixture
async def make_cloud() -> AsyncIterator[MakeCloud]:
    """Makes `Cloud`s, and closes them at the end."""
    made: list[Cloud] = []

    def make(url: str, *, egress: EgressPolicy = LOOPBACK, password: str = "jeroboam", **config: Any) -> Cloud:
        credential = Credential(url=f"{url}/v3", username="jeroboam", password=SecretStr(password))
        cloud = Cloud(CloudConfig(credential, **{"call_limit": 10.0, **config}), egress)
        made.append(cloud)
        return cloud

    yield make
    for cloud in made:
        await cloud.close()


@pytest.fixture(scope="session")
def cloudsim_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cloudsim of this test session."""
    port_file: Path = tmp_path_factory.mktemp("cloudsim") / "port"
    command = [sys.executable, "-m", "cloudsim", "--port", "0", "--port-file", str(port_file), "--speed", "20"]
    child = subprocess.Popen(command)
    try:
        until = time.monotonic() + 60
        while not port_file.exists():
            if child.poll() is not None or time.monotonic() > until:
                pytest.fail(f"cloudsim did not start (exit status {child.poll()})")
            time.sleep(0.05)  # another process's file: there is no event to wait for
        yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture
async def sim(cloudsim_url: str) -> AsyncIterator[Sim]:
    """A cloudsim as fresh as at its start."""
    hand = Sim(cloudsim_url)
    await hand.reset()
    yield hand
    await hand.reset()
    await hand.close()
