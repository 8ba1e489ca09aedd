"""The documents of the root and of version 1 (contract §1.2, §1.3)."""

from __future__ import annotations

import pytest

from tests.api.harness import System, detail

RESOURCES = [
    *("baymodels", "bays", "certificates", "clusters", "clustertemplates", "credentials", "federations", "mservices"),
    *("nodegroups", "quotas", "stats"),
]


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_version_1_names_every_resource(system: System, path: str) -> None:
    document = system.call("GET", path, user=None).json()
    assert list(document) == ["id", "media_types", "links", *RESOURCES]
    for name in RESOURCES:
        place = "clusters/{cluster_id}/nodegroups" if name == "nodegroups" else f"{name}/"
        assert document[name] == [
            {"rel": "self", "href": f"{system.api_url}/v1/{place}"},
            {"rel": "bookmark", "href": f"{system.api_url}/{place}"},
        ]


@pytest.mark.parametrize("name", sorted({*RESOURCES} - {"nodegroups", "credentials", "certificates"}))
def test_every_list_is_where_the_document_says(system: System, name: str) -> None:
    for path in (f"/v1/{name}/", f"/{name}/"):
        answer = system.call("GET", path, user="admin")
        assert answer.status_code == 200
        assert name in answer.json() or name == "stats"
        assert answer.headers["OpenStack-API-Version"] == "container-infrastructure-management 1.1"


def test_trap_22_what_has_no_list_has_405(system: System) -> None:
    """Contract §10, 22."""
    assert system.call("GET", "/v1/certificates").status_code == 405
    for name in RESOURCES:
        if name != "nodegroups":
            answer = system.call("HEAD", f"/v1/{name}", user="admin")
            assert answer.status_code == (404 if name == "credentials" else 405)


def test_trap_3_unknown_queries(system: System) -> None:
    """Contract §10, 3."""
    for name in ("quotas", "stats", "mservices", "federations"):
        answer = system.call("GET", f"/v1/{name}?bogus=1", user="admin")
        assert answer.status_code == 400
        assert detail(answer) == 'Unknown argument: "bogus"'
