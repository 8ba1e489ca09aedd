"""Baymodels (contract §1.12)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.harness import MODEL, System, detail, unique

KEYS = [
    *("uuid", "name", "coe", "image_id", "flavor_id", "master_flavor_id", "dns_nameserver", "keypair_id"),
    *("external_network_id", "fixed_network", "fixed_subnet", "network_driver", "apiserver_port"),
    *("docker_volume_size", "cluster_distro", "links", "http_proxy", "https_proxy", "no_proxy", "volume_driver"),
    *("registry_enabled", "labels", "tls_disabled", "public", "server_type", "insecure_registry"),
    *("docker_storage_driver", "master_lb_enabled", "floating_ip_enabled", "hidden", "tags", "created_at"),
    "updated_at",
]


def patch(system: System, model: dict[str, Any], *items: dict[str, Any], user: str = "demo") -> Any:
    return system.call("PATCH", f"/v1/baymodels/{model['uuid']}", list(items), user=user)


def test_made_with_all_that_1_1_0_sends(system: System) -> None:
    """python-magnumclient 1.1.0: all keys always, null where not given, numbers as text (clients.md §3)."""
    body = {
        **MODEL,
        "name": unique("model"),
        "docker_volume_size": "5",
        "dns_nameserver": "8.8.8.8",
        "master_flavor_id": None,
        "fixed_network": None,
        "labels": {},
        "ssh_authorized_key": None,
        "http_proxy": None,
        "https_proxy": None,
        "no_proxy": None,
        "network_driver": None,
        "tls_disabled": False,
        "public": False,
    }
    answer = system.call("POST", "/v1/baymodels", body)
    assert answer.status_code == 201
    model = answer.json()
    assert list(model) == KEYS
    assert answer.headers["Location"] == f"{system.api_url}/v1/baymodels/{model['uuid']}"
    assert (model["docker_volume_size"], model["network_driver"], model["labels"]) == (5, "flannel", {})
    assert (model["cluster_distro"], model["server_type"]) == ("fedora-atomic", "vm")
    assert (model["tls_disabled"], model["floating_ip_enabled"], model["master_lb_enabled"]) == (False, True, False)
    assert (model["volume_driver"], model["apiserver_port"], model["updated_at"]) == (None, None, None)
    for path in (model["uuid"], model["name"]):
        assert system.call("GET", f"/v1/baymodels/{path}").json() == model
    for path in ("/v1/baymodels", "/v1/baymodels/detail"):
        assert model in system.call("GET", path).json()["baymodels"]


def test_words_for_booleans(system: System) -> None:
    model = system.baymodel(tls_disabled="True", floating_ip_enabled="no", public="0", hidden=0)
    assert (model["tls_disabled"], model["floating_ip_enabled"], model["public"]) == (True, False, False)


def test_name_for_who_gives_none_and_labels_null_when_unset(system: System) -> None:
    model = system.baymodel(name=None)
    assert re.fullmatch(r"[a-z]+-\d+-model", model["name"])
    assert model["labels"] is None


def test_names_are_not_unique(system: System) -> None:
    name = unique("twin")
    twins = [system.baymodel(name=name) for _ in range(2)]
    words = "Multiple ClusterTemplates exist with same name. Please use the ClusterTemplate uuid instead."
    answers = [system.call("GET", f"/v1/baymodels/{name}"), system.call("POST", "/v1/bays", {"baymodel_id": name})]
    for answer in answers:
        assert answer.status_code == 409
        assert detail(answer) == words
    assert system.call("DELETE", f"/v1/baymodels/{twins[0]['uuid']}").status_code == 204
    assert system.call("GET", f"/v1/baymodels/{name}").json() == twins[1]


def test_missing(system: System) -> None:
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", [])):
        answer = system.call(method, "/v1/baymodels/fooo", body)
        assert answer.status_code == 404
        assert detail(answer) == "ClusterTemplate fooo could not be found."
    uuid = "11111111-2222-3333-4444-555555555555"
    assert system.call("PATCH", f"/v1/baymodels/{uuid}", {"a": 1}).status_code == 400


# changing


def test_patch(system: System) -> None:
    model = system.baymodel(labels={"a": "1"})
    answer = patch(
        system,
        model,
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "replace", "path": "/docker_volume_size", "value": "7"},
        {"op": "add", "path": "/labels/z", "value": 1},
        {"op": "replace", "path": "/tls_disabled", "value": True},
        {"op": "add", "path": "/dns_nameserver", "value": "1.1.1.1,8.8.8.8"},
        {"op": "remove", "path": "/labels/a"},
    )
    assert answer.status_code == 200
    changed = answer.json()
    assert list(changed) == KEYS
    assert (changed["name"], changed["docker_volume_size"], changed["tls_disabled"]) == ("renamed", 7, True)
    assert (changed["labels"], changed["dns_nameserver"]) == ({"z": "1"}, "1.1.1.1,8.8.8.8")
    assert changed["updated_at"] is not None
    assert system.call("GET", f"/v1/baymodels/{model['uuid']}").json() == changed


@pytest.mark.parametrize("value", ["{'a': '1', 'b': 2}", '{"a": "1", "b": 2}', {"a": "1", "b": 2}, "a=1,b=2"])
def test_labels_as_text(system: System, value: object) -> None:
    model = system.baymodel(labels={"old": "x"})
    answer = patch(system, model, {"op": "replace", "path": "/labels", "value": value})
    assert answer.json()["labels"] == {"a": "1", "b": "2"}


def test_removed_attribute_gets_its_default(system: System) -> None:
    model = system.baymodel(floating_ip_enabled=False, labels={"a": "1"})
    items = [{"op": "remove", "path": f"/{name}"} for name in ("floating_ip_enabled", "labels", "docker_volume_size")]
    changed = patch(system, model, *items).json()
    assert (changed["floating_ip_enabled"], changed["labels"], changed["docker_volume_size"]) == (True, None, 5)


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ({"op": "replace", "path": "/uuid", "value": "x"}, "'/uuid' is an internal attribute and can not be updated"),
        (
            {"op": "replace", "path": "/cluster_distro", "value": "x"},
            "'/cluster_distro' is an internal attribute and can not be updated",
        ),
        *(
            (
                {"op": "remove", "path": f"/{name}"},
                f"'/{name}' is a mandatory attribute and can not be removed",
            )
            for name in ("coe", "image_id", "keypair_id", "public", "tls_disabled", "network_driver", "server_type")
        ),
        ({"op": "replace", "path": "/labels", "value": "a=1,b"}, "Value not a valid dict: a=1,b"),
        ({"op": "replace", "path": "/labels", "value": "{'a': b'1'}"}, "Value not a valid dict: {'a': b'1'}"),
        ({"op": "replace", "path": "/labels", "value": "{'a': '\\x00'}"}, "Value not a valid dict: {'a': '\\x00'}"),
        ({"op": "replace", "path": "/driver", "value": "x"}, "Reason: can't replace a non-existent object 'driver'"),
        ({"op": "replace", "path": "/image_id", "value": "nope"}, "Image nope could not be found."),
        (
            {"op": "replace", "path": "/coe", "value": "foo"},
            "Value should be one of: kubernetes, swarm, swarm-mode, mesos",
        ),
        ({"op": "remove", "path": "/labels/none"}, "Reason: can't remove a non-existent object 'none'"),
        ({"op": "replace", "path": "/foo", "value": 1}, "Reason: can't replace a non-existent object 'foo'"),
        ({"op": "add", "path": "/name", "value": "x"}, "The attribute /name has existed"),
    ],
)
def test_patches_that_are_refused(system: System, item: dict[str, Any], sentence: str) -> None:
    answer = patch(system, system.baymodel(), item)
    assert answer.status_code == 400
    assert sentence in detail(answer)


def test_in_use(system: System) -> None:
    model = system.baymodel()
    system.bay(baymodel_id=model["uuid"])
    words = f"ClusterTemplate {model['uuid']} is referenced by one or multiple clusters."
    refused = [
        system.call("DELETE", f"/v1/baymodels/{model['uuid']}"),
        patch(system, model, {"op": "replace", "path": "/docker_volume_size", "value": 9}),
    ]
    for answer in refused:
        assert answer.status_code == 400
        assert detail(answer) == words
    renamed = patch(system, model, {"op": "replace", "path": "/name", "value": "other"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "other")


# who may


def test_public_needs_an_administrator(system: System) -> None:
    words = "Not authorized to set public or hidden flag for cluster template."
    model = system.baymodel()
    refused = [
        system.call("POST", "/v1/baymodels", {**MODEL, "public": True}),
        system.call("POST", "/v1/baymodels", {**MODEL, "hidden": True}),
        patch(system, model, {"op": "replace", "path": "/public", "value": True}),
    ]
    for answer in refused:
        assert answer.status_code == 403
        assert detail(answer) == words
    published = patch(system, model, {"op": "replace", "path": "/public", "value": True}, user="admin")
    assert (published.status_code, published.json()["public"]) == (200, True)


def test_public_one_is_seen_and_used_by_all_and_changed_by_its_own(system: System) -> None:
    model = system.baymodel(user="admin", public=True)
    path = f"/v1/baymodels/{model['uuid']}"
    assert system.call("GET", path, user="alt").json() == model
    assert system.call("GET", f"/v1/baymodels/{model['name']}", user="alt").json() == model
    assert system.bay(user="alt", baymodel_id=model["name"])["baymodel_id"] == model["uuid"]
    assert system.call("DELETE", path, user="alt").status_code == 403
    answer = patch(system, model, {"op": "replace", "path": "/name", "value": "x"}, user="alt")
    assert detail(answer) == "Policy doesn't allow baymodel:update to be performed."


def test_hidden_one_is_not_found_by_others(system: System) -> None:
    model = system.baymodel(user="admin", public=True, hidden=True)
    assert system.call("GET", f"/v1/baymodels/{model['uuid']}", user="alt").status_code == 404
    assert system.call("POST", "/v1/bays", {"baymodel_id": model["uuid"]}, user="alt").status_code == 400
    listed = system.call("GET", "/v1/baymodels", user="alt").json()["baymodels"]
    assert model["uuid"] not in {one["uuid"] for one in listed}


def test_private_one_is_not_found_by_others(system: System) -> None:
    model = system.baymodel()
    assert system.call("GET", f"/v1/baymodels/{model['uuid']}", user="alt").status_code == 404
    assert system.call("GET", f"/v1/baymodels/{model['uuid']}", user="admin").status_code == 200


def test_reader_reads_only(system: System) -> None:
    model = system.baymodel()
    path = f"/v1/baymodels/{model['uuid']}"
    assert system.call("GET", path, user="reader").status_code == 200
    assert system.call("GET", "/v1/baymodels", user="reader").status_code == 200
    assert system.call("POST", "/v1/baymodels", MODEL, user="reader").status_code == 403
    assert system.call("DELETE", path, user="reader").status_code == 403
    assert system.call("PATCH", path, [], user="reader").status_code == 403
