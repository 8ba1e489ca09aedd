"""terraform-provider-openstack's `containerinfra_clustertemplate_v1` and `containerinfra_cluster_v1` on the wire.

It sends no microversion, but 1.10 when a count is zero, 1.8 to upgrade, and 1.9 from its reading of node groups on.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from shared.pki_client import verify_chain
from tests.clients.replay.decoders import Certificate, Template
from tests.clients.replay.gopher import Gopher
from tests.clients.support.cloud import Cloud

TEMPLATE = {
    "coe": "kubernetes",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "external_network_id": "public",
    "dns_nameserver": "8.8.8.8",
    "docker_storage_driver": "devicemapper",
    "docker_volume_size": 5,
    "flavor_id": "m1.small",
    "master_flavor_id": "m1.small",
    "network_driver": "flannel",
    "server_type": "vm",
    "labels": {"flannel_backend": "vxlan", "note": "old"},
    "floating_ip_enabled": True,
    "master_lb_enabled": False,
    "public": False,
    "registry_enabled": False,
    "tls_disabled": False,
    "hidden": False,
}


@pytest.fixture(scope="module")
def provider(cloud: Cloud) -> Gopher:
    """The provider's client."""
    return Gopher(cloud)


@pytest.fixture(scope="module")
def template(provider: Gopher) -> str:
    """A template made by it."""
    return provider.ask(Template, "POST", "/clustertemplates", {**TEMPLATE, "name": "tf-model"}, ok=(201,)).uuid


@pytest.fixture(scope="module")
def cluster(provider: Gopher, template: str) -> Iterator[str]:
    """A cluster made by it, with labels that are merged into the template's."""
    body = {
        "cluster_template_id": template,
        "create_timeout": None,
        "keypair": "testkey",
        "labels": {"note": "new", "more": "x"},
        "master_count": 1,
        "merge_labels": True,
        "name": "tf",
        "node_count": 1,
        "floating_ip_enabled": True,
    }
    uuid = provider.create(body)
    provider.wait(uuid, "CREATE_COMPLETE")
    yield uuid
    provider.cloud.remove(uuid)


def test_what_was_asked_for_is_what_is_read(provider: Gopher, cluster: str, template: str) -> None:
    """Otherwise the next plan would want to make the cluster anew."""
    read = provider.get(cluster)
    assert (read.name, read.cluster_template_id, read.keypair, read.master_count) == ("tf", template, "testkey", 1)
    assert (read.flavor_id, read.master_flavor_id, read.docker_volume_size) == ("m1.small", "m1.small", 5)
    merged = {**read.labels_added, **read.labels_skipped, **{key: read.labels[key] for key in read.labels_overridden}}
    assert merged == {"note": "new", "more": "x"}
    assert read.labels == {"flannel_backend": "vxlan", "note": "new", "more": "x"}
    assert read.stack_id
    groups = provider.at("1.9").groups(cluster)
    assert [group.node_count for group in groups if group.is_default and group.role != "master"] == [read.node_count]


def test_the_kubeconfig_is_made_of_a_large_key(provider: Gopher, cluster: str) -> None:
    client = provider.at("1.9")
    authority = client.ask(Certificate, "GET", f"/certificates/{cluster}").pem
    body = {"cluster_uuid": cluster, "csr": _csr()}
    verify_chain(client.ask(Certificate, "POST", "/certificates", body, ok=(201,)).pem, authority)


def test_an_update_never_shows_the_old_complete(provider: Gopher, cluster: str) -> None:
    """The race: it polls at once, and the UPDATE_COMPLETE of the change before would read as success."""
    for count in (2, 1):
        provider.update(cluster, {"op": "replace", "path": "/node_count", "value": count})
        assert provider.get(cluster).status == "UPDATE_IN_PROGRESS"
        changed = provider.wait(cluster, "UPDATE_COMPLETE")
        assert (changed.node_count, len(changed.node_addresses)) == (count, count)


def test_no_nodes_at_all(provider: Gopher, cluster: str) -> None:
    """It says 1.10 then; without that it is refused."""
    none = {"op": "replace", "path": "/node_count", "value": 0}
    assert provider.send("PATCH", f"/clusters/{cluster}", [none]).status_code == 400
    provider.at("1.10").update(cluster, none)
    assert provider.wait(cluster, "UPDATE_COMPLETE").node_addresses == []
    provider.update(cluster, {"op": "replace", "path": "/node_count", "value": 1})
    provider.wait(cluster, "UPDATE_COMPLETE")


def test_an_upgrade_to_another_template(provider: Gopher, cluster: str, template: str) -> None:
    """It waits for UPDATE_COMPLETE, and reads the template's id back."""
    answer = provider.at("1.8").send("POST", f"/clusters/{cluster}/actions/upgrade", {"cluster_template": template})
    assert answer.status_code == 202
    provider.wait(cluster, "UPDATE_COMPLETE")


def test_a_cluster_ends_at_404(provider: Gopher, template: str) -> None:
    """Born without nodes, too: the provider then says 1.10 to the create, and goes on with it."""
    client = provider.at("1.10")
    uuid = client.create({"cluster_template_id": template, "create_timeout": 15, "name": "tf-brief", "node_count": 0})
    assert client.wait(uuid, "CREATE_COMPLETE").node_count == 0
    provider.delete(f"/clusters/{uuid}")
    assert set(provider.wait_gone(uuid)) <= {"DELETE_IN_PROGRESS"}


UPDATES: list[tuple[str, dict[str, object], object]] = [
    # Labels as a Python literal; what is emptied is removed; numbers and booleans typed, by older releases as text.
    ("labels", {"op": "replace", "value": "{'flannel_backend':'udp','b':'2'}"}, {"flannel_backend": "udp", "b": "2"}),
    ("dns_nameserver", {"op": "remove"}, ""),
    ("docker_volume_size", {"op": "replace", "value": 7}, 7),
    ("docker_volume_size", {"op": "replace", "value": "8"}, 8),
    ("apiserver_port", {"op": "replace", "value": 8443}, 8443),
    ("registry_enabled", {"op": "replace", "value": True}, True),
    ("tls_disabled", {"op": "replace", "value": "true"}, True),
    ("name", {"op": "replace", "value": "tf-renamed"}, "tf-renamed"),
]


def test_a_template_is_updated_in_every_spelling(provider: Gopher) -> None:
    made = provider.ask(Template, "POST", "/clustertemplates", {**TEMPLATE, "name": "tf-changing"}, ok=(201,))
    path = f"/clustertemplates/{made.uuid}"
    for name, operation, wanted in UPDATES:
        provider.ask(Template, "PATCH", path, [{"path": f"/{name}", **operation}], ok=(200, 202))
        assert getattr(provider.ask(Template, "GET", path), name) == wanted
    provider.delete(path)


def _csr() -> str:
    """As `flattenContainerInfraV1Kubeconfig` makes it: RSA 4096, SHA-512, and an organisational unit."""
    names = [
        (NameOID.ORGANIZATION_NAME, "system:masters"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "terraform"),
        (NameOID.COMMON_NAME, "admin"),
    ]
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in names])
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA512())
    return csr.public_bytes(Encoding.PEM).decode()
