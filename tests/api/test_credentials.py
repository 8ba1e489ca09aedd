"""The doors of the rotation of credentials and authorities (contract §1.14, §1.15)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.harness import LATEST, System, detail

CREDENTIAL = "The nodes of this cluster do not use the cloud, so there is no credential to rotate."
BYTES = {"Content-Type": "application/octet-stream"}
BODIES: list[tuple[bytes | None, dict[str, str]]] = [
    (None, {}),
    (None, BYTES),
    (b"", BYTES),
    (b"[]", {"Content-Type": "application/json"}),
    (b"{}", {}),
    (b"\x00\xff no JSON", BYTES),
]


@pytest.fixture(scope="module")
def bay(system: System) -> dict[str, Any]:
    """A bay of demo's."""
    return system.bay()


@pytest.mark.parametrize(("raw", "headers"), BODIES)
def test_any_body_will_do(system: System, bay: dict[str, Any], raw: bytes | None, headers: dict[str, str]) -> None:
    for ident in ("uuid", "name"):
        answer = system.call("PATCH", f"/v1/credentials/{bay[ident]}", raw=raw, headers=headers, version="12")
        assert (answer.status_code, detail(answer)) == (400, CREDENTIAL)
        answer = system.call("PATCH", f"/v1/certificates/{bay[ident]}", raw=raw, headers=headers, version="12")
        assert (answer.status_code, answer.json()) == (202, {"uuid": bay["uuid"]})


def test_credentials_begin_at_1_12(system: System, bay: dict[str, Any]) -> None:
    for version, shown in ((None, "1.1"), ("11", "1.11")):
        answer = system.call("PATCH", f"/v1/credentials/{bay['uuid']}", version=version)
        assert answer.status_code == 406
        said = f"Version {shown} was requested but the requested API patch is not supported for this version."
        assert detail(answer) == said
    assert system.call("PATCH", f"/credentials/{bay['uuid']}/").status_code == 406
    assert detail(system.call("PATCH", f"/credentials/{bay['uuid']}/", headers=LATEST)) == CREDENTIAL


def test_the_authority_may_be_rotated_at_every_microversion(system: System, bay: dict[str, Any]) -> None:
    """As in Magnum, where 1.5 is not looked at."""
    for version in (None, "4", "14"):
        assert system.call("PATCH", f"/v1/certificates/{bay['uuid']}/", version=version).status_code == 202


def test_no_tls_no_authority(system: System) -> None:
    bay = system.bay(baymodel_id=system.baymodel(tls_disabled=True)["uuid"])
    answer = system.call("PATCH", f"/v1/certificates/{bay['uuid']}")
    assert answer.status_code == 400
    assert detail(answer) == "Rotating the CA certificate on a non-TLS cluster is not supported."


@pytest.mark.parametrize("path", ["credentials", "certificates"])
def test_a_cluster_that_is_not_seen(system: System, bay: dict[str, Any], path: str) -> None:
    for ident, user in (("nope", "demo"), (bay["uuid"], "alt")):
        answer = system.call("PATCH", f"/v1/{path}/{ident}", user=user, version="14")
        assert answer.status_code == 404
        assert detail(answer) == f"Cluster {ident} could not be found."


@pytest.mark.parametrize("path", ["credentials", "certificates"])
def test_trap_4_a_name_for_several(system: System, path: str) -> None:
    """Contract §10, 4."""
    first = system.bay()
    system.bay(name=first["name"])
    answer = system.call("PATCH", f"/v1/{path}/{first['name']}", version="14")
    assert answer.status_code == 409
    assert detail(answer) == "Multiple clusters exist with same name. Please use the cluster uuid instead."


def test_who_may(system: System, bay: dict[str, Any]) -> None:
    for path, user, rule in (
        ("credentials", "reader", "credential:rotate"),
        ("credentials", "admin", "credential:rotate"),
        ("certificates", "reader", "certificate:rotate_ca"),
    ):
        answer = system.call("PATCH", f"/v1/{path}/{bay['uuid']}", user=user, version="14")
        assert answer.status_code == 403
        assert detail(answer) == f"Policy doesn't allow {rule} to be performed."
    assert system.call("PATCH", f"/v1/certificates/{bay['uuid']}", user="admin").status_code == 202


def test_nothing_else_is_there(system: System, bay: dict[str, Any]) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert system.call(method, f"/v1/credentials/{bay['uuid']}", version="14").status_code == 405
    assert system.call("GET", f"/v1/credentials/{bay['uuid']}?x=1", version="14").status_code == 405
    answer = system.call("PATCH", f"/v1/credentials/{bay['uuid']}?x=1", version="14")
    assert detail(answer) == 'Unknown argument: "x"'
