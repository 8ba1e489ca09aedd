"""Classic swarm on Fedora Atomic: etcd and docker with TLS, the manager and agent in containers. Part of `make
test-nodes` only."""

from __future__ import annotations

import json

import pytest

from services.cli.stack import LocalStack
from tests.nodes.bays import master, no_secret_lies_open, raised, swarm, workers
from tests.support.lab.cloud import Wanted
from tests.support.lab.lab import Lab

pytestmark = pytest.mark.timeout(400)

IDENTITY = "--cacert /etc/docker/ca.crt --cert /etc/docker/server.crt --key /etc/docker/server.key"


async def test_a_manager_finds_its_nodes_through_etcd(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        wanted = Wanted("fedora-atomic with swarm", swarm("swarm"), {"name": "classic", "node_count": 2})
        await raised(stack, lab, client, wanted, seconds=200)
        url = f"https://{master(lab).machine.address}:2376"
        info = json.loads(await workers(lab)[0].sh(f"curl -sS -f {IDENTITY} {url}/info"))
        found = {address for _, address in info["SystemStatus"] if ":" in address}
        assert found == {f"{node.machine.address}:2375" for node in workers(lab)}
        assert ["Nodes", "2"] in info["SystemStatus"]
        code = await workers(lab)[0].sh(f"curl -sS -k -o /dev/null -w '%{{http_code}}' {url}/info", check=False)
        assert code.strip() in {"000", "403"}, "the manager answers those without a certificate"
        address = master(lab).machine.address
        etcd = await workers(lab)[0].sh(
            f"curl -sS -k -o /dev/null -w '%{{http_code}}' https://{address}:2379/v2/keys", check=False
        )
        assert etcd.strip() == "000", "etcd answers those without a certificate"
        await no_secret_lies_open(lab.nodes.values())
