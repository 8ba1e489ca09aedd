"""The authorities of a bay with three masters are rotated while a client uses its etcd without a pause."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.cli.stack import LocalStack
from tests.nodes.bays import kubernetes, master, no_secret_lies_open, raised, workers
from tests.nodes.rotations import Identity, answers, hurry, rotate, rotation, trusts_alone
from tests.support.lab import etcd_client
from tests.support.lab.cloud import Wanted, outcome
from tests.support.lab.lab import Lab

pytestmark = pytest.mark.timeout(400)

MASTERS = 3
ETCDCTL = (
    "ETCDCTL_API=3 etcdctl --cacert /etc/etcd/ssl/ca.crt --cert /etc/etcd/ssl/node.crt --key /etc/etcd/ssl/node.key"
)
RUNNING = "systemctl show docker -p MainPID -p ActiveEnterTimestampMonotonic"


@asynccontextmanager
async def user_of_etcd(lab: Lab, folder: Path, endpoints: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
    """A client of etcd in the lab's namespace; what it counted is in the dictionary at the end."""
    counted: dict[str, Any] = {}
    command = (sys.executable, "-I", str(Path(etcd_client.__file__)), str(folder), *endpoints)
    running = asyncio.create_task(lab.network.inside(*command, limit=300))
    try:
        yield counted
    finally:
        (folder / "stop").touch()
        await running
    counted |= json.loads((folder / "counted.json").read_text())


async def test_nobody_fails_to_read_while_the_authorities_are_rotated(
    stack: LocalStack, lab: Lab, tmp_path: Path
) -> None:
    async with stack.client("demo") as client:
        model = kubernetes(docker_volume_size=None)
        wanted = Wanted("fedora-atomic", model, {"name": "turning", "node_count": 1, "master_count": MASTERS})
        bay = await raised(stack, lab, client, wanted, seconds=150)
        await hurry(lab.nodes.values())
        before = await workers(lab)[0].sh(RUNNING)
        person = Identity(client, bay, tmp_path)
        old = await person.renew()
        addresses = [master(lab, index).machine.address for index in range(MASTERS)]
        etcd = [f"https://{address}:2379" for address in addresses]
        doors = [f"{one}/health" for one in etcd] + [f"https://{one}:6443/api/v1/nodes" for one in addresses]
        assert all([await answers(lab, old, door) for door in doors])

        async with user_of_etcd(lab, tmp_path, etcd) as counted, person.kept():
            await rotate(client, bay)
            status, why = await outcome(client, bay, 200)
        assert status == "UPDATE_COMPLETE", f"{why}\n{await lab.story()}"
        print(json.dumps(counted))
        assert not counted["failed_reads"], counted
        assert counted["writes"] > counted["failed_writes"]
        assert all(counted["served"].values()), counted

        assert await rotation(client, bay) is None
        new = await person.renew()
        pem = (new / "ca.pem").read_text()
        assert pem.count("BEGIN") == 1
        assert pem != (old / "ca.pem").read_text()
        for door in doors:
            assert await answers(lab, new, door), door
            assert not await answers(lab, old, door, authority=new), f"{door} takes a certificate of before"
        for node in lab.nodes.values():
            of_etcd = ["/etc/etcd/ssl"] if "-master-" in node.machine.name else []
            await trusts_alone(node, ["/etc/kubernetes/ssl", *of_etcd], pem)
        await master(lab).sh(f"{ETCDCTL} --endpoints {etcd[1]} endpoint health --cluster")
        assert await workers(lab)[0].sh(RUNNING) == before, "the worker's containers were restarted"
        await no_secret_lies_open(lab.nodes.values())
