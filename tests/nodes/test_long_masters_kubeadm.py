"""The masters of a bay by kubeadm become three and one again while a client writes. Part of `make test-nodes` only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from services.cli.stack import LocalStack
from tests.nodes.bays import kubeadm, master, raised
from tests.nodes.growing import as_the_cloud_says, resize_masters
from tests.nodes.rotations import hurry
from tests.support.lab import etcd_writer
from tests.support.lab.cloud import Wanted, outcome
from tests.support.lab.lab import Lab
from tests.support.lab.node import Node

pytestmark = pytest.mark.timeout(1200)

PKI: Final = "/etc/kubernetes/pki"
WRITER: Final = "/run/writer"
FILES: Final = {"ca": "ca.crt", "cert": "healthcheck-client.crt", "key": "healthcheck-client.key"}
LINKS: Final = "; ".join(f"ln -s {PKI}/etcd/{file} {WRITER}/identity/{name}.pem" for name, file in FILES.items())
TLS: Final = f"--cacert {PKI}/etcd/ca.crt --cert {PKI}/etcd/healthcheck-client.crt"
MEMBERS: Final = (
    f"ETCDCTL_API=3 etcdctl {TLS} --key {PKI}/etcd/healthcheck-client.key member list -w json "
    """| jq -r '.members[] | "\\(.name) \\(.isLearner // false)"' | sort"""
)
AS_NODE: Final = f"--cacert {PKI}/ca.crt --cert {PKI}/kubelet.crt --key {PKI}/kubelet.key"


@asynccontextmanager
async def writer(node: Node) -> AsyncIterator[dict[str, Any]]:
    """A client of etcd on the first master, at which it writes; what it counted is in the dictionary at the end."""
    await node.sh(f"mkdir -p {WRITER}/identity; {LINKS}; echo https://127.0.0.1:2379 >{WRITER}/endpoints")
    await node.run("sh", "-c", f"cat >{WRITER}/writer.py", stdin=Path(etcd_writer.__file__).read_text())
    counted: dict[str, Any] = {}
    running = asyncio.create_task(node.run("python3", "-I", f"{WRITER}/writer.py", WRITER, limit=1000))
    try:
        yield counted
    finally:
        await node.sh(f"touch {WRITER}/stop")
        await running
    counted |= json.loads(await node.sh(f"cat {WRITER}/counted.json"))


async def names(node: Node) -> list[str]:
    """The nodes that Kubernetes knows."""
    url = f"https://{node.machine.address}:6443/api/v1/nodes"
    listed = json.loads(await node.sh(f"curl -sS -f {AS_NODE} {url}"))
    return sorted(one["metadata"]["name"] for one in listed["items"])


async def test_kubeadms_masters_become_three_and_one_again_under_a_writer(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        wanted = Wanted("ubuntu", kubeadm(), {"name": "growing", "node_count": 1, "master_count": 1})
        bay = await raised(stack, lab, client, wanted, seconds=300)
        await hurry(lab.nodes.values())
        first = master(lab)
        (before, worker) = await names(first)
        prefix = before.removesuffix("-0")
        async with writer(first) as counted, as_the_cloud_says(stack, lab, bay, wanted):
            for count in (3, 1):
                await resize_masters(client, bay, count)
                status, why = await outcome(client, bay, 400)
                assert status == "UPDATE_COMPLETE", f"{why}\n{await lab.story()}"
                masters = [f"{prefix}-{index}" for index in range(count)]
                assert (await first.sh(MEMBERS)).splitlines() == [f"{one} false" for one in masters]
                assert await names(first) == sorted([*masters, worker])
        print(json.dumps(counted))
        assert counted["acknowledged"] > 100
        assert counted["lost"] == []
        assert counted["failed_reads"] == []
