"""Cluster templates: the rows of baymodels under their later name (contract §1.12)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.contracts.http.clustertemplates import ClustertemplateFull
from tests.api.harness import MODEL, System, detail, unique
from tests.api.made import cluster, template
from tests.api.test_baymodels import KEYS

EVERY_VERSION = [None, *(str(minor) for minor in range(1, 15))]
OWN = ["driver", "project_id", "user_id"]
TEMPLATE_KEYS = [*KEYS[: KEYS.index("created_at")], *OWN, "created_at", "updated_at"]


def patch(system: System, model: dict[str, Any], *items: dict[str, Any], user: str = "demo") -> Any:
    return system.call("PATCH", f"/v1/clustertemplates/{model['uuid']}", list(items), user=user)


@pytest.mark.parametrize("version", EVERY_VERSION)
def test_the_same_at_every_microversion(system: System, version: str | None) -> None:
    answer = system.call("POST", "/v1/clustertemplates/", {**MODEL, "name": unique("t")}, version=version)
    assert answer.status_code == 201
    made = answer.json()
    assert list(made) == TEMPLATE_KEYS
    path = f"/v1/clustertemplates/{made['uuid']}"
    assert answer.headers["Location"] == system.api_url + path
    assert made["links"][0]["href"] == system.api_url + path
    assert system.call("GET", path, version=version).json() == made
    for where in ("/v1/clustertemplates", "/v1/clustertemplates/detail"):
        assert made in system.call("GET", where, version=version).json()["clustertemplates"]
    changed = system.call("PATCH", path, [{"op": "replace", "path": "/name", "value": "x"}], version=version)
    assert (changed.status_code, changed.json()["name"], list(changed.json())) == (200, "x", TEMPLATE_KEYS)
    assert system.call("DELETE", path, version=version).status_code == 204


def test_what_the_command_line_sends(system: System) -> None:
    """`openstack coe cluster template create` 5.0.0: every key, null where not given (clients.md §3)."""
    body: dict[str, object] = {
        **dict.fromkeys(
            ("keypair_id", "fixed_network", "fixed_subnet", "network_driver", "volume_driver", "master_flavor_id")
        ),
        **dict.fromkeys(("docker_volume_size", "http_proxy", "https_proxy", "no_proxy", "insecure_registry", "driver")),
        "name": unique("cli"),
        "image_id": "fedora-21-atomic-5",
        "external_network_id": "public",
        "coe": "kubernetes",
        "flavor_id": "m1.small",
        "dns_nameserver": "8.8.8.8",
        "docker_storage_driver": "overlay2",
        "labels": {},
        "tls_disabled": False,
        "public": False,
        "registry_enabled": False,
        "server_type": "vm",
        "master_lb_enabled": False,
        "hidden": False,
        "tags": "web,small",
    }
    answer = system.call("POST", "/v1/clustertemplates", body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["keypair_id"], made["docker_storage_driver"], made["tags"]) == (None, "overlay2", "web,small")
    assert (made["labels"], made["driver"], made["network_driver"]) == ({}, "", "flannel")


def test_stored_text_has_exactly_the_documented_keys(system: System) -> None:
    made = template(system)
    assert set(made) == ClustertemplateFull.model_fields.keys()
    content = system.call("GET", f"/v1/clustertemplates/{made['uuid']}").content
    ClustertemplateFull.model_validate_json(content, strict=True)


def test_both_names_show_the_same_row(system: System) -> None:
    model = system.baymodel(labels={"a": "1"})
    one = system.call("GET", f"/v1/clustertemplates/{model['name']}").json()
    assert {**{key: one[key] for key in model}, "links": None} == {**model, "links": None}
    made = template(system, labels=None, keypair_id=None)
    other = system.call("GET", f"/v1/baymodels/{made['uuid']}").json()
    assert (other["name"], other["labels"], made["labels"]) == (made["name"], None, {})
    renamed = system.call(
        "PATCH", f"/v1/baymodels/{made['uuid']}", [{"op": "replace", "path": "/name", "value": "of-a-baymodel"}]
    )
    assert (renamed.status_code, renamed.json()["keypair_id"]) == (200, None), "though a new baymodel needs one"
    assert system.call("DELETE", f"/v1/baymodels/{made['uuid']}").status_code == 204
    assert system.call("GET", f"/v1/clustertemplates/{made['uuid']}").status_code == 404


def test_name_for_who_gives_none(system: System) -> None:
    assert re.fullmatch(r"[a-z]+-\d+-template", template(system, name=None)["name"])


def test_key_pair_that_nobody_has_is_taken(system: System) -> None:
    assert template(system, keypair_id=unique("key"))["keypair_id"].startswith("key-")


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"bogus": 1}, 400, "Unknown attribute for argument cluster_template: bogus"),
        ({"ssh_authorized_key": None, "bogus": None, "coe": None}, 400, "Requested COE type Unset is not supported."),
        ({"ssh_authorized_key": "x"}, 400, "Unknown attribute for argument cluster_template: ssh_authorized_key"),
        ({"coe": "foo"}, 400, "Value should be one of: kubernetes, swarm, swarm-mode, mesos"),
        ({"coe": "swarm-mode", "image_id": "coreos"}, 400, "Cluster type (vm, coreos, swarm-mode) not supported."),
        ({"image_id": None}, 400, "attribute image_id. Value: 'None'. Mandatory field missing."),
        ({"driver": "nope"}, 400, "Driver nope is not installed."),
        ({"project_id": "x"}, 400, "Cannot set read only field."),
        ({"docker_storage_driver": "zfs"}, 400, "Value should be one of: devicemapper, overlay, overlay2"),
        (
            {"docker_volume_size": 2, "docker_storage_driver": "devicemapper"},
            400,
            "expecting minimum value 3GB for devicemapper storage driver.",
        ),
        ({"tags": "x" * 256}, 400, "Value should have a maximum character requirement of 255"),
        ({"public": True}, 403, "Not authorized to set public or hidden flag for cluster template."),
        ({"hidden": "yes"}, 403, "Not authorized to set public or hidden flag for cluster template."),
        ({"tls_disabled": "foo"}, 400, "Value should be one of: true, false"),
    ],
)
def test_bad_input(system: System, change: dict[str, Any], status: int, sentence: str) -> None:
    answer = system.call("POST", "/v1/clustertemplates", {**MODEL, **change})
    assert answer.status_code == status
    assert sentence in detail(answer)


def test_a_driver_may_be_named(system: System) -> None:
    made = template(system, driver="k8s_fedora_atomic")
    assert made["driver"] == "k8s_fedora_atomic"
    cluster(system, cluster_template_id=made["uuid"])
    gone = patch(system, template(system, driver="k8s_fedora_atomic"), {"op": "remove", "path": "/driver"})
    assert gone.json()["driver"] == ""


def test_patch_with_the_forms_of_all_clients(system: System) -> None:
    made = template(system, labels={"old": "x"})
    for value, kept in (
        ("{'a': '5'}", {"a": "5"}),
        ('{"a": 6}', {"a": "6"}),
        ("a=1,b=x=2", {"a": "1", "b": "x=2"}),
        ({"c": True}, {"c": "True"}),
    ):
        answer = patch(system, made, {"op": "replace", "path": "/labels", "value": value})
        assert (answer.status_code, answer.json()["labels"]) == (200, kept)
    answer = patch(
        system,
        made,
        {"op": "add", "path": "/labels/z", "value": 1},
        {"op": "remove", "path": "/labels/c"},
        {"op": "replace", "path": "/docker_volume_size", "value": "7"},
        {"op": "replace", "path": "/tls_disabled", "value": "True"},
        {"op": "replace", "path": "/tags", "value": "a,b"},
    )
    changed = answer.json()
    assert (changed["labels"], changed["docker_volume_size"]) == ({"z": "1"}, 7)
    assert (changed["tls_disabled"], changed["tags"]) == (True, "a,b")


def test_key_pair_may_be_removed_here_only(system: System) -> None:
    made = template(system)
    item = {"op": "remove", "path": "/keypair_id"}
    refused = system.call("PATCH", f"/v1/baymodels/{made['uuid']}", [item])
    assert detail(refused) == "'/keypair_id' is a mandatory attribute and can not be removed"
    assert patch(system, made, item).json()["keypair_id"] is None


def test_patch_of_nothing_leaves_no_trace(system: System) -> None:
    made = template(system)
    assert patch(system, made).json() == made
    assert patch(system, made, {"op": "replace", "path": "/name", "value": made["name"]}).json() == made


def test_missing(system: System) -> None:
    for ident in ("fooo", "11111111-2222-3333-4444-555555555555"):
        path = f"/v1/clustertemplates/{ident}"
        for method, body in (("GET", None), ("DELETE", None), ("PATCH", [])):
            answer = system.call(method, path, body)
            assert (answer.status_code, detail(answer)) == (404, f"ClusterTemplate {ident} could not be found.")
        assert system.call("PATCH", path, {"name": "x"}).status_code == 400, "the body is looked at first"


def test_in_use(system: System) -> None:
    made = template(system)
    cluster(system, cluster_template_id=made["uuid"])
    words = f"ClusterTemplate {made['uuid']} is referenced by one or multiple clusters."
    refused = [
        system.call("DELETE", f"/v1/clustertemplates/{made['uuid']}"),
        patch(system, made, {"op": "replace", "path": "/docker_volume_size", "value": 9}),
    ]
    for answer in refused:
        assert (answer.status_code, detail(answer)) == (400, words)
    for item in ({"path": "/name", "value": "other"}, {"path": "/tags", "value": "a"}):
        assert patch(system, made, {"op": "replace", **item}).status_code == 200
    published = patch(system, made, {"op": "replace", "path": "/public", "value": True}, user="admin")
    assert (published.status_code, published.json()["public"]) == (200, True)


def test_public_one_of_another_project(system: System) -> None:
    made = template(system, user="admin", public=True)
    path = f"/v1/clustertemplates/{made['uuid']}"
    assert system.call("GET", path, user="alt").json() == made
    cluster(system, user="alt", cluster_template_id=made["name"])
    answer = patch(system, made, {"op": "replace", "path": "/name", "value": "x"}, user="alt")
    assert detail(answer) == "Policy doesn't allow clustertemplate:update to be performed."
    assert system.call("DELETE", path, user="alt").status_code == 403


def test_words_of_the_reader(system: System) -> None:
    answer = system.call("POST", "/v1/clustertemplates", MODEL, user="reader")
    assert detail(answer) == "Policy doesn't allow clustertemplate:create to be performed."
