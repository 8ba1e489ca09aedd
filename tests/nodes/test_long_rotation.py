"""A swarm's authorities are rotated while its nodes lose their power, and the rotation is undone. Part of `make
test-nodes` only."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain.errors import CloudError
from tests.nodes.bays import master, raised, swarm, workers
from tests.nodes.rotations import Identity, answers, hurry, phase, rotate, rotation, trusts_alone, undo
from tests.support.lab.cloud import Wanted, outcome
from tests.support.lab.lab import Lab
from tests.support.lab.node import Node

pytestmark = pytest.mark.timeout(900)

LISTED = "docker node ls --format '{{json .}}'"


def without_volume(_name: str, user_data: str) -> str:
    """A node of the lab finds no file system by its label when it is started again."""
    changed, count = re.subn(r"JB_DOCKER_VOLUME=\S+", "JB_DOCKER_VOLUME=''", user_data)
    changed, drivers = re.subn(r"JB_DOCKER_STORAGE_DRIVER=\S+", "JB_DOCKER_STORAGE_DRIVER=vfs", changed)
    assert (count, drivers) == (1, 1)
    return changed


async def waits_for(lab: Lab, client: JeroboamClient, bay: str, wanted: str, absent: Node) -> None:
    """The rotation goes as far as it can in that phase without the absent node, and names that one."""
    await phase(lab, client, bay, wanted)
    async with asyncio.timeout(120):
        while True:
            shown = await rotation(client, bay)
            assert shown is not None
            assert shown["phase"] == wanted
            late = {one["name"] for one in shown["nodes"] if not one["reached"]}
            # A node whose only manager is away is not active in the swarm, and says so.
            if absent.machine.name in late and (absent is master(lab) or len(late) == 1):
                return
            await asyncio.sleep(0.3)


async def whole(lab: Lab) -> None:
    """Both nodes are in the swarm. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while True:
            listed = await master(lab).sh(LISTED, check=False)
            if [json.loads(one)["Status"] for one in listed.splitlines()] == ["Ready", "Ready"]:
                return
            await asyncio.sleep(0.5)


async def ended(lab: Lab, client: JeroboamClient, bay: str) -> None:
    status, why = await outcome(client, bay, 240)
    assert status == "UPDATE_COMPLETE", f"{why}\n{await lab.story()}"
    assert await rotation(client, bay) is None
    await whole(lab)
    pem = (await client.authority(bay)).pem
    for node in lab.nodes.values():
        await trusts_alone(node, ["/etc/docker"], pem)


async def test_power_may_fail_in_each_phase_and_a_rotation_may_be_undone(
    stack: LocalStack, lab: Lab, tmp_path: Path
) -> None:
    async with stack.client("demo") as client:
        model = swarm("swarm-mode")
        wanted = Wanted("fedora-atomic", model, {"name": "dark", "node_count": 1}, edit=without_volume)
        bay = await raised(stack, lab, client, wanted, 200)
        manager, node = master(lab), workers(lab)[0]
        await hurry(lab.nodes.values())
        person = Identity(client, bay, tmp_path)
        first = await person.renew()
        door = f"https://{manager.machine.address}:2375/info"
        assert await answers(lab, first, door)

        await node.power_off()
        await rotate(client, bay)
        await waits_for(lab, client, bay, "trust", node)
        await node.start()
        await phase(lab, client, bay, "reissue", 200)
        await manager.power_off()
        await waits_for(lab, client, bay, "reissue", manager)
        second = await person.renew()
        assert (second / "ca.pem").read_text().count("BEGIN") == 2
        await undo(client, bay)
        await manager.start()
        await ended(lab, client, bay)
        assert (await client.authority(bay)).pem == (first / "ca.pem").read_text()
        assert await answers(lab, first, door)
        assert not await answers(lab, second, door), "a certificate of the authority that was undone is taken"

        await rotate(client, bay)
        await phase(lab, client, bay, "drop", 200)
        await node.power_off()
        with pytest.raises(CloudError) as refused:
            await undo(client, bay)
        assert refused.value.status == 409
        await waits_for(lab, client, bay, "drop", node)
        await node.start()
        await ended(lab, client, bay)
        third = await person.renew()
        assert await answers(lab, third, door)
        assert not await answers(lab, first, door, authority=third)
