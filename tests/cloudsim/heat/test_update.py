"""Updates: what stays, what changes, what is replaced, and what a preview says about it."""

from __future__ import annotations

from typing import Any

from cloudsim.heat.behaviour import Rule
from tests.cloudsim.heat.support import CLUSTER, FILES, Heat, bay, names, small


def _nodes(heat: Heat) -> dict[str, str]:
    return {name: server for name, server in heat.servers().items() if "-node-" in name}


async def test_a_group_grows_and_shrinks_and_the_others_keep_their_ids(heat: Heat) -> None:
    stack_id = await heat.bay(number_of_minions=3)
    servers = heat.servers()
    leaving = servers["bay-node-1"]
    stack = await heat.patch(stack_id, number_of_minions=2, nodes_to_remove=leaving)
    assert stack["stack_status"] == "UPDATE_COMPLETE"
    assert heat.servers() == {name: server for name, server in servers.items() if server != leaving}
    assert (await heat.outputs(stack_id))["kube_minions_map"] == {
        "0": servers["bay-node-0"],
        "2": servers["bay-node-2"],
    }
    assert (await heat.outputs(stack_id))["removed"] == ["1"]


async def test_an_index_that_was_removed_is_never_given_again(heat: Heat) -> None:
    stack_id = await heat.bay(number_of_minions=3)
    servers = heat.servers()
    await heat.patch(stack_id, number_of_minions=2, nodes_to_remove=servers["bay-node-1"])
    await heat.patch(stack_id, number_of_minions=4)
    assert sorted(_nodes(heat)) == ["bay-node-0", "bay-node-2", "bay-node-3", "bay-node-4"]
    await heat.patch(stack_id, number_of_minions=2, nodes_to_remove=f"{servers['bay-node-0']},3")
    assert sorted(_nodes(heat)) == ["bay-node-2", "bay-node-4"]
    await heat.patch(stack_id, number_of_minions=4, nodes_to_remove="")
    assert sorted(_nodes(heat)) == ["bay-node-2", "bay-node-4", "bay-node-5", "bay-node-6"]
    assert heat.servers()["bay-node-2"] == servers["bay-node-2"]
    assert (await heat.outputs(stack_id))["removed"] == ["0", "1", "3"]


async def test_a_member_removed_without_a_smaller_count_is_made_anew_under_another_index(heat: Heat) -> None:
    stack_id = await heat.bay(number_of_minions=2)
    servers = heat.servers()
    await heat.patch(stack_id, nodes_to_remove=servers["bay-node-0"])
    assert sorted(_nodes(heat)) == ["bay-node-1", "bay-node-2"]
    assert heat.servers()["bay-node-1"] == servers["bay-node-1"]


async def test_numbers_that_python_hashes_alike_are_a_change(heat: Heat) -> None:
    def template(value: int) -> dict[str, Any]:
        held = {"type": "OS::Heat::Value", "properties": {"value": value}}
        return small({"held": held}, outputs={"held": {"value": {"get_attr": ["held", "value"]}}})

    stack_id = await heat.make("numbers", **template(-1))
    await heat.world.clock.advance(5)
    assert (await heat.update(stack_id, **template(-2))).status_code == 202
    await heat.world.clock.advance(5)
    assert await heat.outputs(stack_id) == {"held": -2}


async def test_changed_user_data_keeps_servers_when_told_to_ignore_it(heat: Heat) -> None:
    stack_id = await heat.bay()
    servers = heat.servers()
    stack = await heat.patch(stack_id, payload="two", number_of_minions=3)
    assert stack["stack_status"] == "UPDATE_COMPLETE"
    now = heat.servers()
    assert {name: now[name] for name in servers} == servers
    assert sorted(set(now) - set(servers)) == ["bay-node-2"]


async def test_changed_user_data_replaces_servers_by_default(heat: Heat) -> None:
    stack_id = await heat.bay(user_data_policy="REPLACE")
    servers = heat.servers()
    stack = await heat.patch(stack_id, payload="two")
    assert stack["stack_status"] == "UPDATE_COMPLETE"
    assert sorted(heat.servers()) == sorted(servers)
    assert not set(heat.servers().values()) & set(servers.values())


async def test_an_update_of_only_the_mark_changes_nothing(heat: Heat) -> None:
    stack_id = await heat.bay()
    before = {(one["resource_name"], one["physical_resource_id"]) for one in await heat.resources(stack_id)}
    await heat.patch(stack_id, jeroboam_operation="op-2")
    assert {(one["resource_name"], one["physical_resource_id"]) for one in await heat.resources(stack_id)} == before
    assert (await heat.show(stack_id))["parameters"]["jeroboam_operation"] == "op-2"


async def test_flavor_is_changed_in_place_and_key_replaces(heat: Heat) -> None:
    stack_id = await heat.bay()
    servers = heat.servers()
    await heat.patch(stack_id, minion_flavor="m1.medium")
    assert heat.servers() == servers
    server = heat.world.store.get("server", servers["bay-node-0"])
    assert server is not None
    assert server.attrs["flavor_id"] == "3"


async def _preview(heat: Heat, stack_id: str, **parameters: Any) -> dict[str, list[dict[str, Any]]]:
    answer = await heat.update(stack_id, method="PATCH", preview=True, parameters=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, list[dict[str, Any]]] = answer.json()["resource_changes"]
    return found


async def test_a_preview_names_the_servers_that_would_be_replaced(heat: Heat) -> None:
    stack_id = await heat.bay(user_data_policy="REPLACE")
    servers, listing = heat.servers(), heat.listing()
    changes = await _preview(heat, stack_id, payload="two")
    assert names(changes["replaced"], "OS::Nova::Server") == [
        "bay-kube_masters-0/server",
        "bay-kube_minions-0/server",
        "bay-kube_minions-1/server",
    ]
    assert {one["parent_resource"] for one in changes["replaced"] if one["resource_name"] == "server"} == {"0", "1"}
    assert {one["physical_resource_id"] for one in changes["replaced"]} == {""}
    assert "kube_minions" in {one["resource_name"] for one in changes["updated"]}
    assert (heat.servers(), heat.listing()) == (servers, listing)
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_COMPLETE"


async def test_a_preview_with_ignored_user_data_replaces_no_server(heat: Heat) -> None:
    stack_id = await heat.bay()
    changes = await _preview(heat, stack_id, payload="two")
    assert names(changes["replaced"] + changes["deleted"] + changes["added"], "OS::Nova::Server") == []
    assert len(names(changes["unchanged"], "OS::Nova::Server")) == 3


async def test_a_preview_understands_indices_but_not_server_ids_as_the_real_one(heat: Heat) -> None:
    stack_id = await heat.bay(number_of_minions=3)
    group = next(one for one in await heat.resources(stack_id, depth=0) if one["resource_name"] == "kube_minions")
    by_index = await _preview(heat, stack_id, number_of_minions=2, nodes_to_remove="1")
    by_server = await _preview(heat, stack_id, number_of_minions=2, nodes_to_remove=heat.servers()["bay-node-1"])

    def members(changes: dict[str, list[dict[str, Any]]]) -> list[str]:
        inside = [
            one for one in changes["deleted"] if one["stack_identity"]["stack_id"] == group["physical_resource_id"]
        ]
        return [one["resource_name"] for one in inside]

    assert members(by_index) == ["1"]
    assert members(by_server) == ["2"]
    ids = {one["physical_resource_id"] for one in by_index["deleted"] if one["resource_type"] == "OS::Nova::Server"}
    assert ids == {heat.servers()["bay-node-1"]}


async def test_a_nested_preview_of_a_growing_group_of_templates_is_400_as_the_real_one(heat: Heat) -> None:
    stack_id = await heat.bay()
    answer = await heat.update(stack_id, method="PATCH", preview=True, parameters={"number_of_minions": 3})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "HTTPBadRequest")


async def test_a_failed_update_says_so_and_the_next_one_heals(heat: Heat) -> None:
    stack_id = await heat.bay()
    servers = heat.servers()
    heat.engine.behaviours.rules.append(
        Rule(effect="fail", type="OS::Nova::Server", path="kube_minions/2/server", times=1)
    )
    stack = await heat.patch(stack_id, number_of_minions=3)
    assert stack["stack_status"] == "UPDATE_FAILED"
    assert "resources.kube_minions.resources[2].resources.server: Went to status ERROR" in stack["stack_status_reason"]
    stack = await heat.patch(stack_id, number_of_minions=3)
    assert stack["stack_status"] == "UPDATE_COMPLETE"
    assert {name: server for name, server in heat.servers().items() if name in servers} == servers
    assert len(heat.servers()) == 4


async def test_a_failed_update_is_rolled_back_when_asked(heat: Heat) -> None:
    stack_id = await heat.bay()
    servers, listing = heat.servers(), heat.listing()
    heat.engine.behaviours.rules.append(Rule(effect="fail", type="OS::Nova::Server", path="kube_minions/3/server"))
    answer = await heat.update(stack_id, method="PATCH", parameters={"number_of_minions": 4}, disable_rollback=False)
    assert answer.status_code == 202
    await heat.world.clock.advance(30)
    stack = await heat.show(stack_id)
    assert stack["stack_status"] == "ROLLBACK_COMPLETE"
    assert (heat.servers(), heat.listing()) == (servers, listing)
    assert stack["parameters"]["number_of_minions"] == "2"


async def test_a_rollback_takes_back_what_was_replaced_and_not_yet_deleted(heat: Heat) -> None:
    stack_id = await heat.bay(user_data_policy="REPLACE")
    servers = heat.servers()
    heat.engine.behaviours.rules.append(Rule(effect="fail", action="CREATE", path="kube_minions/0/wait_condition"))
    heat.engine.behaviours.rules.append(
        Rule(effect="fail", action="CREATE", type="OS::Nova::Server", path="kube_minions/0/*")
    )
    answer = await heat.update(stack_id, method="PATCH", parameters={"payload": "two"}, disable_rollback=False)
    assert answer.status_code == 202
    await heat.world.clock.advance(3)
    heat.engine.behaviours.clear()
    await heat.world.clock.advance(60)
    stack = await heat.show(stack_id)
    assert stack["stack_status"] in {"ROLLBACK_COMPLETE", "UPDATE_COMPLETE"}
    assert len(heat.servers()) == len(servers)


async def test_an_update_can_be_cancelled(heat: Heat) -> None:
    stack_id = await heat.bay()
    servers = heat.servers()
    await heat.patch(stack_id, number_of_minions=4, wait=2)
    answer = await heat.client.post(heat.url(f"/stacks/bay/{stack_id}/actions"), json={"cancel_update": None})
    assert answer.status_code == 202
    await heat.world.clock.advance(30)
    assert (await heat.show(stack_id))["stack_status"] == "ROLLBACK_COMPLETE"
    assert heat.servers() == servers


async def test_a_busy_stack_takes_an_update(heat: Heat) -> None:
    """Heat stops what it was at; nodes that it was waiting for count as cancelled, and the next update finds them."""
    stack_id = await heat.make("bay", **bay())
    await heat.world.clock.advance(0.5)
    answer = await heat.update(stack_id, method="PATCH", parameters={"number_of_minions": 3})
    assert answer.status_code == 202
    await heat.world.clock.advance(30)
    stack = await heat.show(stack_id)
    if stack["stack_status"] == "UPDATE_FAILED":
        assert "UPDATE cancelled" in stack["stack_status_reason"]
        assert (await heat.update(stack_id, method="PATCH", parameters={})).status_code == 202
        await heat.world.clock.advance(30)
    assert (await heat.show(stack_id))["stack_status"] == "UPDATE_COMPLETE"
    assert len(heat.servers()) == 4


async def test_put_replaces_everything_and_patch_keeps_what_it_does_not_name(heat: Heat) -> None:
    stack_id = await heat.bay(number_of_minions=3, tags="one,two")
    await heat.patch(stack_id, dns_nameserver="1.1.1.1")
    assert (await heat.show(stack_id))["parameters"]["number_of_minions"] == "3"
    answer = await heat.update(
        stack_id,
        template=CLUSTER,
        files=FILES,
        parameters={"ssh_key_name": "testkey", "server_image": "fedora-21-atomic-5"},
        tags="three",
    )
    assert answer.status_code == 202
    await heat.world.clock.advance(30)
    stack = await heat.show(stack_id)
    assert (stack["stack_status"], stack["parameters"]["number_of_minions"], stack["tags"]) == (
        "UPDATE_COMPLETE",
        "2",
        ["three"],
    )
    answer = await heat.update(stack_id, method="PATCH", clear_parameters=["ssh_key_name"])
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "UserParameterMissing")


async def test_a_removed_resource_is_deleted_after_those_that_used_it(heat: Heat) -> None:
    net = {"type": "OS::Neutron::Net"}
    subnet = {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": "10.1.0.0/24"}}
    port = {"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}}}
    before = heat.listing()
    stack_id = await heat.make("one", **small({"net": net, "subnet": subnet, "port": port}))
    await heat.world.clock.advance(5)
    answer = await heat.update(stack_id, **small({"other": {"type": "OS::Heat::RandomString"}}))
    assert answer.status_code == 202
    await heat.world.clock.advance(5)
    assert (await heat.show(stack_id))["stack_status"] == "UPDATE_COMPLETE"
    assert heat.listing() == {**before, "stack": 1}
