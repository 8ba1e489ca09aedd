"""gophercloud v2's own calls: without a microversion, as a program that sets none, and at the latest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.pki_client import new_key_and_csr, verify_chain
from tests.clients.replay.decoders import Certificate, Clusters, NodeGroup, Quota, Struct, Template, Templates
from tests.clients.replay.gopher import Gopher
from tests.clients.support.cloud import Cloud

OPTIONS = {"coe": "kubernetes", "image_id": "fedora-21-atomic-5", "external_network_id": "public", "labels": {"a": "1"}}


@pytest.fixture(scope="module")
def gopher(cloud: Cloud) -> Gopher:
    """No microversion set."""
    return Gopher(cloud)


@pytest.fixture(scope="module")
def cluster(gopher: Gopher) -> Iterator[str]:
    """A cluster that is complete; others may have changed its health and limits."""
    options = {**OPTIONS, "name": "gopher-model", "keypair_id": "testkey", "flavor_id": "m1.small"}
    template = gopher.ask(Template, "POST", "/clustertemplates", options, ok=(201,)).uuid
    # What it sends although nobody asked: a null for a number that was not given.
    body = {"cluster_template_id": template, "create_timeout": None, "name": "gopher", "node_count": 1}
    uuid = gopher.create(body)
    assert gopher.wait(uuid, "CREATE_COMPLETE").create_timeout == 60
    yield uuid
    gopher.delete(f"/clusters/{uuid}")


@pytest.mark.parametrize("microversion", [None, "1.9", "1.13", "latest"])
def test_every_reading_decodes(gopher: Gopher, cluster: str, microversion: str | None) -> None:
    client = Gopher(gopher.cloud, microversion)
    shown = client.get(cluster)
    assert (shown.name, shown.node_count, shown.master_count) == ("gopher", 1, 1)
    assert (shown.labels, shown.project_id) == ({"a": "1"}, gopher.cloud.project())
    template = client.ask(Template, "GET", f"/clustertemplates/{shown.cluster_template_id}")
    assert (template.name, template.labels, template.docker_volume_size) == ("gopher-model", {"a": "1"}, 0)
    assert client.ask(Clusters, "GET", "/clusters").clusters
    assert client.ask(Clusters, "GET", "/clusters/detail").clusters[0].created_at
    assert client.ask(Templates, "GET", "/clustertemplates").clustertemplates
    if microversion is not None:
        default = {group.name: group for group in client.groups(cluster)}
        assert set(default) == {"default-master", "default-worker"}
        assert all(client.group(cluster, group.uuid).cluster_id == cluster for group in default.values())


def test_pages_are_followed_until_one_is_empty(gopher: Gopher, cluster: str) -> None:
    """`next` is an absolute URL; the last full page has one too, and what follows is empty."""
    path, names, pages = "/clustertemplates?limit=1", list[str](), 0
    while path:
        page = gopher.ask(Templates, "GET", path)
        assert len(page.clustertemplates) <= 1
        names += [template.uuid for template in page.clustertemplates]
        pages += 1
        path = page.next if page.clustertemplates else ""
        assert not path or path.startswith("http://")
    assert len(names) == len(set(names)) == pages - 1


def test_certificates(gopher: Gopher, cluster: str) -> None:
    csr = new_key_and_csr("admin", "system:masters").csr_pem
    authority = gopher.ask(Certificate, "GET", f"/certificates/{cluster}")
    signed = gopher.ask(Certificate, "POST", "/certificates", {"cluster_uuid": cluster, "csr": csr}, ok=(201,))
    assert (authority.cluster_uuid, signed.cluster_uuid) == (cluster, cluster)
    verify_chain(signed.pem, authority.pem)


def test_a_node_group_s_limits(gopher: Gopher, cluster: str) -> None:
    client, path = gopher.at("1.9"), f"/clusters/{cluster}/nodegroups/default-worker"
    limits = [
        {"op": "replace", "path": "/max_node_count", "value": 7},
        {"op": "replace", "path": "/min_node_count", "value": 1},
    ]
    changed = client.ask(NodeGroup, "PATCH", path, limits, ok=(202,))
    assert (changed.min_node_count, changed.max_node_count) == (1, 7)
    changed = client.ask(NodeGroup, "PATCH", path, [{"op": "remove", "path": "/max_node_count"}], ok=(202,))
    assert changed.max_node_count is None


def test_quotas(cloud: Cloud) -> None:
    admin = Gopher(cloud, user="admin")
    project = cloud.project("admin")
    unset = admin.ask(Quota, "GET", f"/quotas/{project}/Cluster")
    assert (unset.hard_limit, unset.id) == (20, "")
    body = {"hard_limit": 7, "project_id": project, "resource": "Cluster"}
    assert admin.ask(Quota, "POST", "/quotas", body, ok=(201,)).hard_limit == 7
    assert admin.ask(Quota, "GET", f"/quotas/{project}/Cluster").created_at
    admin.delete(f"/quotas/{project}/Cluster")


NOT_FOUND = ["/clusters/nope", "/clustertemplates/nope", "/certificates/nope", "/clusters/nope/nodegroups"]


@pytest.mark.parametrize("path", NOT_FOUND)
def test_what_is_not_there_is_404(gopher: Gopher, path: str) -> None:
    answer = gopher.at("latest").send("GET", path)
    assert answer.status_code == 404
    assert _Errors.model_validate_json(answer.content).errors[0].detail


class _Error(Struct):
    status: int
    title: str
    detail: str
    code: str


class _Errors(Struct):
    errors: list[_Error]
