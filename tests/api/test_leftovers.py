"""What Magnum had in 2015: a clean answer that says where it went (contract §1.20)."""

from __future__ import annotations

import pytest

from tests.api.harness import System, detail

WHERE = {
    "pods": "kubectl get pods",
    "services": "kubectl get services",
    "rcs": "kubectl get rc",
    "containers": "Docker client",
    "nodes": "openstack server list",
    "x509keypairs": "magnum ca-sign",
}


@pytest.mark.parametrize("resource", WHERE)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_gone(system: System, resource: str, method: str) -> None:
    for path in (
        f"/v1/{resource}",
        f"/v1/{resource}/?bay_ident=k8sbay",
        f"/v1/{resource}/web/k8sbay",
        f"/v1/{resource}/web/execute?command=ls",
        f"/{resource}",
        f"/{resource}/web/",
    ):
        answer = system.call(method, path, raw=b"no JSON" if method == "POST" else None)
        assert answer.status_code == 404
        sentence = detail(answer)
        assert WHERE[resource] in sentence
        title = answer.json()["errors"][0]["title"]  # what old clients show
        assert f"{title}." == sentence
        assert answer.json()["errors"][0]["code"] == "client"


@pytest.mark.parametrize("resource", WHERE)
def test_closed_without_a_token(system: System, resource: str) -> None:
    assert system.call("GET", f"/v1/{resource}", user=None).status_code == 401
    assert system.call("HEAD", f"/v1/{resource}").status_code == 405


def test_at_every_microversion(system: System) -> None:
    for version in (None, "1", "14"):
        assert system.call("GET", "/v1/pods", version=version).status_code == 404


def test_a_word_that_only_begins_so(system: System) -> None:
    for path in ("/v1/podsy", "/podsy", "/v1/nodesx/y"):
        answer = system.call("GET", path)
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["detail"] == ""
