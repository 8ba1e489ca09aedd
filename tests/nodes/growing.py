"""Servers that come and go while a bay changes: the cloud's are booted as they appear, and end as they are deleted."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.support.lab import cloud, etcd_writer
from tests.support.lab.cloud import Wanted
from tests.support.lab.dress import IMAGES, dresser
from tests.support.lab.lab import Lab
from tests.support.lab.node import Node

_HURRY = (
    "for kind in service timer; do mkdir -p /etc/systemd/system/jeroboam-agent.$kind.d; done; "
    "printf '[Service]\\nEnvironment=JEROBOAM_NOW=1 JEROBOAM_AGAIN=1\\n' "
    ">/etc/systemd/system/jeroboam-agent.service.d/lab.conf; "
    "printf '[Timer]\\nOnBootSec=\\nOnUnitInactiveSec=\\nOnActiveSec=0\\nOnUnitInactiveSec=1s\\n' "
    ">/etc/systemd/system/jeroboam-agent.timer.d/lab.conf"
)


async def resize_masters(client: JeroboamClient, bay: str, count: int) -> None:
    """Ask for another number of masters."""
    body = {"node_count": count, "nodegroup": "default-master"}
    headers = {"OpenStack-API-Version": "container-infra 1.14"}
    await client.session.call("container-infra", "POST", f"/clusters/{bay}/actions/resize", json=body, headers=headers)


@asynccontextmanager
async def as_the_cloud_says(stack: LocalStack, lab: Lab, bay: str, wanted: Wanted) -> AsyncIterator[None]:
    """Boot every server of the bay that appears, with an agent that looks every second, and end those that go."""
    clothes = IMAGES[wanted.image]
    dress = dresser(clothes, wanted.without)

    async def boot(server: dict[str, Any]) -> None:
        (node,) = await lab.boot(cloud.machine_of(server, stack, clothes, dress, wanted.edit))
        await node.sh(_HURRY)

    async def watch() -> None:
        async with stack.client("admin") as administrator, asyncio.TaskGroup() as tasks:
            begun = set(lab.nodes)
            while True:
                servers = {one["name"]: one for one in await cloud.servers_of(stack, administrator, bay)}
                for name in servers.keys() - begun:
                    begun.add(name)
                    tasks.create_task(boot(servers[name]))
                for name in [name for name in begun - servers.keys() if name in lab.nodes]:
                    begun.remove(name)
                    await lab.nodes.pop(name).down()
                await asyncio.sleep(0.3)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        failed = watching.done() and not watching.cancelled() and watching.exception()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        if failed:
            raise failed


@asynccontextmanager
async def writer(lab: Lab, folder: Path, masters: list[Node]) -> AsyncIterator[dict[str, Any]]:
    """A client that writes into the bay's etcd all the time; what it counted is in the dictionary at the end."""
    counted: dict[str, Any] = {}
    tell(folder, masters)
    command = (sys.executable, "-I", str(Path(etcd_writer.__file__)), str(folder))
    running = asyncio.create_task(lab.network.inside(*command, limit=400))
    try:
        yield counted
    finally:
        (folder / "stop").touch()
        await running
    counted |= json.loads((folder / "counted.json").read_text())


def tell(folder: Path, masters: list[Node]) -> None:
    """Tell the writer which members there are."""
    new = folder / "endpoints.new"
    new.write_text("".join(f"https://{one.machine.address}:2379\n" for one in masters))
    new.replace(folder / "endpoints")
