"""Federations: checked, accepted and never there, as in Magnum (contract §1.19)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.api.harness import System, detail

PROPERTIES = {"dns-zone": "example.com."}


@pytest.fixture(scope="module")
def bay(system: System) -> dict[str, Any]:
    """A bay of demo's."""
    return system.bay()


@pytest.mark.parametrize("path", ["/v1/federations", "/v1/federations/detail", "/federations/"])
def test_there_are_none(system: System, path: str) -> None:
    for user in ("demo", "reader", "admin"):
        answer = system.call("GET", f"{path}?limit=1&sort_key=name&sort_dir=desc", user=user)
        assert (answer.status_code, answer.json()) == (200, {"federations": []})


@pytest.mark.parametrize("ident", ["name", "uuid"])
def test_accepted_and_gone(system: System, bay: dict[str, Any], ident: str) -> None:
    body = {"name": "fed", "hostcluster_id": bay[ident], "member_ids": [bay["uuid"]], "properties": PROPERTIES}
    answer = system.call("POST", "/v1/federations", body)
    assert answer.status_code == 202
    assert list(answer.json()) == ["uuid"]
    assert str(uuid.UUID(answer.json()["uuid"])) == answer.json()["uuid"]
    assert system.call("GET", f"/v1/federations/{answer.json()['uuid']}").status_code == 404
    assert system.call("GET", "/v1/federations").json() == {"federations": []}


def test_one_is_never_found(system: System) -> None:
    patch = [{"op": "replace", "path": "/name", "value": "x"}]
    for method, path, body in (
        ("GET", "/v1/federations/fed", None),
        ("PATCH", "/v1/federations/fed/?rollback=True", patch),
        ("DELETE", "/v1/federations/fed", None),
    ):
        answer = system.call(method, path, body)
        assert answer.status_code == 404
        assert detail(answer) == "Federation fed could not be found."


def test_a_marker_names_none(system: System) -> None:
    marker = str(uuid.uuid4())
    answer = system.call("GET", f"/v1/federations?marker={marker}")
    assert answer.status_code == 404
    assert detail(answer) == f"Federation {marker} could not be found."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"properties": PROPERTIES}, "No hostcluster specified. Please specify a hostcluster_id."),
        ({"hostcluster_id": "BAY"}, "Please specify a `properties` dict for the federation."),
        ({"hostcluster_id": "BAY", "properties": {}}, "No DNS zone specified. Please specify a `dns-zone`."),
        ({"hostcluster_id": "BAY", "properties": "x"}, "properties"),
        ({"hostcluster_id": "BAY", "properties": {"dns-zone": 1}}, "properties"),
        ({"hostcluster_id": "BAY", "member_ids": "x", "properties": PROPERTIES}, "member_ids"),
        ({"name": "1abc"}, "Value: '1abc'. Value should match the pattern ^[a-zA-Z][a-zA-Z0-9_.-]*$"),
        ({"name": "a" * 243}, "maximum character requirement of 242"),
        ({"status": "x"}, "Cannot set read only field."),
        ({"foo": 1}, "Unknown attribute for argument federation: foo"),
        ([], "Value not a valid dict"),
    ],
)
def test_bad_bodies(system: System, bay: dict[str, Any], body: Any, sentence: str) -> None:
    if isinstance(body, dict) and body.get("hostcluster_id") == "BAY":
        body = {**body, "hostcluster_id": bay["uuid"]}
    answer = system.call("POST", "/v1/federations", body)
    assert answer.status_code == 400
    assert sentence in detail(answer)


def test_the_host_must_be_the_callers(system: System, bay: dict[str, Any]) -> None:
    body = {"hostcluster_id": bay["uuid"], "properties": PROPERTIES}
    answer = system.call("POST", "/v1/federations", body, user="alt")
    assert answer.status_code == 404
    assert detail(answer) == f"Cluster {bay['uuid']} could not be found."
    assert system.call("POST", "/v1/federations", body, user="admin").status_code == 202


def test_readers_do_not_write(system: System) -> None:
    for method, path, rule in (
        ("POST", "/v1/federations", "create"),
        ("PATCH", "/v1/federations/x", "update"),
        ("DELETE", "/v1/federations/x", "delete"),
    ):
        body: object = {"POST": {}, "PATCH": [], "DELETE": None}[method]
        answer = system.call(method, path, body, user="reader")
        assert answer.status_code == 403
        assert detail(answer) == f"Policy doesn't allow federation:{rule} to be performed."


def test_a_patch_must_be_a_list(system: System) -> None:
    answer = system.call("PATCH", "/v1/federations/x", {"name": "y"})
    assert answer.status_code == 400
    assert "Value not a valid list" in detail(answer)
