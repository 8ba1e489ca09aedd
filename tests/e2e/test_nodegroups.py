"""Nodegroups beside the default ones: made, resized and removed by HTTP, with stacks of their own in the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.domain.names import bay_tag
from shared.domain.shards import LARGEST
from tests.e2e.nodes import nodes_of
from tests.support.jobs import cloud_counts, control, reason, rows, settled
from tests.support.queues import SPEED, next_fails
from tests.support.wire import Wire, detail, until_ended, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=SPEED, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[Wire]:
    async with wires(stack, "demo") as (wire,):
        yield wire


async def made(demo: Wire, bay: str, status: str = "UPDATE_COMPLETE", seconds: float = 120) -> None:
    assert await settled(demo.client, bay, seconds=seconds) == status, await reason(demo.client, bay)


async def add(demo: Wire, bay: str, name: str, count: int, **fields: object) -> dict[str, Any]:
    answer = await demo("POST", f"/v1/clusters/{bay}/nodegroups", {"name": name, "node_count": count, **fields})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def group(demo: Wire, bay: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = await demo.get(f"/v1/clusters/{bay}/nodegroups/{name}")
    return found


async def resize(demo: Wire, bay: str, name: str, count: int, *leaving: str) -> None:
    body = {"node_count": count, "nodes_to_remove": leaving, "nodegroup": name}
    answer = await demo("POST", f"/v1/clusters/{bay}/actions/resize", body)
    assert answer.status_code == 202, answer.text


async def stacks_of(demo: Wire, bay: str) -> dict[str, str]:
    """The bay's stacks by what their names end in, with their status."""
    query = f"/stacks?tags={bay_tag(UUID(bay))}"
    listed = (await demo.client.session.call("orchestration", "GET", query, wants_json=True)).json().docs("stacks")
    return {one.text("stack_name").partition(UUID(bay).hex[:12])[2]: one.text("stack_status") for one in listed}


async def members(stack: LocalStack, bay: str) -> dict[int, list[str]]:
    """The workers' servers by pool, as the provisioner knows them."""
    query = "SELECT server_id, pool FROM nodes WHERE role = 'worker' AND bay_id = $1 ORDER BY pool, position"
    found: dict[int, list[str]] = {}
    for row in await rows(stack, query, UUID(bay)):
        found.setdefault(row["pool"], []).append(row["server_id"])
    return found


async def servers(stack: LocalStack) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in (await control(stack, "/state?kind=server"))["records"].get("server", [])}


async def gone(demo: Wire, stack: LocalStack, bay: str) -> None:
    """The bay is deleted, and nothing of it is left."""
    await demo("DELETE", f"/v1/clusters/{bay}")
    assert await settled(demo.client, bay, seconds=240) == ""
    assert await stacks_of(demo, bay) == {}
    assert not [one for one in (await servers(stack)).values() if UUID(bay).hex[:12] in one["name"]]


async def test_a_group_lives_beside_the_default_one(demo: Wire, stack: LocalStack) -> None:
    before = await cloud_counts(stack)
    bay = await demo.create(node_count=2)
    await made(demo, bay, "CREATE_COMPLETE")
    default = (await members(stack, bay))[0]

    new = await add(
        demo, bay, "big", 2, flavor_id="m1.medium", docker_volume_size=7, labels={"availability_zone": "nova"}
    )
    assert (new["status"], new["node_count"], new["is_default"]) == ("CREATE_IN_PROGRESS", 2, False)
    assert (new["flavor_id"], new["docker_volume_size"], new["labels"]) == (
        "m1.medium",
        7,
        {"availability_zone": "nova"},
    )
    await made(demo, bay)
    shown = await group(demo, bay, "big")
    assert (shown["status"], shown["status_reason"], len(shown["node_addresses"])) == ("CREATE_COMPLETE", None, 2)
    assert await stacks_of(demo, bay) == {"-1": "CREATE_COMPLETE", "-1-g1": "CREATE_COMPLETE"}
    assert shown["stack_id"] not in (None, (await group(demo, bay, "default-worker"))["stack_id"])
    there, held = await servers(stack), await members(stack, bay)
    assert held[0] == default

    assert {there[one]["flavor_id"] for one in held[1]} != {there[one]["flavor_id"] for one in held[0]}
    assert (await demo.get(f"/v1/clusters/{bay}"))["node_count"] == 2
    assert len((await group(demo, bay, "default-worker"))["node_addresses"]) == 2

    await resize(demo, bay, "big", 3)
    await made(demo, bay)
    assert (await group(demo, bay, "big"))["status"] == "UPDATE_COMPLETE"
    leaves = (await members(stack, bay))[1][0]
    await resize(demo, bay, new["uuid"], 2, leaves)
    await made(demo, bay)
    after = await members(stack, bay)
    assert (after[0], len(after[1]), leaves in after[1]) == (default, 2, False)

    await demo.resize(bay, 1)
    await made(demo, bay)
    assert {pool: len(nodes) for pool, nodes in (await members(stack, bay)).items()} == {0: 1, 1: 2}

    answer = await demo("DELETE", f"/v1/clusters/{bay}/nodegroups/big")
    assert answer.status_code == 204
    assert (await group(demo, bay, "big"))["status"] == "DELETE_IN_PROGRESS"
    assert (await demo("DELETE", f"/v1/clusters/{bay}/nodegroups/big")).status_code == 204, "asking again"
    refused = await demo("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 1, "nodegroup": "big"})
    assert (refused.status_code, detail(refused)) == (400, "Nodegroup big is being deleted.")
    await made(demo, bay)
    assert (await demo("GET", f"/v1/clusters/{bay}/nodegroups/big")).status_code == 404
    assert await stacks_of(demo, bay) == {"-1": "UPDATE_COMPLETE"}
    assert await members(stack, bay) == {0: after[0][:1]}

    await add(demo, bay, "big", 0)
    await made(demo, bay)
    assert (await group(demo, bay, "big"))["status"] == "CREATE_COMPLETE", "of the new one, not of the one before"
    assert set(await stacks_of(demo, bay)) == {"-1"}
    await resize(demo, bay, "big", 1)
    await made(demo, bay)
    assert set(await stacks_of(demo, bay)) == {"-1", "-1-g2"}, "numbers are not used twice"
    await gone(demo, stack, bay)
    assert await cloud_counts(stack) == before


async def test_its_nodes_get_their_certificates(demo: Wire, stack: LocalStack) -> None:
    bay = await demo.create(node_count=1)
    await made(demo, bay, "CREATE_COMPLETE")
    for name in ("one", "two"):
        await add(demo, bay, name, 1)
    await made(demo, bay)
    found = [
        await nodes_of(stack, demo.client, bay, str((await group(demo, bay, name))["stack_id"]))
        for name in ("one", "two")
    ]
    (mine,), (other,) = found
    await mine.insist(mine.csr())
    assert (await mine.renew(mine.csr())).status_code == 201
    other.secret = mine.secret
    assert (await other.ask()).status_code == 403
    await gone(demo, stack, bay)


async def test_growing_changes_nothing_but_the_number(demo: Wire, stack: LocalStack) -> None:
    bay = await demo.create(node_count=1)
    await made(demo, bay, "CREATE_COMPLETE")
    await add(demo, bay, "more", 1)
    await made(demo, bay)
    born = await parameters(demo, bay, "-1-g1")
    await resize(demo, bay, "more", 2)
    await made(demo, bay)
    changed = {name for name, value in (await parameters(demo, bay, "-1-g1")).items() if value != born[name]}
    assert changed == {"jeroboam_operation", "number_of_minions"}

    patch = [{"op": "replace", "path": "/node_labels", "value": {"disk": "nvme"}}]
    answer = await demo("PATCH", f"/v1/clusters/{bay}/nodegroups/more", patch)
    assert (answer.status_code, "Nodes that stand keep" in answer.headers["Warning"]) == (202, True), answer.text
    before = (await members(stack, bay))[1]
    await resize(demo, bay, "more", 4)
    await made(demo, bay)
    after = await members(stack, bay)
    assert (after[1], len(after[2])) == (before, 2), (
        "nodes to come have labels of their own, those that stand keep theirs"
    )
    assert [any("disk=nvme" in text for text in await born_of(stack, bay, pool)) for pool in (1, 2)] == [False, True]
    await resize(demo, bay, "more", 1)
    await made(demo, bay)
    assert sum(map(len, (await members(stack, bay)).values())) == 1 + 1
    await gone(demo, stack, bay)


async def born_of(stack: LocalStack, bay: str, pool: int) -> list[str]:
    """What the nodes of a pool were made of."""
    query = "SELECT template, files::text, parameters::text FROM stack_renders WHERE bay_id = $1 AND pool = $2"
    return [str(part) for row in await rows(stack, query, UUID(bay), pool) for part in row]


async def parameters(demo: Wire, bay: str, ending: str) -> dict[str, str]:
    """A stack's, by what its name ends in."""
    path = await path_of(demo, bay, ending)
    shown = (await demo.client.session.call("orchestration", "GET", path, wants_json=True)).json().doc("stack")
    return shown.strings("parameters")


async def test_a_server_that_somebody_deleted_is_the_business_of_its_own_group(demo: Wire, stack: LocalStack) -> None:
    bay = await demo.create(node_count=1)
    await made(demo, bay, "CREATE_COMPLETE")
    await add(demo, bay, "more", 2)
    await made(demo, bay)
    lost, stays = (await members(stack, bay))[1]
    await demo.client.session.delete("compute", f"/servers/{lost}")
    async with asyncio.timeout(30):
        while lost in await servers(stack):
            await asyncio.sleep(0.05)
    await demo.resize(bay, 2)
    await made(demo, bay)
    assert {pool: len(nodes) for pool, nodes in (await members(stack, bay)).items()} == {0: 2, 1: 2}
    await resize(demo, bay, "more", 3)
    await made(demo, bay)
    held = (await members(stack, bay))[1]
    assert (len(held), lost in held, stays in held) == (3, False, True)
    assert set(held) <= set(await servers(stack))
    await gone(demo, stack, bay)


async def test_five_at_once_all_succeed(demo: Wire, stack: LocalStack) -> None:
    bay = await demo.create(node_count=1)
    await made(demo, bay, "CREATE_COMPLETE")
    names = [f"g{number}" for number in range(5)]
    await asyncio.gather(*(add(demo, bay, name, 1) for name in names))
    ended = await until_ended(demo, bay, seconds=120)
    assert [one["state"] for one in ended] == ["done"] * 6
    for name in names:
        shown = await group(demo, bay, name)
        assert (shown["status"], len(shown["node_addresses"])) == ("CREATE_COMPLETE", 1)
    assert set(await stacks_of(demo, bay)) == {"-1", *(f"-1-g{number}" for number in range(1, 6))}
    await asyncio.gather(*(demo("DELETE", f"/v1/clusters/{bay}/nodegroups/{name}") for name in names[:3]))
    await made(demo, bay)
    listed = (await demo.get(f"/v1/clusters/{bay}/nodegroups"))["nodegroups"]
    assert {one["name"] for one in listed} == {"default-master", "default-worker", "g3", "g4"}
    await gone(demo, stack, bay)


async def test_what_failed_is_told_and_mended_and_harms_no_other_group(demo: Wire, stack: LocalStack) -> None:
    bay = await demo.create(node_count=2)
    await made(demo, bay, "CREATE_COMPLETE")
    await add(demo, bay, "well", 1)
    await made(demo, bay)
    await next_fails(stack, bay, "kube_minions/1/server")
    await add(demo, bay, "ill", 3)
    await made(demo, bay, "UPDATE_FAILED")
    shown = await group(demo, bay, "ill")
    assert shown["status"] == "CREATE_FAILED"
    assert "kube_minions" in shown["status_reason"]
    assert (await group(demo, bay, "well"))["status"] == "CREATE_COMPLETE"
    whole = await members(stack, bay)

    await resize(demo, bay, "ill", 2)
    await made(demo, bay)
    held = await members(stack, bay)
    assert (held[0], held[1], len(held[2])) == (whole[0], whole[1], 2)
    assert (await group(demo, bay, "ill"))["status"] == "UPDATE_COMPLETE"

    await next_fails(stack, bay, "kube_minions/*/server")
    await resize(demo, bay, "ill", 4)
    await made(demo, bay, "UPDATE_FAILED")
    assert (await demo("DELETE", f"/v1/clusters/{bay}/nodegroups/ill")).status_code == 204
    await made(demo, bay)
    assert {pool: len(nodes) for pool, nodes in (await members(stack, bay)).items()} == {0: 2, 1: 1}
    await demo.resize(bay, 3)
    await made(demo, bay)
    assert {pool: len(nodes) for pool, nodes in (await members(stack, bay)).items()} == {0: 3, 1: 1}
    await gone(demo, stack, bay)


async def test_nodes_of_a_stack_that_somebody_could_not_delete_are_kept(demo: Wire, stack: LocalStack) -> None:
    bay = await demo.create(node_count=1, labels={"auto_healing_enabled": "false"})
    await made(demo, bay, "CREATE_COMPLETE")
    await add(demo, bay, "more", 2)
    await made(demo, bay)
    first, _ = (await members(stack, bay))[1]
    rule = {"effect": "fail", "action": "DELETE", "type": "OS::Nova::Server", "path": "kube_minions/0/server"}
    await control(stack, "/heat/behaviours", "POST", {**rule, "times": 1, "stack": f"*{UUID(bay).hex[:12]}*"})
    await demo.client.session.delete("orchestration", await path_of(demo, bay, "-1-g1"))
    async with asyncio.timeout(30):
        while (await stacks_of(demo, bay))["-1-g1"] != "DELETE_FAILED":
            await asyncio.sleep(0.05)
    await resize(demo, bay, "more", 3)
    await made(demo, bay, "UPDATE_FAILED")
    assert "but 1 of its servers run" in await reason(demo.client, bay)
    assert (await members(stack, bay))[1] == [first]
    assert first in await servers(stack)
    await demo.resize(bay, 2)
    await made(demo, bay)
    assert (await members(stack, bay))[1] == [first], "what another group does keeps it too"

    await demo.client.session.delete("compute", f"/servers/{first}")
    async with asyncio.timeout(30):
        while first in await servers(stack):
            await asyncio.sleep(0.05)
    await resize(demo, bay, "more", 3)
    await made(demo, bay)
    assert {pool: len(nodes) for pool, nodes in (await members(stack, bay)).items()} == {0: 2, 1: 3}
    await gone(demo, stack, bay)


async def path_of(demo: Wire, bay: str, ending: str) -> str:
    """A stack's in Heat, by what its name ends in."""
    query = f"/stacks?tags={bay_tag(UUID(bay))}"
    listed = (await demo.client.session.call("orchestration", "GET", query, wants_json=True)).json().docs("stacks")
    (one,) = [one for one in listed if one.text("stack_name").endswith(ending)]
    return f"/stacks/{one.text('stack_name')}/{one.text('id')}"


async def test_a_thousand_nodes_fit(demo: Wire, stack: LocalStack) -> None:
    """Heat's limits are as they ship in this cloud: 1000 resources in a stack and all that is nested in it."""
    wide = await demo.template(name="wide", labels={"fixed_subnet_cidr": "10.0.0.0/16"})
    bay = await demo.create(node_count=1, create_timeout=0, cluster_template_id=wide)
    await made(demo, bay, "CREATE_COMPLETE")
    await add(demo, bay, "many", 1000)
    await made(demo, bay, seconds=500)
    held = await members(stack, bay)
    assert {pool: len(nodes) for pool, nodes in held.items()} == {0: 1, 1: 1000}
    shards = -(-1000 // LARGEST)
    assert set(await stacks_of(demo, bay)) == {"-1", "-1-g1", *(f"-1-g1-s{shard}" for shard in range(1, shards))}
    assert set(held[1]) <= set(await servers(stack))
    named = [held[1][0], held[1][LARGEST], held[1][999]]
    await resize(demo, bay, "many", 997, *named)
    await made(demo, bay, seconds=300)
    assert set(held[1]) - set((await members(stack, bay))[1]) == set(named)
    await gone(demo, stack, bay)
