"""Templates: functions, parameters, and everything that is refused before a stack is made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cloudsim.heat.support import FILES, Heat, bay, small

NET = {"type": "OS::Neutron::Net"}
GROUPS: dict[str, Any] = {
    "type": "OS::Heat::ResourceGroup",
    "properties": {
        "count": 2,
        "resource_def": {"type": "OS::Heat::Value", "properties": {"value": "v%index%"}},
    },
}


async def _value(heat: Heat, value: Any, **sections: Any) -> Any:
    template = small({"group": GROUPS, "val": {"type": "OS::Heat::Value", "properties": {"value": 7}}}, **sections)
    template["template"]["outputs"] = {"it": {"value": value}}
    template["files"] = {"a.txt": "text of $who"}
    stack_id = await heat.make("one", **template)
    await heat.world.clock.advance(1)
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_COMPLETE"
    return (await heat.outputs(stack_id))["it"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"get_param": ["map", "list", 1]}, "b"),
        ({"get_param": "OS::stack_name"}, "one"),
        ({"get_attr": ["val", "value"]}, 7),
        ({"get_attr": ["group", "value"]}, ["v0", "v1"]),
        ({"get_attr": ["group", "attributes", "value"]}, {"0": "v0", "1": "v1"}),
        ({"get_attr": ["group", "resource.1.value"]}, "v1"),
        ({"get_file": "a.txt"}, "text of $who"),
        ({"str_replace": {"template": {"get_file": "a.txt"}, "params": {"$who": "x", "text": "$who"}}}, "$who of x"),
        ({"str_replace": {"template": "ab abc", "params": {"ab": 1, "abc": {"k": 2}}}}, '1 {"k": 2}'),
        ({"str_replace_strict": {"template": "a", "params": {"a": "b"}}}, "b"),
        ({"list_join": [",", ["a", 1], ["b"]]}, "a,1,b"),
        ({"str_split": [",", "a,b"]}, ["a", "b"]),
        ({"str_split": [",", "a,b", 1]}, "b"),
        ({"repeat": {"template": {"p": "%i%"}, "for_each": {"%i%": [1, 2]}}}, [{"p": 1}, {"p": 2}]),
        (
            {
                "repeat": {
                    "template": "%a%%b%",
                    "for_each": {"%a%": ["x", "y"], "%b%": ["1", "2"]},
                    "permutations": False,
                }
            },
            ["x1", "y2"],
        ),
        ({"digest": ["md5", "foo"]}, "acbd18db4cc2f85cedef654fccc4a4d8"),
        ({"map_merge": [{"a": 1}, {"b": 2, "a": 3}]}, {"a": 3, "b": 2}),
        ({"map_replace": [{"k": "v"}, {"keys": {"k": "K"}, "values": {"v": "V"}}]}, {"K": "V"}),
        ({"list_concat": [[1], [2, 1]]}, [1, 2, 1]),
        ({"list_concat_unique": [[1], [2, 1]]}, [1, 2]),
        ({"contains": ["a", ["a", "b"]]}, True),
        ({"filter": [[None, ""], ["a", "", None]]}, ["a"]),
        (
            {"make_url": {"scheme": "https", "host": "h", "port": 6443, "path": "v1", "query": {"a": "b"}}},
            "https://h:6443/v1?a=b",
        ),
        ({"if": ["big", "yes", "no"]}, "yes"),
        ({"if": [{"not": "big"}, "yes", "no"]}, "no"),
        ({"if": [{"and": ["big", {"or": [False, "big"]}]}, 1, 2]}, 1),
    ],
)
async def test_functions(heat: Heat, value: Any, expected: Any) -> None:
    parameters = {"map": {"type": "json", "default": {"list": ["a", "b"]}}, "size": {"type": "number", "default": 3}}
    conditions = {"big": {"equals": [{"get_param": "size"}, 3]}}
    assert await _value(heat, value, parameters=parameters, conditions=conditions) == expected


@pytest.mark.parametrize(
    ("resources", "word"),
    [
        ({"a": {"type": "OS::Heat::Value", "properties": {"value": {"yaql": {"expression": "$", "data": 1}}}}}, "yaql"),
        ({"a": {"type": "OS::Heat::Value", "properties": {"value": {"get_parm": "x"}}}}, "get_parm"),
        ({"a": {"type": "OS::Heat::Value", "properties": {"value": {"Fn::GetAZs": ""}}}}, "Fn::GetAZs"),
        ({"a": {"type": "OS::Heat::Value", "properties": {"value": {"equals": [1, 1]}}}}, "equals"),
        ({"a": {"type": "OS::No::Such"}}, "The Resource Type (OS::No::Such) could not be found."),
        ({"a": {"type": "nosuch.yaml"}}, "nosuch.yaml"),
        ({"a": {**NET, "properties": {"colour": "red"}}}, "Unknown Property colour"),
        (
            {"a": {"type": "OS::Neutron::Subnet", "properties": {"cidr": "10.0.0.0/24"}}},
            "Property network not assigned",
        ),
        ({"a": {**NET, "properties": {"name": {"get_resource": "b"}}}}, 'The specified reference "b"'),
        ({"a": {**NET, "properties": {"name": {"get_param": "b"}}}}, 'The specified reference "b"'),
        ({"a": {**NET, "properties": {"name": {"get_file": "b.txt"}}}}, "b.txt"),
        ({"a": {**NET, "depends_on": "b"}}, 'The specified reference "b"'),
        ({"a": {**NET, "depends_on": "c"}, "c": {**NET, "depends_on": "a"}}, "Circular Dependency Found"),
        ({"a": {**NET, "condition": "nosuch"}}, 'Invalid condition "nosuch"'),
        ({"a": {**NET, "propertys": {}}}, "propertys"),
        ({"a": {**NET, "properties": {"admin_state_up": "perhaps"}}}, "not a valid boolean"),
        ({"a": NET, "b": {**NET, "properties": {"name": {"get_attr": ["a", "colour"]}}}}, "(a colour) is incorrect"),
        ({"a": {"type": "OS::Nova::Server", "properties": {"flavor": "huge"}}}, "The flavor (huge) could not be found"),
        (
            {
                "a": {
                    "type": "OS::Nova::Server",
                    "properties": {"flavor": "m1.small", "user_data_update_policy": "KEEP"},
                }
            },
            "KEEP",
        ),
        (
            {
                "a": {
                    "type": "OS::Heat::ResourceGroup",
                    "properties": {"resource_def": {"type": "OS::Neutron::Net", "properties": {"x": 1}}},
                }
            },
            "Unknown Property x",
        ),
    ],
)
async def test_a_broken_template_is_refused_and_leaves_nothing(heat: Heat, resources: Any, word: str) -> None:
    answer = await heat.create("one", **small(resources))
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["error"]["message"]
    assert (await heat.get("/stacks"))["stacks"] == []


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("resources: {}", "version"),
        ("heat_template_version: 2099-01-01", "2099-01-01"),
        ("heat_template_version: 2018-08-31\nthings: {}", "things"),
        ("- 1", "YAML mapping"),
        ("a: [", "Error parsing template"),
        ("heat_template_version: 2015-04-30\noutputs: {a: {value: {make_url: {host: h}}}}", "make_url"),
    ],
)
async def test_text_that_is_no_template_is_refused(heat: Heat, template: str, word: str) -> None:
    answer = await heat.create("one", template=template)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"nosuch": 1}, "The Parameter (nosuch) was not defined in template."),
        ({"server_image": None, "ssh_key_name": None, "number_of_masters": 0}, "out of range"),
        ({"number_of_minions": "many"}, "number_of_minions"),
        ({"user_data_policy": "KEEP"}, "not an allowed value"),
        ({"external_network": "no-such-net"}, "no-such-net"),
    ],
)
async def test_parameters_are_checked_down_to_the_nested_templates(heat: Heat, parameters: Any, word: str) -> None:
    answer = await heat.create("bay", **bay(**parameters))
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["error"]["message"]


async def test_a_missing_parameter_is_named(heat: Heat) -> None:
    body = bay()
    del body["parameters"]["server_image"]
    answer = await heat.create("bay", **body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "UserParameterMissing")
    assert answer.json()["error"]["message"] == "The Parameter (server_image) was not provided."


async def test_an_error_in_a_nested_template_is_found_at_once(heat: Heat) -> None:
    body = bay()
    body["files"] = {
        **FILES,
        "kubeminion.yaml": FILES["kubeminion.yaml"].replace("type: OS::Neutron::Port", "type: OS::Neutron::Prot"),
    }
    answer = await heat.create("bay", **body)
    assert answer.status_code == 400
    assert "OS::Neutron::Prot" in answer.json()["error"]["message"]


async def test_environments_are_merged_in_their_order(heat: Heat) -> None:
    template = small({"a": RANDOM_LENGTH}, parameters={name: {"type": "string", "default": "t"} for name in "pqrs"})
    template["template"]["outputs"] = {"it": {"value": {"list_join": ["", [{"get_param": name} for name in "pqrs"]]}}}
    stack_id = await heat.make(
        "one",
        **template,
        files={"e1.yaml": "parameter_defaults: {p: '1', q: '1', other: x}", "e2.yaml": "parameters: {q: '2', r: '2'}"},
        environment_files=["e1.yaml", "e2.yaml"],
        environment="parameters: {r: '3'}",
    )
    await heat.world.clock.advance(1)
    assert (await heat.outputs(stack_id))["it"] == "123t"


RANDOM_LENGTH = {"type": "OS::Heat::RandomString", "properties": {"length": 8}}


async def test_a_stack_as_a_property(heat: Heat) -> None:
    inner = (
        "{heat_template_version: 2018-08-31, parameters: {n: {type: number}}, outputs: {o: {value: {get_param: n}}}}"
    )
    stack = {"type": "OS::Heat::Stack", "properties": {"template": inner, "parameters": {"n": 5}}}
    template = small({"s": stack}, outputs={"it": {"value": {"get_attr": ["s", "outputs", "o"]}}})
    stack_id = await heat.make("one", **template)
    await heat.world.clock.advance(1)
    assert (await heat.outputs(stack_id))["it"] == 5


async def test_load_balancers(heat: Heat) -> None:
    resources = {
        "net": NET,
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {"network": {"get_resource": "net"}, "cidr": "10.7.0.0/24"},
        },
        "lb": {"type": "OS::Octavia::LoadBalancer", "properties": {"vip_subnet": {"get_resource": "subnet"}}},
        "listener": {
            "type": "OS::Octavia::Listener",
            "properties": {"loadbalancer": {"get_resource": "lb"}, "protocol": "TCP", "protocol_port": 6443},
        },
        "pool": {
            "type": "OS::Octavia::Pool",
            "properties": {"listener": {"get_resource": "listener"}, "lb_algorithm": "ROUND_ROBIN", "protocol": "TCP"},
        },
        "monitor": {
            "type": "OS::Octavia::HealthMonitor",
            "properties": {"pool": {"get_resource": "pool"}, "type": "TCP", "delay": 5, "timeout": 5, "max_retries": 5},
        },
        "member": {
            "type": "OS::Octavia::PoolMember",
            "properties": {"pool": {"get_resource": "pool"}, "address": "10.7.0.9", "protocol_port": 6443},
        },
    }
    before = heat.listing()
    stack_id = await heat.make(
        "one", **small(resources, outputs={"vip": {"value": {"get_attr": ["lb", "vip_address"]}}})
    )
    await heat.world.clock.advance(10)
    assert (await heat.show(stack_id))["stack_status"] == "CREATE_COMPLETE"
    assert (await heat.outputs(stack_id))["vip"] == "10.7.0.2"
    await heat.delete(stack_id)
    assert heat.listing() == before


async def test_a_groups_stack_shows_what_the_template_around_it_reads(heat: Heat) -> None:
    """Each attribute with its path is an output's name, `refs_map` is always one, and what nobody reads is none."""
    reads: list[Any] = [
        ["attributes", "value"],
        ["resource.1.value"],
        ["resource.9.value"],
        ["refs", 0],
        ["refs_map", 1],
    ]
    template = small({"group": GROUPS, "other": GROUPS})
    template["template"]["outputs"] = {"all": {"value": [{"get_attr": ["group", *path]} for path in reads]}}
    stack_id = await heat.make("one", **template)
    await heat.world.clock.advance(1)
    groups = {one["resource_name"]: one["physical_resource_id"] for one in await heat.resources(stack_id)}
    members = {one["resource_name"]: one["physical_resource_id"] for one in await heat.resources(groups["group"])}
    assert await heat.outputs(groups["group"]) == {
        "attributes, value": {"0": "v0", "1": "v1"},
        "resource.1.value": "v1",
        "refs": [members["0"], members["1"]],
        "refs_map": members,
    }
    assert list(await heat.outputs(groups["other"])) == ["refs_map"]
