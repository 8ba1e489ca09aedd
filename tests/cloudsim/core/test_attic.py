"""Packed texts: nothing is lost, and what resembles an earlier one takes little room. What a bay costs in memory."""

from __future__ import annotations

import gc
import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from cloudsim import networking
from cloudsim.attic import Attic, unpack
from cloudsim.fixtures import project_id
from cloudsim.world import ServerSpec, World, stable_id


@given(st.lists(st.binary(max_size=3000), max_size=12))
def test_what_was_packed_comes_back(texts: list[bytes]) -> None:
    attic = Attic()
    packed = [attic.pack(text) for text in texts]
    assert [unpack(one) for one in packed] == texts


def test_alike_texts_take_little_room() -> None:
    attic, noise = Attic(), random.Random(1)
    kinds = [noise.randbytes(12_000) for _ in range(3)]
    packed = [attic.pack(kinds[i % 3] + str(i).encode()) for i in range(30)]
    assert all(len(deflated) < 300 for _, deflated in packed[3:])


def test_a_text_larger_than_the_window_of_deflate_resembles_an_earlier_one() -> None:
    attic, raw = Attic(), random.Random(3).randbytes(100_000)
    attic.pack(raw)
    longer = raw[:40_000] + b"what was put in" * 20 + raw[40_000:]
    packed = attic.pack(longer)
    assert len(packed[1]) < 3000
    assert unpack(packed) == longer


def test_a_text_is_packed_with_the_one_it_was_made_from() -> None:
    attic, noise = Attic(), random.Random(4)
    common, own = noise.randbytes(20_000), noise.randbytes(1000)
    attic.pack(common)
    made_from = attic.pack(common + own)
    packed = attic.pack(common + own + b"name", [made_from])
    assert packed[0] is made_from
    assert len(packed[1]) < 300
    assert unpack(packed) == common + own + b"name"


async def test_the_records_of_a_five_node_bay_fit_in_40_kb(world: World) -> None:
    payload = random.Random(2).randbytes(12_000)
    _bay(world, payload, 0)
    gc.collect()
    tracemalloc.start()
    for number in range(1, 51):
        _bay(world, payload, number)
    await world.clock.advance(world.settings.boot_seconds)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] / 50
    tracemalloc.stop()
    assert size < 40 * 1024


def _bay(world: World, payload: bytes, number: int) -> None:
    """About what a stack of five nodes makes: 40 records."""
    project, public = project_id("demo"), stable_id("network", "public")
    network = networking.create_network(world, project, {"name": f"private-{number}"})
    subnet = networking.create_subnet(world, project, {"network_id": network.id, "cidr": "10.0.0.0/24"})
    router = networking.create_router(world, project, {"external_gateway_info": {"network_id": public}})
    networking.add_router_interface(world, router, subnet.id)
    group = networking.create_security_group(world, project, {"name": f"kube-{number}"})
    for port_number in range(8):
        rule = {"security_group_id": group.id, "protocol": "tcp", "port_range_min": port_number}
        networking.create_security_group_rule(world, project, rule)
    for node in range(5):
        port = networking.create_port(world, project, {"network_id": network.id, "security_groups": [group.id]})
        data = payload + f"{number}-{node}".encode()
        spec = ServerSpec(name=f"bay-{number}-{node}", flavor="2", ports=[port.id], user_data=data)
        server = world.boot_server(project, spec)
        volume = world.store.create("volume", project, {"name": f"docker-{node}", "size": 5, "status": "available"})
        world.attach_volume(project, server.id, volume.id)
        networking.create_floatingip(world, project, {"floating_network_id": public, "port_id": port.id})
