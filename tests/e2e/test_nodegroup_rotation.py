"""Nodes of a nodegroup take part in the rotation of the credential, and those that come later have the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.e2e.nodes import Node, nodes_of
from tests.e2e.rotating import Scene, letter, opened, scene, take
from tests.support.jobs import settled

MESOS: Final = {
    "coe": "mesos",
    "image_id": "ubuntu-mesos",
    "network_driver": "docker",
    "volume_driver": "rexray",
}
"""Its workers are born with the credential."""


async def nodes_in(it: Scene, bay: str, name: str) -> list[Node]:
    group = await it.demo.get(f"/v1/clusters/{bay}/nodegroups/{name}")
    return await nodes_of(it.stack, it.demo.client, bay, group["stack_id"])


async def add(it: Scene, bay: str, name: str) -> None:
    answer = await it.demo("POST", f"/v1/clusters/{bay}/nodegroups", {"name": name, "node_count": 1})
    assert answer.status_code == 202, answer.text


async def test_before_and_after(tmp_path: Path) -> None:
    async with scene(tmp_path / "stack") as it:
        model = await it.demo.template(**MESOS)
        bay = await it.demo.create(cluster_template_id=model)
        await it.complete(bay, "CREATE_COMPLETE")
        nodes = [one for one in await nodes_of(it.stack, it.demo.client, bay) if one.role == "worker"]
        for node in nodes:
            await node.insist(node.csr())
        await add(it, bay, "more")
        await it.complete(bay, "UPDATE_COMPLETE")
        (mine,) = await nodes_in(it, bay, "more")
        await mine.insist(mine.csr())
        first = await it.user_data(mine.server_id)

        await it.rotate(bay)
        told = opened(tmp_path, mine, (await letter(mine, 2))["sealed"])
        assert told is not None
        assert told["id"] not in first
        await take([*nodes, mine], 2)
        await it.complete(bay, "UPDATE_COMPLETE")

        body = {"node_count": 2, "nodegroup": "more"}
        assert (await it.demo("POST", f"/v1/clusters/{bay}/actions/resize", body)).status_code == 202
        await add(it, bay, "later")
        await it.complete(bay, "UPDATE_COMPLETE")
        (grown,) = [node for node in await nodes_in(it, bay, "more") if node.server_id != mine.server_id]
        (later,) = await nodes_in(it, bay, "later")
        for node in (grown, later):
            born = await it.user_data(node.server_id)
            assert told["id"] in born
            assert told["secret"] in born
        assert await it.user_data(mine.server_id) == first

        await it.demo.client.delete_bay(bay)
        assert await settled(it.demo.client, bay) == ""
        assert await it.people.credentials() == set()
