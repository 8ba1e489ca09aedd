"""The HTTP surface: addresses, errors, lists, rights."""

from __future__ import annotations

import pytest

from tests.cloudsim.heat.support import BASE, Heat, bay, heat_of, login, small

RANDOM = {"type": "OS::Heat::RandomString"}
ONE = small({"a": RANDOM})


async def test_a_name_or_an_id_leads_to_the_stacks_address(heat: Heat) -> None:
    stack_id = await heat.make("one", **ONE)
    own = f"{BASE}{heat.url(f'/stacks/one/{stack_id}')}"
    for wanted in ("one", stack_id):
        answer = await heat.client.get(heat.url(f"/stacks/{wanted}"))
        assert (answer.status_code, answer.headers["location"]) == (302, own)
    answer = await heat.client.get(heat.url("/stacks/one/resources?nested_depth=2"))
    assert (answer.status_code, answer.headers["location"]) == (302, f"{own}/resources?nested_depth=2")
    assert (await heat.client.get(heat.url(f"/stacks/other/{stack_id}"))).status_code == 404


async def test_error_bodies_have_heats_shape(heat: Heat) -> None:
    await heat.make("one", **ONE)
    answer = await heat.create("one", **ONE)
    assert answer.status_code == 409
    assert answer.json() == {
        "code": 409,
        "title": "Conflict",
        "explanation": "There was a conflict when trying to complete your request.",
        "error": {"message": "The Stack (one) already exists.", "type": "StackExists", "traceback": None},
    }
    answer = await heat.client.get(heat.url("/stacks/nosuch"))
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "EntityNotFound")
    assert answer.json()["error"]["message"] == "The Stack (nosuch) could not be found."
    answer = await heat.client.post(heat.url("/stacks"), content=b"{not json")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "HTTPBadRequest")
    for name in ("", "1st", "a b"):
        assert (await heat.create(name, **ONE)).status_code == 400


async def test_lists_are_filtered_by_name_status_and_tags(heat: Heat) -> None:
    for name, tags in (("one", "jeroboam,jeroboam-bay-1"), ("two", "jeroboam,jeroboam-bay-2"), ("three", "other")):
        await heat.make(name, **ONE, tags=tags)
    await heat.world.clock.advance(1)

    async def found(**query: object) -> set[str]:
        return {one["stack_name"] for one in (await heat.get("/stacks", **query))["stacks"]}

    assert await found() == {"one", "two", "three"}
    assert await found(name="two") == {"two"}
    assert await found(status="COMPLETE") == {"one", "two", "three"}
    assert await found(status="FAILED") == set()
    assert await found(tags="jeroboam") == {"one", "two"}
    assert await found(tags="jeroboam,jeroboam-bay-2") == {"two"}
    assert await found(**{"tags-any": "other,jeroboam-bay-1"}) == {"one", "three"}
    assert await found(not_tags="jeroboam") == {"three"}
    first = (await heat.get("/stacks", limit=2))["stacks"]
    rest = (await heat.get("/stacks", limit=2, marker=first[-1]["id"]))["stacks"]
    assert [one["stack_name"] for one in first + rest] == ["one", "two", "three"]
    assert (await heat.get("/stacks/detail"))["stacks"][0]["parameters"]["OS::project_id"] == heat.project_id


async def test_a_cloud_wide_list_is_refused_unless_the_operator_allows_it() -> None:
    async with heat_of() as heat:
        await heat.make("one", **ONE)
        answer = await heat.client.get(heat.url("/stacks?global_tenant=True"))
        assert answer.status_code == 403
        heat.world.settings.global_stack_list = True
        other = await login(heat.world, heat.client, "alt", "alt")
        assert (await other.get("/stacks"))["stacks"] == []
        found = (await other.get("/stacks", global_tenant=True))["stacks"]
        assert [(one["stack_name"], one["project"]) for one in found] == [("one", heat.project_id)]


async def test_rights(heat: Heat) -> None:
    stack_id = await heat.make("one", **ONE)
    reader = await login(heat.world, heat.client, "reader", "demo")
    assert (await reader.show(stack_id))["stack_name"] == "one"
    assert (await reader.create("two", **ONE)).status_code == 403
    assert (await reader.client.delete(reader.url(f"/stacks/one/{stack_id}"))).status_code == 403
    await login(heat.world, heat.client, "alt", "alt")
    assert (await heat.client.get(heat.url("/stacks"))).status_code == 403
    del heat.client.headers["x-auth-token"]
    assert (await heat.client.get(heat.url("/stacks"))).status_code == 401


async def test_the_service_user_acts_in_the_callers_project(heat: Heat) -> None:
    service = await login(heat.world, heat.client, "jeroboam", "demo")
    stack_id = await service.make("one", **ONE)
    demo = await login(heat.world, heat.client, "demo", "demo")
    assert (await demo.show(stack_id))["stack_owner"] == "jeroboam"


async def test_a_delegated_token_cannot_create_a_stack(heat: Heat) -> None:
    me = await heat.client.get(
        "/identity/v3/auth/tokens", headers={"x-subject-token": heat.client.headers["x-auth-token"]}
    )
    user_id = me.json()["token"]["user"]["id"]
    made = await heat.client.post(
        f"/identity/v3/users/{user_id}/application_credentials", json={"application_credential": {"name": "node"}}
    )
    assert made.status_code == 201, made.text
    credential = made.json()["application_credential"]
    method = {"id": credential["id"], "secret": credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": method}
    answer = await heat.client.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity}})
    heat.client.headers["x-auth-token"] = answer.headers["x-subject-token"]
    refused = await heat.create("one", **ONE)
    assert refused.status_code == 500
    assert refused.json()["error"] == {"type": "RemoteError", "traceback": None}
    assert (await heat.get("/stacks"))["stacks"] == []


async def test_hidden_parameters_are_masked(heat: Heat) -> None:
    stack_id = await heat.bay(bootstrap_token="s3cret")
    stack = await heat.show(stack_id)
    assert stack["parameters"]["bootstrap_token"] == "******"
    environment = await heat.get(f"/stacks/bay/{stack_id}/environment")
    assert "s3cret" not in str(environment)
    nested = [one for one in await heat.resources(stack_id) if one["resource_type"] == "kubeminion.yaml"]
    inner = await heat.show(nested[0]["physical_resource_id"])
    assert inner["parameters"]["bootstrap_token"] == "******"


async def test_show_has_what_clients_read(heat: Heat) -> None:
    stack_id = await heat.make("one", **ONE, tags="a,b", timeout_mins=7)
    await heat.world.clock.advance(1)
    stack = await heat.show(stack_id)
    assert (stack["id"], stack["stack_name"], stack["stack_owner"], stack["parent"]) == (stack_id, "one", "demo", None)
    assert (stack["timeout_mins"], stack["disable_rollback"], stack["tags"]) == (7, True, ["a", "b"])
    assert stack["creation_time"].endswith("Z")
    assert stack["stack_user_project_id"]
    assert "updated_time" in stack
    assert stack["outputs"] == []


async def test_resources_tell_where_they_are(heat: Heat) -> None:
    stack_id = await heat.bay()
    top = {one["resource_name"]: one for one in await heat.resources(stack_id, depth=0)}
    assert "parent_resource" not in top["kube_minions"]
    nested = next(link["href"] for link in top["kube_minions"]["links"] if link["rel"] == "nested")
    assert nested.endswith(top["kube_minions"]["physical_resource_id"])
    servers = [one for one in await heat.resources(stack_id) if one["resource_type"] == "OS::Nova::Server"]
    assert sorted(one["parent_resource"] for one in servers) == ["0", "0", "1"]
    assert {one["physical_resource_id"] for one in servers} == set(heat.servers().values())
    shown = (await heat.get(f"/stacks/bay/{stack_id}/resources/fixed_subnet"))["resource"]
    assert shown["attributes"]["cidr"] == "10.0.0.0/24"
    assert "kube_masters" in top["extrouter_inside"]["required_by"]
    assert (await heat.client.get(heat.url(f"/stacks/bay/{stack_id}/resources/nosuch"))).status_code == 404
    filtered = await heat.get(f"/stacks/bay/{stack_id}/resources", nested_depth=3, type="OS::Nova::Server")
    assert len(filtered["resources"]) == 3


async def test_events_come_in_order_and_from_below(heat: Heat) -> None:
    stack_id = await heat.bay()
    own = (await heat.get(f"/stacks/bay/{stack_id}/events"))["events"]
    assert (own[0]["resource_name"], own[0]["resource_status"]) == ("bay", "CREATE_IN_PROGRESS")
    assert own[-1]["resource_status_reason"] == "Stack CREATE completed successfully"
    everything = (await heat.get(f"/stacks/bay/{stack_id}/events", nested_depth=3))["events"]
    booted = [
        one for one in everything if one["resource_name"] == "server" and one["resource_status"] == "CREATE_COMPLETE"
    ]
    assert {one["physical_resource_id"] for one in booted} == set(heat.servers().values())
    assert len({one["id"] for one in everything}) == len(everything)
    after = (await heat.get(f"/stacks/bay/{stack_id}/events", marker=own[2]["id"]))["events"]
    assert after == own[3:]
    one = own[1]
    shown = await heat.get(f"/stacks/bay/{stack_id}/resources/{one['resource_name']}/events/{one['id']}")
    assert shown["event"] == one


async def test_outputs_template_and_files(heat: Heat) -> None:
    stack_id = await heat.bay()
    keys = [one["output_key"] for one in (await heat.get(f"/stacks/bay/{stack_id}/outputs"))["outputs"]]
    assert "kube_minions_map" in keys
    one = (await heat.get(f"/stacks/bay/{stack_id}/outputs/removed"))["output"]
    assert one["output_value"] == []
    assert (await heat.client.get(heat.url(f"/stacks/bay/{stack_id}/outputs/none"))).status_code == 404
    assert (await heat.get(f"/stacks/bay/{stack_id}/template"))["heat_template_version"] == "2018-08-31"
    assert "kubeminion.yaml" in await heat.get(f"/stacks/bay/{stack_id}/files")


async def test_a_handle_takes_a_signal_without_a_token(heat: Heat) -> None:
    resources = {
        "handle": {"type": "OS::Heat::WaitConditionHandle"},
        "wait": {
            "type": "OS::Heat::WaitCondition",
            "properties": {"handle": {"get_resource": "handle"}, "timeout": 60, "count": 2},
        },
    }
    outputs = {
        "curl": {"value": {"get_attr": ["handle", "curl_cli"]}},
        "data": {"value": {"get_attr": ["wait", "data"]}},
    }
    stack_id = await heat.make("one", **small(resources, outputs=outputs))
    await heat.world.clock.advance(1)
    endpoint = (await heat.outputs(stack_id))["curl"].split()[-1]
    token = heat.client.headers.pop("x-auth-token")
    assert (await heat.client.post(endpoint, json={"status": "SUCCESS", "id": "a", "data": 1})).status_code == 200
    assert (await heat.client.post(endpoint[:-1] + "z")).status_code == 404
    heat.client.headers["x-auth-token"] = token
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_IN_PROGRESS"
    signalled = await heat.client.post(heat.url(f"/stacks/one/{stack_id}/resources/handle/signal"), json={"id": "b"})
    assert signalled.status_code == 200
    await heat.world.clock.advance(1)
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_COMPLETE"
    assert (await heat.outputs(stack_id))["data"] == '{"a": 1, "b": null}'


async def test_limits_of_size_and_number() -> None:
    async with heat_of(max_resources_per_stack=38, max_template_size=20_000) as heat:
        answer = await heat.create("bay", **bay())
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "RequestLimitExceeded")
        stack_id = await heat.bay("small", number_of_minions=1)
        assert (await heat.show(stack_id))["stack_status"] == "CREATE_COMPLETE"
        answer = await heat.update(stack_id, method="PATCH", parameters={"number_of_minions": 9})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "RequestLimitExceeded")
        large = {"template": "heat_template_version: 2018-08-31\n#" + "x" * 20_000}
        answer = await heat.create("large", **large)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "RequestLimitExceeded")


async def test_validate_tells_the_parameters(heat: Heat) -> None:
    answer = await heat.client.post(heat.url("/validate"), json={**bay(), "parameters": {}})
    assert answer.status_code == 200, answer.text
    parameters = answer.json()["Parameters"]
    assert parameters["bootstrap_token"]["NoEcho"] == "true"
    assert parameters["number_of_minions"] == {
        "Type": "Number",
        "Label": "number_of_minions",
        "Description": "",
        "NoEcho": "false",
        "Default": 2,
    }


@pytest.mark.parametrize("action", ["suspend", "nosuch"])
async def test_other_actions_are_refused_by_name(heat: Heat, action: str) -> None:
    stack_id = await heat.make("one", **ONE)
    answer = await heat.client.post(heat.url(f"/stacks/one/{stack_id}/actions"), json={action: None})
    assert answer.status_code == 400
    assert action in answer.json()["error"]["message"]
