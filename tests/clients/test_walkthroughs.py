"""The user guide's walk-throughs, word for word, by the clients of their time.

The commands stand here as the guide prints them and a shell runs them unchanged. What they presuppose is in the
simulated cloud from its start: images, flavors, the key pair `testkey` and the network `public`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.pki_client import new_key_and_csr, verify_chain
from tests.clients.support.cloud import Cloud
from tests.clients.support.coes import needs_driver
from tests.clients.support.shell import Clients

KUBERNETES_BAYMODEL = r"""
magnum baymodel-create --name k8sbaymodel \
                       --image-id fedora-23-atomic-7 \
                       --keypair-id testkey \
                       --external-network-id public \
                       --dns-nameserver 8.8.8.8 \
                       --flavor-id m1.small \
                       --docker-volume-size 5 \
                       --network-driver flannel \
                       --coe kubernetes \
                       --volume-driver cinder
"""
KUBERNETES_BAY = """
magnum bay-create --name k8sbay --baymodel k8sbaymodel --node-count 1
"""
KUBERNETES_VOLUME = r"""
ID=$(cinder create --display-name=test-repo 1 | awk -F'|' '$2~/^[[:space:]]*id/ {print $3}')
cat > nginx-cinder.yaml << END
apiVersion: v1
kind: Pod
metadata:
  name: aws-web
spec:
  containers:
    - name: web
      image: nginx
      ports:
        - name: web
          containerPort: 80
          hostPort: 8081
          protocol: TCP
      volumeMounts:
        - name: html-volume
          mountPath: "/usr/share/nginx/html"
  volumes:
    - name: html-volume
      cinder:
        # Enter the volume ID below
        volumeID: $ID
        fsType: ext4
END
"""
MESOS_BAYMODEL = r"""
magnum baymodel-create --name mesosbaymodel \
                       --image-id ubuntu-mesos \
                       --keypair-id testkey \
                       --external-network-id public \
                       --dns-nameserver 8.8.8.8 \
                       --master-flavor-id m1.magnum \
                       --docker-volume-size 4 \
                       --tls-disabled \
                       --flavor-id m1.magnum \
                       --coe mesos \
                       --volume-driver rexray \
                       --labels rexray-preempt=true
"""
MESOS_BAY = """
magnum bay-create --name mesosbay --baymodel mesosbaymodel --node-count 1
"""
MESOS_VOLUME = """
cinder create --display-name=redisdata 1
"""
MESOS_ADDRESS = """
MASTER_IP=$(magnum bay-show mesosbay | awk '/ api_address /{print $4}')
"""

OLD_CLIENTS = pytest.mark.parametrize("client", ["m200", "m370"])


@OLD_CLIENTS
def test_cinder_in_kubernetes(client: str, clients: Clients, cloud: Cloud, folder: Path) -> None:
    """Both steps of the guide; then what one does with a bay: look, grow, get in, end it."""
    made = clients.script(client, KUBERNETES_BAYMODEL)
    assert made.code == 0, str(made)
    assert made.fields["volume_driver"] == "cinder"
    assert clients.script(client, KUBERNETES_BAY).code == 0
    assert cloud.settled("k8sbay") == "CREATE_COMPLETE", cloud.show("k8sbay")["status_reason"]

    shown = clients.ok(client, "magnum bay-show k8sbay").fields
    assert shown["api_address"].startswith("https://")
    clients.ok(client, "magnum bay-update k8sbay replace node_count=2")
    assert cloud.settled("k8sbay") == "UPDATE_COMPLETE"
    assert clients.ok(client, "magnum bay-show k8sbay").fields["node_count"] == "2"

    (folder / "client.csr").write_text(new_key_and_csr("admin", "system:masters").csr_pem)
    authority = clients.ok(client, "magnum ca-show --bay k8sbay").out
    certificate = clients.ok(client, "magnum ca-sign --csr client.csr --bay k8sbay", folder=folder).out
    verify_chain(certificate, authority)
    if client != "m200":  # it cannot; 2.0.0 came before the command
        clients.ok(client, "magnum bay-config k8sbay", folder=folder)
        verify_chain((folder / "cert.pem").read_text(), (folder / "ca.pem").read_text())

    clients.ok(client, "magnum bay-delete k8sbay")
    assert cloud.settled("k8sbay") == ""
    clients.ok(client, "magnum baymodel-delete k8sbaymodel")
    assert "k8sbaymodel" not in clients.ok(client, "magnum baymodel-list").out


def test_a_volume_for_a_pod(clients: Clients, cloud: Cloud, folder: Path) -> None:
    """The volume's id, as the guide's pipe finds it, stands in the pod's description."""
    said = clients.script("m200", KUBERNETES_VOLUME, folder=folder)
    assert said.code == 0, str(said)
    volumes = cloud.control("/state?kind=volume")["records"]["volume"]
    uuid = next(volume["id"] for volume in volumes if volume["name"] == "test-repo")
    assert f"volumeID:  {uuid} \n" in (folder / "nginx-cinder.yaml").read_text()


def test_what_needs_real_nodes() -> None:
    pytest.skip("NOT RUN: walk-through Kubernetes/Cinder, kubelet and kubectl (simulated nodes run nothing)")


@OLD_CLIENTS
def test_cinder_in_mesos(client: str, clients: Clients, cloud: Cloud) -> None:
    """REX-Ray's driver, a label of the seed's spelling, and an address that the guide's `awk` can put into a URL."""
    needs_driver("mesos", "walk-through Mesos/REX-Ray")
    assert clients.script(client, MESOS_BAYMODEL).code == 0
    assert clients.script(client, MESOS_BAY).code == 0
    assert cloud.settled("mesosbay") == "CREATE_COMPLETE", cloud.show("mesosbay")["status_reason"]
    if client == "m200":
        assert clients.script(client, MESOS_VOLUME).code == 0
    said = clients.script(client, MESOS_ADDRESS + "echo http://${MASTER_IP}:8080/v2/apps")
    assert said.out.splitlines()[-1] == f"http://{cloud.show('mesosbay')['api_address']}:8080/v2/apps"
    clients.ok(client, "magnum bay-delete mesosbay")
    assert cloud.settled("mesosbay") == ""
    clients.ok(client, "magnum baymodel-delete mesosbaymodel")
