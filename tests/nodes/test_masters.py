"""A bay's masters become three and one again, with a real etcd, while a client writes into it without a pause."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from tests.nodes.bays import kubernetes, master, raised, workers
from tests.nodes.growing import as_the_cloud_says, resize_masters, tell, writer
from tests.nodes.rotations import Identity, hurry
from tests.support.lab.cloud import Wanted, outcome
from tests.support.lab.lab import Lab
from tests.support.lab.node import Node

pytestmark = pytest.mark.timeout(400)

_MEMBERS = (
    "ETCDCTL_API=3 etcdctl --endpoints http://127.0.0.1:2379 member list -w json | jq -r '.members[] | "
    '"\\(.name) \\(.isLearner // false) \\(.clientURLs[0])"\' | sort'
)
_RUNNING = "systemctl show docker kubelet -p MainPID -p ActiveEnterTimestampMonotonic"


def _masters(lab: Lab) -> list[Node]:
    return [node for name, node in sorted(lab.nodes.items()) if "-master-" in name]


async def _members(lab: Lab) -> list[str]:
    return (await master(lab).sh(_MEMBERS)).splitlines()


async def test_masters_become_three_and_one_again_under_a_writer(stack: LocalStack, lab: Lab, tmp_path: Path) -> None:
    async with stack.client("demo") as client:
        model = kubernetes(docker_volume_size=None, master_lb_enabled=False)
        wanted = Wanted("fedora-atomic", model, {"name": "growing", "node_count": 1, "master_count": 1})
        bay = await raised(stack, lab, client, wanted, seconds=150)
        await hurry(lab.nodes.values())
        await Identity(client, bay, tmp_path).renew()
        first, worker = master(lab).machine.server_id, await workers(lab)[0].sh(_RUNNING)
        assert len(await _members(lab)) == 1
        async with writer(lab, tmp_path, _masters(lab)) as counted, as_the_cloud_says(stack, lab, bay, wanted):
            await resize_masters(client, bay, 3)
            status, why = await outcome(client, bay, 150)
            assert status == "UPDATE_COMPLETE", f"{why}\n{await lab.story()}"
            three = _masters(lab)
            addresses = [f"https://{one.machine.address}:2379" for one in three]
            prefix = three[0].machine.name.removesuffix("-0")
            assert await _members(lab) == [f"{prefix}-{i} false {one}" for i, one in enumerate(addresses)]
            tell(tmp_path, three[::-1])  # the young ones are asked first, as long as they are there

            await resize_masters(client, bay, 1)
            status, why = await outcome(client, bay, 150)
            assert status == "UPDATE_COMPLETE", f"{why}\n{await lab.story()}"
        assert await _members(lab) == [f"{prefix}-0 false {addresses[0]}"]
        print(json.dumps({**counted, "failed_writes": counted["failed_writes"][:3]}))
        assert counted["acknowledged"] > 100
        assert counted["lost"] == []
        assert counted["failed_reads"] == []
        assert master(lab).machine.server_id == first
        assert await workers(lab)[0].sh(_RUNNING) == worker, "the worker's programs were restarted"
        await master(lab).sh("until ! grep -q -e apiserver-count /etc/kubernetes/apiserver; do sleep 0.5; done")
