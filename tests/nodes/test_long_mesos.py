"""Mesos on Ubuntu: three masters with a real ZooKeeper each. Part of `make test-nodes` only."""

from __future__ import annotations

import json

import pytest

from services.cli.stack import LocalStack
from tests.nodes.bays import master, mesos, no_secret_lies_open, raised, workers
from tests.support.lab.cloud import Wanted
from tests.support.lab.lab import Lab

pytestmark = pytest.mark.timeout(400)

MODE = "printf srvr | timeout 5 socat - tcp:127.0.0.1:2181 | sed -n 's/^Mode: //p'"


async def test_three_masters_form_one_zookeeper_and_choose_leaders(stack: LocalStack, lab: Lab) -> None:
    async with stack.client("demo") as client:
        wanted = Wanted("ubuntu-mesos", mesos(), {"name": "mesos", "node_count": 1, "master_count": 3})
        await raised(stack, lab, client, wanted, seconds=200)
        modes = sorted([(await master(lab, index).sh(MODE)).strip() for index in range(3)])
        assert modes == ["follower", "follower", "leader"]
        agent = workers(lab)[0]
        states = [
            json.loads(await agent.sh(f"curl -sS -f http://{master(lab, index).machine.address}:5050/state"))
            for index in range(3)
        ]
        assert len({one["leader"] for one in states}) == 1
        leading = next(one for one in states if one["slaves"])
        assert leading["slaves"] == [agent.machine.address]
        leaders = {
            json.loads(await agent.sh(f"curl -sS -f http://{master(lab, index).machine.address}:8080/v2/leader"))[
                "leader"
            ]
            for index in range(3)
        }
        assert len(leaders) == 1
        await no_secret_lies_open(lab.nodes.values())
