"""Every registered driver keeps docs/driver-contract.md; the numbers are the rules'."""

from __future__ import annotations

import ast
import base64
import copy
import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.common import sources
from shared.drivers.common.labels import checked
from shared.drivers.contract import MARK_PARAMETER, BaySecrets, Driver, RenderedStack
from shared.drivers.rendering import placeholders
from tests.drivers.cases import CREDENTIAL, PAIRS, SECRET, cases, facts, render, resources, templates, user_data

FORBIDDEN = {"socket", "ssl", "httpx", "urllib", "http", "os", "subprocess", "random", "secrets", "time", "datetime"}
FORBIDDEN |= {"uuid", "asyncio", "aiohttp", "requests", "threading", "tempfile", "pathlib", "shutil"}
QUEENS = {"get_attr", "get_file", "get_param", "get_resource", "list_join", "repeat", "str_replace", "str_split"}
QUEENS |= {"map_merge", "if", "digest", "list_concat", "equals", "not", "and", "or"}
UPDATED_IN_PLACE = {"name", "image", "flavor", "networks", "tags", "metadata", "user_data"}
LOOKALIKE = re.compile(
    r"^(get_\w+|list_\w+|str_\w+|map_\w+|yaql|if|repeat|digest|filter|make_url|contains|Fn::.*|Ref)$"
)

each_driver = pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
each_pair = pytest.mark.parametrize(
    ("driver", "case"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.name
)


def walk(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key), value
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def uses_of(node: Any, parameter: str) -> int:
    return sum(key == "get_param" and value in (parameter, [parameter]) for key, value in walk(node))


@each_pair
def test_01_same_input_same_stack_and_input_unchanged(driver: Driver, case: str) -> None:
    given = facts(driver, **cases(driver)[case])
    before = copy.deepcopy(given)
    first = driver.render(given, CREDENTIAL)
    assert driver.render(copy.deepcopy(before), CREDENTIAL) == first
    assert given == before


@each_driver
def test_01_no_module_that_reaches_outside(driver: Driver) -> None:
    module = importlib.import_module(type(driver).__module__)
    folder = Path(str(module.__file__)).parent
    checked_files = [
        *folder.rglob("*.py"),
        *folder.parent.joinpath("common").rglob("*.py"),
        *folder.parent.glob("*.py"),
    ]
    for path in checked_files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & FORBIDDEN, path


def test_02_no_two_drivers_for_one_triple_or_name() -> None:
    (driver, *_) = registry.DRIVERS
    with pytest.raises(ValueError, match="both claim"):
        registry.index([driver, driver])


@each_driver
def test_02_found_by_triple_and_name(driver: Driver) -> None:
    assert registry.find(*driver.key) is driver
    assert registry.by_name(driver.name) is driver


def test_02_unknown_triple_is_told_in_magnums_words() -> None:
    with pytest.raises(InvalidInput, match=re.escape("Cluster type (vm, beos, kubernetes) not supported.")):
        registry.find("vm", "beos", "kubernetes")
    with pytest.raises(InvalidInput):
        registry.by_name("gone")


@each_driver
def test_03_refusals_name_field_and_reason(driver: Driver) -> None:
    for changes in (
        {"network_driver": "carrier-pigeon"},
        {"volume_driver": "floppy"},
        {"docker_storage_driver": "tape"},
    ):
        with pytest.raises(InvalidInput) as refused:
            driver.validate(facts(driver, **changes))
        assert refused.value.field == next(iter(changes))
        with pytest.raises(InvalidInput):
            driver.render(facts(driver, **changes), CREDENTIAL)


@each_driver
def test_05_label_defaults_pass_their_own_rules(driver: Driver) -> None:
    for name, rule in driver.label_rules.items():
        assert checked(driver.label_rules, {}, name) == rule.default
        with pytest.raises(InvalidInput) as refused:
            checked(driver.label_rules, {name: "no such thing!"}, name)
        assert refused.value.field == f"labels/{name}"


@each_driver
def test_06_mark_goes_to_an_output_and_nowhere_else(driver: Driver) -> None:
    stack = render(driver, "default")
    bay = templates(stack)["bay.yaml"]
    assert stack.parameters[MARK_PARAMETER] == facts(driver).operation_id
    assert uses_of(bay["outputs"], MARK_PARAMETER) == 1
    assert uses_of(bay, MARK_PARAMETER) == 1
    assert facts(driver).operation_id not in stack.template + "".join(stack.files.values())


@each_driver
def test_07_servers_are_never_replaced_and_carry_marks(driver: Driver) -> None:
    servers = list(resources(render(driver, "default"), "OS::Nova::Server"))
    assert servers
    for _, _, server in servers:
        properties = server["properties"]
        assert properties["user_data_update_policy"] == "IGNORE"
        assert properties["metadata"]["jeroboam_bay"] == {"get_param": "jeroboam_bay"}
        assert properties["metadata"]["jeroboam_role"] in ("master", "worker")
        assert "key_name" not in properties


@each_driver
def test_07_what_cannot_be_updated_refers_to_nothing(driver: Driver) -> None:
    """Plain parameters are resolved in a preview; references are not, so they may come from nowhere in the tree."""
    stack = render(driver, "everything")
    documents = templates(stack)
    for template, _, server in resources(stack, "OS::Nova::Server"):
        fixed = {key: value for key, value in server["properties"].items() if key not in UPDATED_IN_PLACE}
        assert not {key for key, _ in walk(fixed)} & {"get_resource", "get_attr"}
        named = {str(value) for key, value in walk(fixed) if key == "get_param"}
        for _, _, group in resources(stack, "OS::Heat::ResourceGroup"):
            member = group["properties"]["resource_def"]
            if member["type"] == template:
                for name in named:
                    assert set(member["properties"][name]) == {"get_param"}, name
    assert documents


@each_driver
def test_07_names_start_with_the_stacks_name(driver: Driver) -> None:
    stack = render(driver, "default")
    assert stack.parameters["node_name_prefix"] == facts(driver).stack_name.lower()


@each_driver
def test_08_members_are_known_by_their_servers_id(driver: Driver) -> None:
    stack = render(driver, "default")
    for template, name, _ in resources(stack, "OS::Nova::Server"):
        assert templates(stack)[template]["outputs"]["OS::stack_id"]["value"] == {"get_resource": name}
    removable = [
        group
        for _, _, group in resources(stack, "OS::Heat::ResourceGroup")
        if group["properties"].get("removal_policies") == [{"resource_list": {"get_param": "nodes_to_remove"}}]
    ]
    assert removable


@each_driver
def test_09_resize_names_only_count_and_who_leaves(driver: Driver) -> None:
    stack = render(driver, "default")
    grow = driver.resize_parameters(4, [])
    shrink = driver.resize_parameters(1, ["id-1", "id-2"])
    assert grow.keys() == shrink.keys() <= stack.parameters.keys()
    assert grow["nodes_to_remove"] == ""
    assert shrink["nodes_to_remove"] == "id-1,id-2"
    four = driver.render(facts(driver, node_count=4), CREDENTIAL)
    assert four == dataclasses.replace(stack, parameters=stack.parameters | grow)


@each_pair
def test_10_parameters_match_the_template(driver: Driver, case: str) -> None:
    stack = render(driver, case)
    known = templates(stack)["bay.yaml"]["parameters"]
    assert stack.parameters.keys() <= known.keys()
    assert {name for name, schema in known.items() if "default" not in schema} <= stack.parameters.keys()
    assert all(type(value) is str for value in stack.parameters.values())


@each_pair
def test_10_member_properties_match_the_member_template(driver: Driver, case: str) -> None:
    documents = templates(render(driver, case))
    for document in documents.values():
        for resource in document["resources"].values():
            inner = resource.get("properties", {}).get("resource_def", resource)
            if inner["type"] in documents:
                known = documents[inner["type"]]["parameters"]
                needed = {name for name, schema in known.items() if "default" not in schema}
                assert needed <= inner["properties"].keys() <= known.keys()


@each_driver
def test_11_secrets_travel_only_in_hidden_parameters(driver: Driver) -> None:
    stack = render(driver, "everything")
    assert SECRET not in stack.template + "".join(stack.files.values()) + repr(stack.environment) + repr(stack)
    holders = {name for name, value in stack.parameters.items() if value == SECRET}
    for document in templates(stack).values():
        for name, schema in document["parameters"].items():
            if name in holders or "secret" in name:
                assert schema.get("hidden") is True
    if driver.needs_cloud_credential(facts(driver, **cases(driver)["everything"])):
        assert holders
        with pytest.raises(ValueError, match="credential"):
            driver.render(facts(driver, **cases(driver)["everything"]), BaySecrets())


@each_driver
def test_11_no_credential_where_none_is_needed(driver: Driver) -> None:
    assert not driver.needs_cloud_credential(facts(driver))
    assert SECRET not in render(driver, "default").parameters.values()


@each_driver
def test_12_only_functions_of_queens(driver: Driver) -> None:
    for document in templates(render(driver, "everything")).values():
        assert str(document["heat_template_version"]) <= "2018-03-02"
        used = {key for key, _ in walk(document) if LOOKALIKE.match(key)}
        assert used <= QUEENS


@each_driver
def test_12_no_resource_and_parameter_share_a_name(driver: Driver) -> None:
    for document in templates(render(driver, "everything")).values():
        assert not document["resources"].keys() & document["parameters"].keys()


@each_pair
def test_13_sizes(driver: Driver, case: str) -> None:
    stack = render(driver, case)
    assert len((stack.template + "".join(stack.files.values())).encode()) <= 512 * 1024
    for name, text in stack.files.items():
        if name.endswith(".user-data"):
            assert len(base64.b64encode(text.encode())) <= 64 * 1024 - 4096


@each_driver
@pytest.mark.parametrize(("minutes", "least", "most"), [(60, 3600, 3600), (0, 3600, 43200), (100_000, 43200, 43200)])
def test_14_members_wait_with_a_timeout(driver: Driver, minutes: int, least: int, most: int) -> None:
    stack = driver.render(facts(driver, timeout_minutes=minutes), CREDENTIAL)
    for template, _, _ in resources(stack, "OS::Nova::Server"):
        waits = [r for t, _, r in resources(stack, "OS::Heat::WaitCondition") if t == template]
        assert waits
        assert "timeout" in waits[0]["properties"]
    assert least <= int(stack.parameters["wait_condition_timeout"]) <= most


@each_driver
def test_15_outputs(driver: Driver) -> None:
    outputs = templates(render(driver, "default"))["bay.yaml"]["outputs"]
    named = {"api_address", "master_addresses", "node_addresses", "masters", "nodes", "master_details", "node_details"}
    assert named <= outputs.keys()


def detail(name: str, number: int) -> dict[str, str]:
    return {"name": name, "address": f"127.64.0.{number}", "private_address": f"10.0.0.{number}"}


@each_driver
def test_15_outputs_are_read(driver: Driver) -> None:
    outputs: dict[str, object] = {
        "api_address": "https://127.64.0.5:6443",
        "masters": {"0": "id-m"},
        "master_details": {"0": detail("m-0", 5)},
        "nodes": {"10": "id-10", "9": "id-9"},
        "node_details": {"9": detail("w-9", 9), "10": detail("w-10", 10)},
    }
    read = driver.read_outputs(outputs)
    assert (read.api_address, read.master_addresses) == ("https://127.64.0.5:6443", ("127.64.0.5",))
    assert read.node_addresses == ("127.64.0.9", "127.64.0.10")
    assert [(n.server_id, n.role, n.index) for n in read.nodes] == [
        ("id-m", "master", 0),
        ("id-9", "worker", 9),
        ("id-10", "worker", 10),
    ]
    for name in outputs:
        with pytest.raises(ValueError, match=name):
            driver.read_outputs({**outputs, name: None})


def substituted(stack: RenderedStack) -> Iterator[tuple[str, set[str]]]:
    """(user-data file, the names that its str_replace fills in)."""
    for document in templates(stack).values():
        for key, value in walk(document):
            if key == "str_replace" and "get_file" in value["template"]:
                yield value["template"]["get_file"], set().union(*(placeholders(name) for name in value["params"]))


@each_pair
def test_16_every_placeholder_is_filled_in(driver: Driver, case: str) -> None:
    stack = render(driver, case)
    seen = dict(substituted(stack))
    assert seen.keys() == {name for name in stack.files if name.endswith(".user-data")}
    for name, filled in seen.items():
        assert placeholders(stack.files[name]) <= filled


@each_pair
def test_17_shell_parts_are_numbered(driver: Driver, case: str) -> None:
    for node in user_data(render(driver, case)).values():
        names = list(node.scripts)
        assert names == sorted(names)
        assert all(re.fullmatch(r"\d\d-[a-z0-9.-]+\.sh", name) for name in names)
        assert names[-1] == "90-signal.sh"


@each_pair
def test_19_secret_files_are_private(driver: Driver, case: str) -> None:
    for node in user_data(render(driver, case)).values():
        for path, entry in node.files.items():
            if {"NODE_SECRET", "SIGNAL_COMMAND", "APPLICATION_CREDENTIAL_SECRET"} & placeholders(entry["content"]):
                assert entry["permissions"] == "0600", path
        for script in node.scripts.values():
            assert not placeholders(script)


@each_driver
def test_20_sources_can_be_overridden(driver: Driver) -> None:
    overrides = {name: f"mirror.example.org/{name}:1" for name in sources.DEFAULTS}
    given = cases(driver)["everything"] | {"node_sources": overrides, "labels": {}}
    stack = driver.render(facts(driver, **given), CREDENTIAL)
    text = "".join(stack.files.values())
    used = [name for name in overrides if overrides[name] in text]
    assert used
    assert not any(sources.DEFAULTS[name] in text for name in used)
