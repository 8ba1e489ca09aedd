"""Real kubectl with what the commands write, at a server that demands a certificate of the bay's authority."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.cloud import Cloud
from tests.clients.support.shell import Clients
from tests.native import servers
from tests.native.people import Person
from tests.native.servers import Kubernetes

ADMIN = {"commonName": "admin", "organizationName": "system:masters"}


@pytest.fixture(scope="module")
def server(cloud: Cloud, bays: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    servers.needed("kubectl")
    host = bays["pods"].removeprefix("https://").partition(":")[0]
    with servers.kubernetes(bays["pods"], servers.papers(cloud, "pods", tmp_path_factory.mktemp("own"), host)) as found:
        yield found


def test_kubectl_with_our_command(person: Person, server: Kubernetes, folder: Path) -> None:
    """As the help says it, in a shell."""
    said = person.ok(f'eval "$(jeroboam bay config pods --dir {folder})"; kubectl get nodes; kubectl version')
    assert "pods-node-0" in said.out
    assert "Server Version: v1.32.4" in said.out
    assert server.users[-1] == ADMIN


def test_kubectl_with_a_file_of_several_clusters(person: Person, server: Kubernetes, folder: Path) -> None:
    variables = {"KUBECONFIG": f"{folder}/config"}
    for bay in ("pods", "other-pods"):
        assert person.config(f"{bay} --merge", variables).code == 0
    assert "other-pods" in person.ok("kubectl config current-context", **variables).out
    assert "pods-node-0" in person.ok("kubectl --context pods get nodes", **variables).out


def test_kubectl_with_the_stock_openstack_client(clients: Clients, server: Kubernetes, folder: Path) -> None:
    text = f'eval "$(openstack coe cluster config pods --dir {folder})"; kubectl get nodes'
    said = clients.script("v500", text)
    assert said.code == 0, str(said)
    assert "pods-node-0" in said.out
    assert server.users[-1] == ADMIN


def test_kubectl_with_the_stock_magnum_client(clients: Clients, server: Kubernetes, folder: Path) -> None:
    """Its kubeconfig names the server alone, so the files that it writes beside it are given by hand."""
    files = (
        f"--certificate-authority {folder}/ca.pem --client-certificate {folder}/cert.pem --client-key {folder}/key.pem"
    )
    said = clients.script(
        "m370", f'eval "$(magnum bay-config pods --dir {folder} | grep ^export)"; kubectl {files} get nodes'
    )
    assert said.code == 0, str(said)
    assert "pods-node-0" in said.out
    assert server.users[-1] == ADMIN


def test_another_bay_s_certificate_is_refused(
    person: Person, server: Kubernetes, bays: dict[str, str], folder: Path
) -> None:
    """Both ways: the server does not know the client's authority, and the client not the server's."""
    address = bays["pods"]
    for bay in ("pods", "other-pods"):
        assert person.config(f"{bay} --pem --dir {folder}/{bay}").code == 0
    foreign = f"--client-certificate {folder}/other-pods/cert.pem --client-key {folder}/other-pods/key.pem"
    before = len(server.users)
    known = f"kubectl --kubeconfig /dev/null --server {address} --certificate-authority {folder}/pods/ca.pem"
    refused = person.run(f"{known} {foreign} get nodes")
    assert refused.code != 0
    assert "unknown certificate authority" in refused.all
    mistaken = person.run(f"kubectl --kubeconfig {folder}/other-pods/config --server {address} get nodes")
    assert mistaken.code != 0
    assert "signed by unknown authority" in mistaken.all
    assert len(server.users) == before


def test_no_certificate_is_refused(person: Person, server: Kubernetes, bays: dict[str, str], folder: Path) -> None:
    assert person.config(f"pods --pem --dir {folder}").code == 0
    before = len(server.users)
    alone = f"kubectl --kubeconfig /dev/null --server {bays['pods']} --certificate-authority {folder}/ca.pem"
    refused = person.run(f"{alone} --token of-another-kind get nodes")
    assert refused.code != 0
    assert "certificate required" in refused.all
    assert len(server.users) == before
