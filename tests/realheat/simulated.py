"""cloudsim as a child process, as ground for bays."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

from pydantic import SecretStr

from shared.openstack.auth import Credential
from shared.openstack.cloud import Cloud, CloudConfig
from shared.runtime.egress import EgressPolicy
from tests.realheat.ground import Ground, ground_in

SPEED = 40
"""Simulated seconds per second."""
_START_LIMIT = 60.0


@asynccontextmanager
async def simulated_ground(folder: Path, distros: Iterable[str]) -> AsyncIterator[Ground]:
    """Ground in a cloudsim of its own, for its user demo."""
    async with _cloudsim(folder / "port") as url:
        who = Credential(url=f"{url}/identity/v3", username="demo", password=SecretStr("demo"), service_project="demo")
        cloud = Cloud(CloudConfig(who), EgressPolicy(allow=(ip_network("127.0.0.0/8"),)))
        try:
            async with ground_in(cloud.for_service(), distros) as ground:
                yield ground
        finally:
            await cloud.close()


@asynccontextmanager
async def _cloudsim(port_file: Path) -> AsyncIterator[str]:
    command = ("-m", "cloudsim", "--port", "0", "--port-file", str(port_file), "--speed", str(SPEED))
    child = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        async with asyncio.timeout(_START_LIMIT):
            while not port_file.exists():
                assert child.returncode is None, f"cloudsim did not start (exit status {child.returncode})"
                await asyncio.sleep(0.05)  # another process's file: there is no event to wait for
        yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()
