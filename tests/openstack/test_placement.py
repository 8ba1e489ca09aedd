"""Zones and server groups as the clients see them."""

from __future__ import annotations

import json

import pytest

from shared.domain.errors import CloudError
from shared.openstack.nova import ServerGroup
from tests.openstack.conftest import MakeCloud
from tests.openstack.flows import caller
from tests.openstack.sim import Sim
from tests.openstack.test_headroom import limit
from tests.openstack.wire import Say, Seen, Wire


async def test_groups_are_made_listed_and_deleted(sim: Sim, make_cloud: MakeCloud) -> None:
    _, theirs = await caller(sim, make_cloud(sim.identity))
    nova = theirs.nova
    assert await nova.server_groups() == []
    one, two = await nova.create_server_group("g", "soft-affinity"), await nova.create_server_group("g", "affinity")
    assert (one.name, one.policy, two.policy) == ("g", "soft-affinity", "affinity")
    assert await nova.server_groups() == [one, two]
    _, strangers = await caller(sim, make_cloud(sim.identity), "alt")
    assert await strangers.nova.server_groups() == []
    assert await nova.delete_server_group(one.id)
    assert not await nova.delete_server_group(one.id)
    assert await nova.server_groups() == [two]


async def test_a_quota_of_groups_that_is_used_up_is_told_in_novas_words(sim: Sim, make_cloud: MakeCloud) -> None:
    who, theirs = await caller(sim, make_cloud(sim.identity))
    await limit(sim, who.project_id, "compute", server_groups=0)
    with pytest.raises(CloudError, match="Nova answered 403: Quota exceeded, too many server groups") as caught:
        await theirs.nova.create_server_group("bay-masters", "affinity")
    assert not caught.value.retryable
    assert caught.value.resource == "server group bay-masters"


async def test_long_lists_are_read_to_the_end_whatever_the_page(wire: Wire, make_cloud: MakeCloud) -> None:
    """Nova gives at most as many as its operator allows, here 2, and no link to the next page."""
    there = [{"id": f"id-{number}", "name": "g", "policy": "affinity"} for number in range(5)]

    def say(seen: Seen) -> Say:
        query = dict(pair.split("=") for pair in seen.target.partition("?")[2].split("&"))
        start = int(query["offset"])
        return Say(body={"server_groups": there[start : start + 2]})

    wire.script = say
    found = await make_cloud(wire.url).for_project("p1").nova.server_groups()
    assert found == [ServerGroup(str(one["id"]), "g", "affinity") for one in there]
    assert {seen.headers["openstack-api-version"] for seen in wire.calls} == {"compute 2.64"}


async def test_a_policy_is_one_word(wire: Wire, make_cloud: MakeCloud) -> None:
    wire.script = lambda _: Say(body={"server_group": {"id": "i", "name": "g", "policy": "soft-affinity"}})
    await make_cloud(wire.url).for_project("p1").nova.create_server_group("g", "soft-affinity")
    (seen,) = wire.calls
    assert json.loads(seen.body) == {"server_group": {"name": "g", "policy": "soft-affinity"}}
    assert seen.headers["x-openstack-nova-api-version"] == "2.64"


async def test_zones_that_are_in_service(wire: Wire, sim: Sim, make_cloud: MakeCloud) -> None:
    _, theirs = await caller(sim, make_cloud(sim.identity))
    assert await theirs.nova.zones() == {"nova"}
    shown = [
        {"zoneName": name, "zoneState": {"available": up}, "hosts": None} for name, up in (("a", True), ("b", False))
    ]
    wire.script = lambda _: Say(body={"availabilityZoneInfo": shown})
    assert await make_cloud(wire.url).for_project("p1").nova.zones() == {"a"}
