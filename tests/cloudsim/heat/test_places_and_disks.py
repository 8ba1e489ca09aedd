"""What Heat says of zones, server groups, boot disks and Octavia's quotas; the words are those of Heat 27."""

from __future__ import annotations

from typing import Any

import pytest

from cloudsim.world import stable_id
from tests.cloudsim.heat.support import Heat, small

IMAGE = "coreos-stable"


def server(**properties: Any) -> dict[str, Any]:
    given = {"name": "node", "flavor": "m1.small", "image": IMAGE, **properties}
    return {"node": {"type": "OS::Nova::Server", "properties": {k: v for k, v in given.items() if v != "left out"}}}


async def made(heat: Heat, resources: dict[str, Any]) -> dict[str, Any]:
    stack_id = await heat.make(**small(resources))
    await heat.world.clock.advance(30)
    return await heat.show(stack_id)


async def test_a_group_by_hint(heat: Heat) -> None:
    group = heat.world.store.create("server_group", heat.project_id, {"name": "g", "policy": "affinity"})
    stack = await made(heat, server(scheduler_hints={"group": group.id}))
    assert stack["stack_status"] == "CREATE_COMPLETE"
    assert [one.attrs["server_group"] for one in heat.world.store.list("server")] == [group.id]


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"availability_zone": "mars"}, "The requested availability zone is not available"),
        ({"scheduler_hints": {"group": stable_id("a", "b")}}, "could not be found."),
    ],
)
async def test_a_place_that_is_not_there(heat: Heat, properties: dict[str, Any], words: str) -> None:
    stack = await made(heat, server(**properties))
    assert stack["stack_status"] == "CREATE_FAILED"
    assert words in stack["stack_status_reason"]


@pytest.mark.parametrize("zone", ["nova", "", None])
async def test_a_zone_or_none(heat: Heat, zone: str | None) -> None:
    assert (await made(heat, server(availability_zone=zone)))["stack_status"] == "CREATE_COMPLETE"


@pytest.mark.parametrize("disks", [None, []])
async def test_no_block_devices_by_null_and_by_an_empty_list(heat: Heat, disks: object) -> None:
    stack = await made(heat, server(block_device_mapping_v2=disks))
    assert stack["stack_status"] == "CREATE_COMPLETE"


@pytest.mark.parametrize(("dies", "left"), [(True, 0), (False, 1)])
async def test_boot_from_a_volume_of_an_image(heat: Heat, dies: bool, left: int) -> None:
    disk = {"image": IMAGE, "volume_size": 10, "boot_index": 0, "delete_on_termination": dies}
    disk |= {"volume_type": "lvmdriver-1"}
    stack = await made(heat, server(image="left out", block_device_mapping_v2=[disk]))
    assert stack["stack_status"] == "CREATE_COMPLETE", stack["stack_status_reason"]
    (booted,), (volume,) = heat.world.store.list("server"), heat.world.store.list("volume")
    assert booted.attrs["image_id"] is None
    assert (volume.attrs["size"], volume.attrs["status"], volume.attrs["bootable"]) == (10, "in-use", "true")
    await heat.delete(stack["id"])
    assert heat.world.store.count("volume") == left


async def test_boot_from_cinders_own_volume(heat: Heat) -> None:
    root = {"type": "OS::Cinder::Volume", "properties": {"size": 12, "image": IMAGE, "name": "root"}}
    disk = {"volume_id": {"get_resource": "root"}, "delete_on_termination": False}
    stack = await made(heat, {"root": root, **server(image="left out", block_device_mapping_v2=[disk])})
    assert stack["stack_status"] == "CREATE_COMPLETE", stack["stack_status_reason"]
    (volume,) = heat.world.store.list("volume")
    assert volume.attrs["volume_image_metadata"]["image_id"] == stable_id("image", IMAGE)
    await heat.delete(stack["id"])
    assert heat.world.store.count("volume") == 0


BOOT = {"image": IMAGE, "volume_size": 10}


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"image": "left out"}, "Neither image nor bootable volume is specified for instance node"),
        ({"image": None}, "No images matching {'name': ''}"),
        ({"block_device_mapping_v2": [BOOT]}, "Multiple bootable sources for instance node."),
        ({"block_device_mapping_v2": [{"volume_size": 1}]}, "must be specified"),
        ({"block_device_mapping_v2": [{**BOOT, "volume_id": "v"}]}, "at the same time"),
        ({"block_device_mapping_v2": [{**BOOT, "size": 4}]}, "Unknown Property size"),
        ({"image": "left out", "block_device_mapping_v2": [{**BOOT, "volume_type": None}]}, "VolumeType () could not"),
    ],
)
async def test_what_heat_refuses_before_it_begins(heat: Heat, properties: dict[str, Any], words: str) -> None:
    answer = await heat.create(**small(server(**properties)))
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert "stack" not in heat.listing()


async def test_quotas_of_groups_and_of_load_balancers(heat: Heat) -> None:
    quotas = heat.world.quotas
    quotas.set("compute", heat.project_id, {"server_groups": 0})
    quotas.set("load-balancer", heat.project_id, {"load_balancer": 0})
    network = heat.world.store.create("network", heat.project_id, {"name": "n"})
    cidr = {"name": "s", "network_id": network.id, "cidr": "10.0.0.0/24"}
    heat.world.store.create("subnet", heat.project_id, cidr)
    for number, (kind, properties, words) in enumerate(
        [
            ("OS::Nova::ServerGroup", {"policies": ["affinity"]}, "Quota exceeded, too many server groups."),
            ("OS::Octavia::LoadBalancer", {"vip_subnet": "s"}, "Quota has been met for resources: Load Balancer"),
        ]
    ):
        template = small({"thing": {"type": kind, "properties": properties}})
        stack_id = await heat.make(f"s{number}", **template)
        await heat.world.clock.advance(5)
        stack = await heat.show(stack_id)
        assert stack["stack_status"] == "CREATE_FAILED"
        assert words in stack["stack_status_reason"]
