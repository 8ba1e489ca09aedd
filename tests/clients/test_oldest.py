"""python-magnumclient 1.1.0 (2015) on the wire: it needs Python 2, so its requests stand here as it sent them.

No microversion, every key always there, numbers as text, nulls for what was not given, `ssh_authorized_key` and
`bay_uuid`. It logs in with Keystone v2, which clouds no longer have; that part is not replayed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.pki_client import new_key_and_csr, verify_chain
from tests.clients.support.cloud import Cloud

BAYMODEL: dict[str, object] = {
    "name": "oldmodel",
    "image_id": "fedora-21-atomic-5",
    "flavor_id": "m1.medium",
    "master_flavor_id": None,
    "keypair_id": "testkey",
    "external_network_id": "public",
    "fixed_network": None,
    "dns_nameserver": "8.8.8.8",
    "docker_volume_size": "5",
    "labels": {},
    "ssh_authorized_key": None,
    "coe": "kubernetes",
    "http_proxy": None,
    "https_proxy": None,
    "no_proxy": None,
    "network_driver": "flannel",
    "tls_disabled": False,
    "public": False,
}
JSON = {"Content-Type": "application/json", "User-Agent": "python-magnumclient"}
RAW = {"Content-Type": "application/octet-stream", "Accept": "*/*", "User-Agent": "python-magnumclient"}


class Oldest:
    """The client's two kinds of request."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def json(self, method: str, path: str, body: object = None) -> Any:
        """With a body that it decodes; any 2xx is success to it, and a single item must have `links`."""
        answer = self._cloud.call(method, path, body, headers=JSON)
        assert 200 <= answer.status_code < 300, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json()

    def item(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """A single thing as it prints it: without its links, which must be there."""
        shown = dict(self.json(method, path, body))
        del shown["links"]
        return shown

    def delete(self, path: str) -> int:
        """The status."""
        return self._cloud.call("DELETE", path, headers=RAW).status_code


@pytest.fixture(scope="module")
def oldest(cloud: Cloud) -> Oldest:
    """The client."""
    return Oldest(cloud)


@pytest.fixture(scope="module")
def bay(oldest: Oldest, cloud: Cloud) -> Iterator[dict[str, Any]]:
    """A bay as its `bay-create` makes it, complete."""
    oldest.item("POST", "/baymodels", BAYMODEL)
    model = oldest.item("GET", "/baymodels/oldmodel")
    body = {"name": "oldbay", "baymodel_id": model["uuid"], "node_count": "1", "master_count": "1"}
    made = oldest.item("POST", "/bays", {**body, "discovery_url": None, "bay_create_timeout": None})
    assert cloud.settled(made["uuid"]) == "CREATE_COMPLETE"
    yield made
    cloud.remove(made["uuid"])


def test_a_baymodel(oldest: Oldest) -> None:
    made = oldest.item("POST", "/baymodels", {**BAYMODEL, "name": "oldpassing"})
    assert made["docker_volume_size"] == 5
    assert "oldpassing" in {model["name"] for model in oldest.json("GET", "/baymodels")["baymodels"]}
    patch = [{"op": "add", "path": "/labels/a", "value": 1}, {"op": "replace", "path": "/tls_disabled", "value": True}]
    changed = oldest.item("PATCH", "/baymodels/oldpassing", patch)
    assert (changed["labels"], changed["tls_disabled"]) == ({"a": "1"}, True)
    assert oldest.delete("/baymodels/oldpassing") == 204


def test_a_bay_is_answered_whole_and_at_once(bay: dict[str, Any], oldest: Oldest) -> None:
    assert (bay["node_count"], bay["master_count"], bay["status"]) == (1, 1, "CREATE_IN_PROGRESS")
    listed = next(each for each in oldest.json("GET", "/bays")["bays"] if each["uuid"] == bay["uuid"])
    assert {"uuid", "name", "node_count", "master_count", "status"} <= set(listed)
    assert oldest.item("GET", "/bays/oldbay")["api_address"].startswith("https://")


def test_a_timeout_as_text(bay: dict[str, Any], oldest: Oldest, cloud: Cloud) -> None:
    body = {"name": "oldtimed", "baymodel_id": bay["baymodel_id"], "node_count": "1", "master_count": "1"}
    made = oldest.item("POST", "/bays", {**body, "discovery_url": None, "bay_create_timeout": "15"})
    assert made["bay_create_timeout"] == 15
    assert oldest.delete("/bays/oldtimed") == 204
    assert cloud.settled(made["uuid"]) == ""


def test_a_bay_changes_size(bay: dict[str, Any], oldest: Oldest, cloud: Cloud) -> None:
    changed = oldest.item("PATCH", "/bays/oldbay", [{"op": "replace", "path": "/node_count", "value": 2}])
    assert changed["uuid"] == bay["uuid"]
    assert cloud.settled(bay["uuid"]) == "UPDATE_COMPLETE"
    assert oldest.item("GET", "/bays/oldbay")["node_count"] == 2


def test_certificates(bay: dict[str, Any], oldest: Oldest) -> None:
    """Both commands first look whether the bay is complete."""
    shown = oldest.item("GET", "/bays/oldbay")
    assert shown["status"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    authority = oldest.json("GET", f"/certificates/{shown['uuid']}")
    csr = new_key_and_csr("admin", "system:masters").csr_pem
    signed = oldest.json("POST", "/certificates", {"bay_uuid": shown["uuid"], "csr": csr})
    assert (authority["bay_uuid"], signed["bay_uuid"]) == (shown["uuid"], shown["uuid"])
    verify_chain(signed["pem"], authority["pem"])


@pytest.mark.parametrize("resource", ["pods", "services", "rcs", "containers", "nodes"])
def test_what_went_elsewhere_says_so(bay: dict[str, Any], cloud: Cloud, resource: str) -> None:
    """These commands are of a time when Magnum stood before the container engine."""
    answer = cloud.call("GET", f"/{resource}?bay_ident={bay['uuid']}", headers=JSON)
    assert answer.status_code in {404, 410}
    assert answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("path", "status"), [("/bays/nope", 404), ("/baymodels/nope", 404), ("/certificates/nope", 404)]
)
def test_an_error_is_status_and_request_id(cloud: Cloud, path: str, status: int) -> None:
    """It shows nothing else."""
    answer = cloud.call("GET", path, headers=JSON)
    assert (answer.status_code, answer.headers["x-openstack-request-id"][:4]) == (status, "req-")
