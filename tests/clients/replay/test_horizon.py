"""Horizon's magnum-ui: python-magnumclient as a library at 1.13, `/detail` lists, and every value as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.pki_client import KeyKind, new_key_and_csr, verify_chain
from tests.clients.replay.decoders import Texts
from tests.clients.support.cloud import Cloud

VERSION = "container-infra 1.13"
TEMPLATE = {
    "name": "horizon-model",
    "coe": "kubernetes",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "flavor_id": "m1.small",
    "master_flavor_id": "m1.small",
    "external_network_id": "public",
    "network_driver": "flannel",
    "docker_volume_size": "5",
    "public": "False",
    "hidden": "False",
    "registry_enabled": "False",
    "tls_disabled": "False",
    "floating_ip_enabled": "True",
    "master_lb_enabled": "False",
    "labels": {"flannel_backend": "vxlan"},
}


class Page:
    """The dashboard's server side for one user."""

    def __init__(self, cloud: Cloud, user: str = "demo") -> None:
        self._cloud, self._user = cloud, user

    def ask(self, method: str, path: str, body: object = None, *, ok: int = 200) -> Any:
        """One request that must end so."""
        headers = {"Content-Type": "application/json", "User-Agent": "python-magnumclient"}
        answer = self._cloud.call(method, path, body, version=VERSION, user=self._user, headers=headers)
        assert answer.status_code == ok, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def page(cloud: Cloud) -> Page:
    """A member's."""
    return Page(cloud)


@pytest.fixture(scope="module")
def template(page: Page) -> dict[str, Any]:
    """A template from its form."""
    return dict(page.ask("POST", "/clustertemplates", TEMPLATE, ok=201))


@pytest.fixture(scope="module")
def cluster(page: Page, template: dict[str, Any], cloud: Cloud) -> Iterator[str]:
    """A cluster from its form."""
    form = {"name": "horizon", "cluster_template_id": template["uuid"], "keypair": "testkey", "flavor_id": "m1.small"}
    form |= {"node_count": "1", "master_count": "1", "create_timeout": "15", "merge_labels": "True"}
    form |= {"floating_ip_enabled": "True", "master_lb_enabled": "False", "docker_volume_size": "5"}
    uuid = page.ask("POST", "/clusters", {**form, "labels": {"more": "x"}}, ok=202)["uuid"]
    assert cloud.settled(uuid) == "CREATE_COMPLETE"
    yield uuid
    cloud.remove(uuid)


def test_forms_come_back_typed(page: Page, template: dict[str, Any], cluster: str) -> None:
    shown = page.ask("GET", f"/clustertemplates/{template['uuid']}")
    assert (shown["docker_volume_size"], shown["public"], shown["floating_ip_enabled"]) == (5, False, True)
    shown = page.ask("GET", f"/clusters/{cluster}")
    assert (shown["node_count"], shown["create_timeout"], shown["docker_volume_size"]) == (1, 15, 5)
    assert _texts(shown["labels"]) == {"flannel_backend": "vxlan", "more": "x"}


@pytest.mark.parametrize("kind", ["clusters", "clustertemplates"])
def test_tables_are_detailed_lists(page: Page, cluster: str, kind: str) -> None:
    """What the tables sort by and show; 1.13 has the driver's own identifier in place of the stack's."""
    items = page.ask("GET", f"/{kind}/detail")[kind]
    columns = {"uuid", "name", "created_at", "updated_at", "labels", "links", "project_id", "user_id"}
    if kind == "clusters":
        columns |= {"status", "status_reason", "health_status", "health_status_reason", "master_count", "node_count"}
        columns |= {"cluster_template_id", "api_address", "node_addresses", "master_addresses", "cluster_id"}
    else:
        columns |= {"coe", "network_driver", "keypair_id", "image_id", "public", "hidden", "tls_disabled"}
    for item in items:
        assert columns <= set(item)
        assert "stack_id" not in item
    paged = page.ask("GET", f"/{kind}/detail?limit=1&sort_key=name&sort_dir=desc")
    assert f"/v1/{kind}/detail?" in paged["next"]
    assert paged[kind][0]["name"] == max(item["name"] for item in items)


def test_the_template_form_s_patch(page: Page, template: dict[str, Any]) -> None:
    """Replaced, added and removed, each value as text, labels as a Python literal."""
    made = page.ask("POST", "/clustertemplates", {**TEMPLATE, "name": "horizon-passing"}, ok=201)
    patch = [
        {"op": "replace", "path": "/docker_volume_size", "value": "7"},
        {"op": "replace", "path": "/tls_disabled", "value": "True"},
        {"op": "replace", "path": "/labels", "value": "{'flannel_backend': 'udp', 'more': 'x'}"},
        {"op": "add", "path": "/dns_nameserver", "value": "8.8.4.4"},
        {"op": "remove", "path": "/master_flavor_id"},
    ]
    changed = page.ask("PATCH", f"/clustertemplates/{made['uuid']}", patch)
    assert (changed["docker_volume_size"], changed["tls_disabled"]) == (7, True)
    assert _texts(changed["labels"]) == {"flannel_backend": "udp", "more": "x"}
    assert (changed["dns_nameserver"], changed["master_flavor_id"]) == ("8.8.4.4", None)
    page.ask("DELETE", f"/clustertemplates/{made['uuid']}", ok=204)


def test_a_cluster_s_size(page: Page, cluster: str, cloud: Cloud) -> None:
    """The resize dialog. The older edit form sends the count as text, which Magnum refuses, too (contract §1.7)."""
    page.ask("POST", f"/clusters/{cluster}/actions/resize", {"node_count": 2}, ok=202)
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    page.ask("POST", f"/clusters/{cluster}/actions/resize", {"node_count": 1, "nodes_to_remove": []}, ok=202)
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"
    page.ask("PATCH", f"/clusters/{cluster}", [{"op": "replace", "path": "/node_count", "value": "2"}], ok=400)
    page.ask(
        "PATCH", f"/clusters/{cluster}/?rollback=True", [{"op": "replace", "path": "/node_count", "value": 2}], ok=202
    )
    assert cloud.settled(cluster) == "UPDATE_COMPLETE"


def test_the_rotate_button(page: Page, template: dict[str, Any]) -> None:
    """On a cluster that is still made, so that the rotation waits, and goes with it."""
    uuid = page.ask("POST", "/clusters", {"name": "turning", "cluster_template_id": template["uuid"]}, ok=202)["uuid"]
    assert page.ask("PATCH", f"/certificates/{uuid}", ok=202) == {"uuid": uuid}
    page.ask("DELETE", f"/clusters/{uuid}", ok=204)


def test_the_config_button(page: Page, cluster: str) -> None:
    """Cluster, template, authority, certificate: four requests, from which the page makes a kubeconfig."""
    shown = page.ask("GET", f"/clusters/{cluster}")
    template = page.ask("GET", f"/clustertemplates/{shown['cluster_template_id']}")
    assert (template["coe"], template["tls_disabled"]) == ("kubernetes", False)
    assert shown["api_address"].startswith("https://")
    csr = new_key_and_csr("admin", "system:masters", KeyKind.RSA_2048).csr_pem
    authority = page.ask("GET", f"/certificates/{shown['uuid']}")["pem"]
    verify_chain(
        page.ask("POST", "/certificates", {"cluster_uuid": shown["uuid"], "csr": csr}, ok=201)["pem"], authority
    )


def test_the_other_panels(page: Page, cluster: str, cloud: Cloud) -> None:
    stats = page.ask("GET", "/stats")
    assert stats["nodes"] > stats["clusters"] > 0
    groups = page.ask("GET", f"/clusters/{cluster}/nodegroups/")["nodegroups"]
    assert {group["name"] for group in groups} == {"default-master", "default-worker"}
    assert page.ask("GET", f"/quotas/{cloud.project()}/Cluster")["hard_limit"] == 20
    page.ask("GET", "/quotas?all_tenants=True", ok=403)
    assert "quotas" in Page(cloud, "admin").ask("GET", "/quotas?all_tenants=True")
    assert "there is no credential to rotate" in str(page.ask("PATCH", f"/credentials/{cluster}", ok=400))


def _texts(value: object) -> Texts:
    assert isinstance(value, dict)
    assert all(isinstance(each, str) for pair in value.items() for each in pair)
    return value
