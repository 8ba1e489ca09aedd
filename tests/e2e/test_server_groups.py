"""Server groups of bays: who has which, one of each whatever Nova answered, and none when the bay is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain import names
from shared.openstack.nova import NovaClient
from tests.support.jobs import BAYMODEL, control, reason, rows, settled

POLICY = "soft-affinity"
LABELS = {"server_group_policies": POLICY}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[LocalStack]:
    """The embedded default, quick; the sweep runs every 6 s."""
    extra = {"JEROBOAM_SWEEP_MINUTES": "2"}
    async with LocalStack(tmp_path, speed=20, time_scale=0.05, extra_environment=extra) as running:
        yield running


@pytest.fixture
async def demo(stack: LocalStack) -> AsyncIterator[JeroboamClient]:
    async with stack.client("demo") as client:
        yield client


async def groups(stack: LocalStack) -> list[dict[str, Any]]:
    """What Nova has, by name."""
    found = (await control(stack, "/state?kind=server_group"))["records"].get("server_group", [])
    return sorted(found, key=lambda one: str(one["name"]))


async def members(stack: LocalStack, group_id: str) -> set[str]:
    servers = (await control(stack, "/state?kind=server"))["records"]["server"]
    return {str(one["name"]) for one in servers if one.get("server_group") == group_id}


async def make(client: JeroboamClient, **more: object) -> str:
    model = await client.create_baymodel(BAYMODEL | {"name": "k8s", "docker_volume_size": None, **more})
    return await client.create_bay({"name": "grouped", "baymodel_id": model.uuid, "node_count": 2})


async def complete(client: JeroboamClient, bay: str) -> None:
    assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)


async def stack_name(stack: LocalStack, bay: str) -> str:
    return str((await rows(stack, "SELECT stack_name FROM bays WHERE id = $1::uuid", bay))[0]["stack_name"])


async def until_left(stack: LocalStack, expected: set[str]) -> None:
    """Until Nova has these groups and no others, by id."""
    async with asyncio.timeout(60):
        while {one["id"] for one in await groups(stack)} != expected:
            await asyncio.sleep(0.2)


async def test_who_has_which_group(stack: LocalStack, demo: JeroboamClient) -> None:
    plain = await make(demo)
    await complete(demo, plain)
    assert await groups(stack) == []
    calls = (await control(stack, "/requests?service=compute&method=POST"))["requests"]
    assert not [one for one in calls if "server-groups" in one["path"]]
    await demo.delete_bay(plain)
    assert await settled(demo, plain) == ""

    grouped = await make(demo, labels=LABELS)
    await complete(demo, grouped)
    (nodes,) = await groups(stack)
    name = await stack_name(stack, grouped)
    assert (nodes["name"], nodes["policy"]) == (f"{name}-nodes", POLICY)
    assert len(await members(stack, nodes["id"])) == 2
    await demo.resize_bay(grouped, 3)
    assert await settled(demo, grouped) == "UPDATE_COMPLETE", await reason(demo, grouped)
    assert len(await members(stack, nodes["id"])) == 3

    mesos = {"coe": "mesos", "image_id": "ubuntu-mesos", "network_driver": "docker", "docker_volume_size": None}
    model = await demo.create_baymodel(BAYMODEL | mesos)
    three = await demo.create_bay({"name": "three", "baymodel_id": model.uuid, "node_count": 1, "master_count": 3})
    await complete(demo, three)
    masters = next(one for one in await groups(stack) if one["id"] != nodes["id"])
    name = await stack_name(stack, three)
    assert (masters["name"], masters["policy"]) == (f"{name}-masters", "soft-anti-affinity")
    assert len(await members(stack, masters["id"])) == 3
    for bay in (grouped, three):
        await demo.delete_bay(bay)
        assert await settled(demo, bay) == ""
    assert await groups(stack) == []


async def test_made_without_our_hearing_of_it_or_twice_and_one_stays(stack: LocalStack, demo: JeroboamClient) -> None:
    lost = {"kind": "answer_lost", "service": "compute", "method": "POST", "path": "/os-server-groups$"}
    await control(stack, "/faults", "POST", lost)
    bay = await make(demo, labels=LABELS)
    await complete(demo, bay)
    (one,) = await groups(stack)
    assert (await control(stack, "/faults"))["faults"][0]["struck"] == 1
    assert len(await members(stack, one["id"])) == 2

    # Nova cannot be asked until there are three of the name.
    away = {"kind": "status", "status": 503, "service": "compute", "method": "GET", "path": "/os-server-groups$"}
    await control(stack, "/faults", "POST", away | {"count": 0})
    other = await make(demo, labels=LABELS)
    nova, name = NovaClient(demo.session), f"{await stack_name(stack, other)}-nodes"
    doubles = sorted([(await nova.create_server_group(name, POLICY)).id for _ in range(3)])
    await control(stack, "/faults", "DELETE")
    await complete(demo, other)
    assert {one["id"] for one in await groups(stack)} == {one["id"], doubles[0]}
    assert len(await members(stack, doubles[0])) == 2


async def test_what_arrives_late_is_swept(stack: LocalStack, demo: JeroboamClient) -> None:
    bay = await make(demo, labels=LABELS)
    await complete(demo, bay)
    nova, name = NovaClient(demo.session), f"{await stack_name(stack, bay)}-nodes"
    (used,) = {one["id"] for one in await groups(stack)}
    unknown = (await nova.create_server_group(f"{names.stack_name('x', uuid4(), 1)}-nodes", POLICY)).id
    await nova.create_server_group(name, POLICY)
    await until_left(stack, {used, unknown})
    await demo.delete_bay(bay)
    assert await settled(demo, bay) == ""
    await nova.create_server_group(name, POLICY)
    await until_left(stack, {unknown})


async def test_no_room_for_groups(stack: LocalStack, demo: JeroboamClient) -> None:
    async with stack.client("admin") as admin:
        project = (await demo.session.tokens.token()).project_id
        path = f"/os-quota-sets/{project}"
        await admin.session.send("compute", "PUT", path, {"quota_set": {"server_group_members": 2}})
        bay = await make(demo, labels=LABELS)
        await complete(demo, bay)
        with pytest.raises(Exception, match="2 left of 2") as caught:
            await demo.create_bay({"baymodel_id": (await demo.bay(bay)).baymodel_id, "node_count": 3})
        assert "3 servers in one server group needed" in str(caught.value)
        await admin.session.send("compute", "PUT", path, {"quota_set": {"server_groups": 1}})
        with pytest.raises(Exception, match="1 server group needed, 0 left of 1"):
            await demo.create_bay({"baymodel_id": (await demo.bay(bay)).baymodel_id, "node_count": 1})
        await demo.resize_bay(bay, 3)
        assert await settled(demo, bay) == "UPDATE_FAILED"
        assert "3 servers in one server group needed, 2 left of 2. Nothing was changed." in await reason(demo, bay)
