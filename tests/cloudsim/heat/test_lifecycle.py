"""Stacks are born, fail, go back and die."""

from __future__ import annotations

from cloudsim.heat.behaviour import Rule
from tests.cloudsim.heat.support import Heat, bay, small

RANDOM = {"type": "OS::Heat::RandomString"}


async def test_a_bay_is_created_in_dependency_order(heat: Heat) -> None:
    before = heat.listing()
    stack_id = await heat.make("bay", **bay(), tags="jeroboam,jeroboam-bay-1")
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_IN_PROGRESS"
    await heat.world.clock.advance(5.5)
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_IN_PROGRESS"
    await heat.world.clock.advance(3)
    stack = await heat.show(stack_id)
    assert (stack["stack_status"], stack["stack_status_reason"]) == (
        "CREATE_COMPLETE",
        "Stack CREATE completed successfully",
    )
    outputs = await heat.outputs(stack_id)
    assert outputs["api_address"].startswith("https://127.64.0.")
    assert outputs["kube_minions_private"] == ["10.0.0.3", "10.0.0.4"]
    servers = heat.servers()
    assert outputs["kube_minions_map"] == {"0": servers["bay-node-0"], "1": servers["bay-node-1"]}
    assert outputs["kube_masters_map"] == {"0": servers["bay-master-0"]}
    assert len(set(outputs["node_secrets"].values())) == 2
    assert {len(secret) for secret in outputs["node_secrets"].values()} == {64}
    assert heat.world.clock.pending == 0
    await heat.delete(stack_id)
    assert heat.listing() == before
    assert heat.engine.idle_and_empty()


async def test_user_data_reaches_the_server_rendered(heat: Heat) -> None:
    stack_id = await heat.bay(bootstrap_token="s3cret")
    secret = (await heat.outputs(stack_id))["node_secrets"]["1"]
    server = heat.world.store.get("server", heat.servers()["bay-node-1"])
    assert server is not None
    text = (heat.world.server_user_data(server) or b"").decode()
    assert f'NODE_SECRET="{secret}"' in text
    assert 'BOOTSTRAP_TOKEN="s3cret"' in text
    assert 'KUBE_MASTER_IP="10.0.0.2"' in text
    assert 'filename="20-configure.sh"' in text
    assert "systemctl enable kubelet" in text


async def test_conditions_and_environment_shape_the_stack(heat: Heat) -> None:
    stack_id = await heat.bay(floating_ip_enabled=False, docker_volume_size=5)
    assert (await heat.outputs(stack_id))["api_address"] == "10.0.0.2"
    kinds = heat.listing()
    assert "floatingip" not in kinds
    assert (kinds["volume"], kinds["volume_attachment"]) == (3, 3)
    body = bay()
    body["environment"] = {"resource_registry": {"OS::Neutron::SecurityGroupRule": "OS::Heat::None"}}
    body["parameters"]["fixed_network_cidr"] = "10.9.0.0/24"
    other = await heat.make("other", **body)
    await heat.world.clock.advance(30)
    assert (await heat.show(other))["stack_status"] == "CREATE_COMPLETE"
    assert (await heat.outputs(other))["kube_masters_private"] == ["10.9.0.2"]


async def test_a_failed_server_fails_the_stack_with_its_path(heat: Heat) -> None:
    heat.engine.behaviours.rules.append(Rule(effect="fail", type="OS::Nova::Server", path="kube_minions/1/*"))
    stack_id = await heat.bay()
    stack = await heat.show(stack_id)
    assert stack["stack_status"] == "CREATE_FAILED"
    assert stack["stack_status_reason"].startswith(
        "Resource CREATE failed: ResourceInError: "
        "resources.kube_minions.resources[1].resources.server: Went to status ERROR"
    )
    states = {one["resource_name"]: one["resource_status"] for one in await heat.resources(stack_id, depth=0)}
    assert (states["kube_minions"], states["kube_masters"]) == ("CREATE_FAILED", "CREATE_COMPLETE")
    assert not any("IN_PROGRESS" in one["resource_status"] for one in await heat.resources(stack_id))


async def test_nova_failing_a_boot_fails_the_stack(heat: Heat) -> None:
    heat.world.settings.boot_failures = frozenset({"bay-master-0"})
    stack_id = await heat.bay()
    reason = (await heat.show(stack_id))["stack_status_reason"]
    assert "resources.kube_masters.resources[0].resources.server: Went to status ERROR due to" in reason


async def test_a_node_that_never_signals_times_out(heat: Heat) -> None:
    heat.engine.behaviours.rules.append(Rule(effect="never_signal", path="kube_minions/*"))
    stack_id = await heat.bay(wait_condition_timeout=120, wait=60)
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_IN_PROGRESS"
    await heat.world.clock.advance(120)
    reason = (await heat.show(stack_id))["stack_status_reason"]
    assert "WaitConditionTimeout: resources.kube_minions.resources[" in reason
    assert reason.endswith("resources.wait_condition: 0 of 1 received")


async def test_a_node_that_signals_failure_fails_the_stack(heat: Heat) -> None:
    heat.engine.behaviours.rules.append(Rule(effect="fail_signal", path="kube_masters/*", reason="etcd did not start"))
    stack_id = await heat.bay()
    assert (await heat.show(stack_id))["stack_status_reason"].endswith("wait_condition: etcd did not start")


async def test_a_create_that_fails_is_rolled_back_when_asked(heat: Heat) -> None:
    before = heat.listing()
    heat.engine.behaviours.rules.append(Rule(effect="fail", type="OS::Nova::Server", name="server"))
    stack_id = await heat.make("bay", **bay(), disable_rollback=False)
    await heat.world.clock.advance(30)
    assert (await heat.show(stack_id))["stack_status"] == "ROLLBACK_COMPLETE"
    assert heat.listing() == {**before, "stack": 1}


async def test_a_stack_obeys_its_time_limit(heat: Heat) -> None:
    heat.engine.behaviours.rules.append(Rule(effect="never_signal"))
    stack_id = await heat.make("bay", **bay(), timeout_mins=1)
    await heat.world.clock.advance(70)
    stack = await heat.show(stack_id)
    assert (stack["stack_status"], stack["stack_status_reason"]) == ("CREATE_FAILED", "Create timed out")


async def test_delete_overtakes_a_create(heat: Heat) -> None:
    before = heat.listing()
    for seconds in (0, 0.3, 1.5, 3, 4.4, 6):
        stack_id = await heat.make("bay", **bay())
        await heat.world.clock.advance(seconds)
        await heat.delete(stack_id)
        assert heat.listing() == before, seconds
        assert (await heat.show(stack_id))["stack_status"] == "DELETE_COMPLETE"


async def test_a_failed_delete_is_tried_again(heat: Heat) -> None:
    stack_id = await heat.bay()
    heat.engine.behaviours.rules.append(Rule(effect="fail", type="OS::Neutron::Subnet", action="DELETE", times=1))
    await heat.delete(stack_id)
    assert (await heat.show(stack_id))["stack_status"] == "DELETE_FAILED"
    await heat.delete(stack_id)
    assert (await heat.show(stack_id))["stack_status"] == "DELETE_COMPLETE"
    assert "subnet" not in {one for one in heat.listing() if heat.listing()[one] > 1}


async def test_a_deleted_stack_is_shown_by_id_only_and_frees_its_name(heat: Heat) -> None:
    stack_id = await heat.make("one", **small({"a": RANDOM}))
    await heat.delete(stack_id)
    assert (await heat.show(stack_id))["stack_status"] == "DELETE_COMPLETE"
    assert (await heat.get("/stacks"))["stacks"] == []
    assert (await heat.client.get(heat.url("/stacks/one"))).status_code == 404
    assert await heat.make("one", **small({"a": RANDOM})) != stack_id


async def test_retained_resources_outlive_their_stack(heat: Heat) -> None:
    volume = {"type": "OS::Cinder::Volume", "deletion_policy": "Retain", "properties": {"size": 1}}
    stack_id = await heat.make(
        "one", **small({"kept": volume, "gone": {"type": "OS::Cinder::Volume", "properties": {"size": 1}}})
    )
    await heat.world.clock.advance(5)
    await heat.delete(stack_id)
    assert heat.listing()["volume"] == 1


async def test_check_finds_what_is_gone(heat: Heat) -> None:
    stack_id = await heat.bay()
    heat.world.delete_server(heat.servers()["bay-node-0"])
    answer = await heat.client.post(heat.url(f"/stacks/bay/{stack_id}/actions"), json={"check": None})
    assert answer.status_code == 202
    await heat.world.clock.advance(1)
    assert (await heat.show(stack_id))["stack_status"] == "CHECK_FAILED"
    failed = [
        one["resource_name"] for one in await heat.resources(stack_id) if one["resource_status"] == "CHECK_FAILED"
    ]
    assert failed == ["server"]


async def test_a_lost_stack_leaves_nothing(heat: Heat) -> None:
    before = heat.listing()
    stack_id = await heat.bay()
    assert heat.engine.lose(stack_id)
    assert heat.listing() == before
    assert (await heat.client.get(heat.url(f"/stacks/{stack_id}"))).status_code == 404


async def test_reset_stops_everything(heat: Heat) -> None:
    await heat.make("bay", **bay())
    await heat.world.clock.advance(1)
    heat.world.reset()
    await heat.world.clock.advance(60)
    assert heat.engine.idle_and_empty()
    assert "server" not in heat.listing()
