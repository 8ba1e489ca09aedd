"""Bad input and the sentences that answer it (contract §1.7, §10): field, value, and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.harness import MODEL, System, detail, unique

BAD = "Invalid input for field/attribute {}. Value: '{}'. {}"
NAME = r"Value should match the pattern ^[a-zA-Z][a-zA-Z0-9_.-]*$"
NO_INT = "Wrong type. Expected '<class 'int'>', got "
NO_BOOL = "Value should be one of: true, false"
SCALARS = "(<class 'str'>, <class 'int'>, <class 'bool'>, <class 'float'>)"

BAYS: list[tuple[dict[str, Any], str]] = [
    ({"name": "1abc"}, BAD.format("name", "1abc", NAME)),
    ({"name": ""}, BAD.format("name", "", "Value should have a minimum character requirement of 1")),
    ({"name": "a" * 243}, BAD.format("name", "a" * 243, "Value should have a maximum character requirement of 242")),
    ({"name": 7}, BAD.format("name", 7, "Wrong type. Expected '<class 'str'>', got '<class 'int'>'")),
    ({"node_count": 0}, BAD.format("node_count", 0, "Value should be greater or equal to 1")),
    ({"node_count": -1}, BAD.format("node_count", -1, "Value should be greater or equal to 1")),
    ({"node_count": 2**31}, BAD.format("node_count", 2**31, f"Value should be lower or equal to {2**31 - 1}")),
    ({"node_count": "abc"}, BAD.format("node_count", "abc", "invalid literal for int() with base 10: 'abc'")),
    (
        {"node_count": True},
        BAD.format("node_count", True, "Wrong type. Expected '<class 'int'>', got '<class 'bool'>'"),
    ),
    ({"node_count": 1.5}, BAD.format("node_count", 1.5, "Wrong type. Expected '<class 'int'>', got '<class 'float'>'")),
    ({"node_count": 10_001}, "node_count 10001 is more than a bay can have; allowed: up to 10000."),
    ({"node_count": [1]}, BAD.format("node_count", [1], "Wrong type. Expected '<class 'int'>', got '<class 'list'>'")),
    ({"master_count": 0}, BAD.format("master_count", 0, "Value should be greater or equal to 1")),
    (
        {"master_count": 2, "master_lb_enabled": True},
        "master nodegroup size of 2 is invalid, size cannot be an even number.",
    ),
    ({"bay_create_timeout": -1}, BAD.format("bay_create_timeout", -1, "Value should be greater or equal to 0")),
    ({"baymodel_id": None}, BAD.format("baymodel_id", None, "Mandatory field missing.")),
    ({"baymodel_id": "zzz"}, "ClusterTemplate zzz could not be found."),
    ({"foo": 1}, "Unknown attribute for argument bay: foo"),
    ({"foo": 1, "node_count": "x"}, "Unknown attribute for argument bay: foo"),
    ({"keypair": "testkey"}, "Unknown attribute for argument bay: keypair"),
    ({"uuid": "x"}, BAD.format("uuid", "x", "Cannot set read only field.")),
    ({"status": "CREATE_COMPLETE"}, BAD.format("status", "CREATE_COMPLETE", "Cannot set read only field.")),
    ({"labels": "a=b"}, BAD.format("labels", "a=b", "Value not a valid dict: a=b")),
    (
        {"labels": {"a": {}}},
        BAD.format("labels", {"a": {}}, f"Wrong type. Expected '{SCALARS}', got '<class 'dict'>'"),
    ),
    (
        {"floating_ip_enabled": "maybe"},
        BAD.format("floating_ip_enabled", "maybe", NO_BOOL),
    ),
    ({"discovery_url": ""}, BAD.format("discovery_url", "", "Value should have a minimum character requirement of 1")),
    ({"flavor_id": "aaa"}, "Unable to find flavor aaa."),
    ({"fixed_network": "aaa"}, "Unable to find fixed network aaa."),
    ({"labels": {"flannel_backend": "pigeon"}}, "flannel_backend"),
]


@pytest.fixture(scope="module")
def model(system: System) -> str:
    return str(system.baymodel()["uuid"])


@pytest.mark.parametrize(("change", "sentence"), BAYS, ids=[str(case[0])[:40] for case in BAYS])
def test_bay(system: System, model: str, change: dict[str, Any], sentence: str) -> None:
    name = unique("bad")
    answer = system.call("POST", "/v1/bays", {"name": name, "baymodel_id": model, **change})
    assert answer.status_code == 400
    assert sentence in detail(answer)
    assert system.call("GET", f"/v1/bays/{name}").status_code == 404


def as_cluster(text: str) -> str:
    """A bay's field or sentence in the words of clusters."""
    for old, new in (
        ("baymodel_id", "cluster_template_id"),
        ("bay_create_timeout", "create_timeout"),
        ("argument bay", "argument cluster"),
    ):
        text = text.replace(old, new)
    return text


OTHERWISE = ({"node_count": 0}, {"node_count": -1}, {"keypair": "testkey"})
"""What clusters take, or say differently."""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [case for case in BAYS if case[0] not in OTHERWISE],
    ids=[str(case[0])[:40] for case in BAYS if case[0] not in OTHERWISE],
)
@pytest.mark.parametrize("version", ["1", "9"])
def test_cluster(system: System, model: str, change: dict[str, Any], sentence: str, version: str) -> None:
    name = unique("bad")
    body = {"name": name, "cluster_template_id": model, **{as_cluster(key): change[key] for key in change}}
    answer = system.call("POST", "/v1/clusters", body, version=version)
    assert answer.status_code == 400
    assert as_cluster(sentence) in detail(answer)
    assert system.call("GET", f"/v1/clusters/{name}").status_code == 404


@pytest.mark.parametrize(
    "field",
    [
        *("uuid", "links", "status", "status_reason", "stack_id", "cluster_id", "api_address", "node_addresses"),
        *("master_addresses", "coe_version", "container_version", "faults", "created_at", "updated_at", "project_id"),
        *("user_id", "health_status", "health_status_reason", "labels_added", "labels_overridden", "labels_skipped"),
    ],
)
def test_read_only_fields_of_clusters(system: System, model: str, field: str) -> None:
    answer = system.call("POST", "/v1/clusters", {"cluster_template_id": model, field: "x"})
    assert (answer.status_code, detail(answer)) == (400, BAD.format(field, "x", "Cannot set read only field."))


BAYMODELS: list[tuple[dict[str, Any], str]] = [
    ({"coe": "foo"}, BAD.format("coe", "foo", "Value should be one of: kubernetes, swarm, swarm-mode, mesos")),
    ({"coe": None}, "Requested COE type Unset is not supported."),
    ({"image_id": None}, BAD.format("image_id", None, "Mandatory field missing.")),
    ({"keypair_id": None}, BAD.format("keypair_id", None, "Mandatory field missing.")),
    ({"image_id": "nope"}, "Image nope could not be found."),
    ({"flavor_id": "nope"}, "Unable to find flavor nope."),
    ({"master_flavor_id": "nope"}, "Unable to find flavor nope."),
    ({"external_network_id": "nope"}, "Unable to find external network nope."),
    ({"fixed_network": "nope"}, "Unable to find fixed network nope."),
    ({"fixed_subnet": "nope"}, "Unable to find fixed subnet nope."),
    (
        {"network_driver": "docker"},
        "Network driver type docker is not supported, expecting a flannel/calico/cilium/unspecified network driver.",
    ),
    (
        {"volume_driver": "rexray"},
        "Volume driver type rexray is not supported, expecting a cinder/unspecified volume driver.",
    ),
    ({"dns_nameserver": "nope"}, "Expected a single dns address or comma separated dns list, but received nope."),
    (
        {"docker_volume_size": 2},
        "docker volume size 2 GB is not valid, expecting minimum value 3GB for devicemapper storage driver.",
    ),
    ({"docker_volume_size": 0}, BAD.format("docker_volume_size", 0, "Value should be greater or equal to 1")),
    ({"apiserver_port": 80}, BAD.format("apiserver_port", 80, "Value should be greater or equal to 1024")),
    ({"apiserver_port": 70000}, BAD.format("apiserver_port", 70000, "Value should be lower or equal to 65535")),
    ({"server_type": "x"}, BAD.format("server_type", "x", "Value should be one of: vm, bm")),
    ({"server_type": "bm"}, "Cluster type (bm, fedora-atomic, kubernetes) not supported."),
    ({"coe": "swarm", "image_id": "coreos"}, "Cluster type (vm, coreos, swarm) not supported."),
    ({"image_id": "fedora-k8s-ironic"}, "Cluster type (vm, fedora, kubernetes) not supported."),
    ({"tls_disabled": "maybe"}, BAD.format("tls_disabled", "maybe", NO_BOOL)),
    ({"http_proxy": "x" * 256}, "Value should have a maximum character requirement of 255"),
    ({"ssh_authorized_key": "ssh-rsa AAAA"}, "It is no longer taken: name a Nova key pair in keypair_id."),
    ({"bogus": 1, "other": 2}, "Unknown attribute for argument baymodel: bogus, other"),
    ({"labels": ["a"]}, BAD.format("labels", ["a"], "Value not a valid dict: ['a']")),
    ({"cluster_distro": "x"}, BAD.format("cluster_distro", "x", "Cannot set read only field.")),
]


@pytest.mark.parametrize(("change", "sentence"), BAYMODELS, ids=[str(case[0])[:40] for case in BAYMODELS])
def test_baymodel(system: System, change: dict[str, Any], sentence: str) -> None:
    answer = system.call("POST", "/v1/baymodels", {**MODEL, **change})
    assert answer.status_code == 400
    assert sentence in detail(answer)


ARGUMENTS = {
    "/v1/bays": "bay",
    "/v1/baymodels": "baymodel",
    "/v1/clusters": "cluster",
    "/v1/clustertemplates": "cluster_template",
    "/v1/certificates": "certificate",
}


@pytest.mark.parametrize("path", list(ARGUMENTS))
@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", 'Missing argument: "{}"'),
        (b"  ", 'Missing argument: "{}"'),
        (b"{", "Request is not in valid JSON format"),
        (b'{"name": NaN}', "Request is not in valid JSON format"),
        (b'{"name": "\\ud800"}', "Request is not in valid JSON format"),
        (b"\xff\xfe", "Request is not in valid JSON format"),
        (b"[" * 30_000, "Request is not in valid JSON format"),
        (b"[]", "Invalid input for field/attribute {}. Value: '[]'. Value not a valid dict: []"),
        (b'"x"', "Invalid input for field/attribute {}. Value: 'x'. Value not a valid dict: x"),
        (b'{"name": "a\\u0000b"}', "The character U+0000 is not allowed."),
    ],
)
def test_body_of_no_use(system: System, path: str, raw: bytes, sentence: str) -> None:
    argument = ARGUMENTS[path]
    answer = system.call("POST", path, raw=raw)
    assert answer.status_code == 400
    assert sentence.replace("{}", argument) in detail(answer)


DEEP = "[" * 900 + '"\\u0000"' + "]" * 900


@pytest.mark.parametrize("path", [*ARGUMENTS, "/v1/quotas", "/v1/federations"])
@pytest.mark.parametrize(
    "raw", [DEEP, DEEP.replace("\\u0000", ""), f'{{"labels": {DEEP}}}', '{"a":' * 900 + "1" + "}" * 900]
)
def test_a_body_nested_too_deep(system: System, path: str, raw: str) -> None:
    """Each level costs Python's stack, which ends in the midst of a comparison or of a sentence about the value."""
    answer = system.call("POST", path, raw=raw.encode(), user="admin")
    assert answer.status_code == 400
    assert detail(answer) == "The body is nested more than 32 levels deep."


@pytest.mark.parametrize("path", ["/node_count", "/health_status_reason", "/labels/a", "/nope"])
def test_a_patch_nested_too_deep(system: System, model: str, path: str) -> None:
    raw = f'[{{"op": "replace", "path": "{path}", "value": {DEEP}}}]'.encode()
    bay = system.bay(baymodel_id=model)["uuid"]
    for where in (f"/v1/clusters/{bay}", f"/v1/baymodels/{model}", f"/v1/clusters/{bay}/nodegroups/default-worker"):
        answer = system.call("PATCH", where, raw=raw, version="14")
        assert answer.status_code == 400
        assert detail(answer) == "The body is nested more than 32 levels deep."


def test_a_body_of_many_flat_maps_is_not_deep(system: System) -> None:
    patch = [{"op": "replace", "path": "/nope", "value": [{}]}] * 90
    answer = system.call("PATCH", f"/v1/clusters/{system.bay()['uuid']}", patch)
    assert "can't replace a non-existent object 'nope'" in detail(answer)


def test_keypair_is_looked_for_when_a_bay_is_made(system: System) -> None:
    model = system.baymodel(keypair_id="nobody-has-this")
    answer = system.call("POST", "/v1/bays", {"baymodel_id": model["uuid"]})
    assert answer.status_code == 404
    assert detail(answer) == "Unable to find keypair nobody-has-this."


def test_bay_needs_an_external_network(system: System) -> None:
    """A baymodel has the guide's default, a cluster template need not name one."""
    given: dict[str, Any] = {
        name: MODEL[name] for name in ("coe", "image_id", "keypair_id", "flavor_id") if name in MODEL
    }
    made = system.call("POST", "/v1/clustertemplates", {**given, "name": "closed", "external_network_id": None})
    assert made.status_code == 201, made.text
    answer = system.call("POST", "/v1/bays", {"baymodel_id": made.json()["uuid"]})
    assert answer.status_code == 400
    assert "external_network_id" in detail(answer)


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("limit=0", 400, "Limit must be positive"),
        ("limit=-1", 400, "Limit must be positive"),
        ("limit=abc", 400, "invalid literal for int() with base 10: 'abc'"),
        ("marker=abc", 400, "Expected a uuid but received abc."),
        ("sort_dir=up", 400, "Invalid sort direction: up. Acceptable values are 'asc' or 'desc'"),
        ("sort_key=nope", 400, 'The sort_key value "nope" is an invalid field for sorting'),
        ("sort_key=labels", 400, 'The sort_key value "labels" is an invalid field for sorting'),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        *("/v1/bays", "/v1/bays/detail", "/v1/baymodels", "/v1/baymodels/detail"),
        *("/v1/clusters", "/v1/clusters/detail", "/v1/clustertemplates", "/v1/clustertemplates/detail"),
    ],
)
def test_list_queries(system: System, path: str, query: str, status: int, sentence: str) -> None:
    answer = system.call("GET", f"{path}?{query}")
    assert answer.status_code == status
    assert sentence in detail(answer)


def test_marker_that_nobody_has(system: System) -> None:
    unknown = "11111111-2222-3333-4444-555555555555"
    answer = system.call("GET", f"/v1/bays?marker={unknown}")
    assert answer.status_code == 404
    assert detail(answer) == f"Bay {unknown} could not be found."


@pytest.mark.parametrize("path", ["/v1/bays/a%00b", "/v1/baymodels/%00", "/v1/bays?marker=%00"])
def test_nul_in_the_address(system: System, path: str) -> None:
    assert system.call("GET", path).status_code == 400


def test_an_argument_that_comes_twice_might_mean_either(system: System) -> None:
    refused = system.call("POST", "/v1/bays?dry_run=true&dry_run=false", {"baymodel_id": "zzz"})
    assert (refused.status_code, detail(refused)) == (400, 'Argument "dry_run" is given more than once.')
