"""What a program with openstacksdk does; run by the environment `sdk` (`test_sdk.py`), so it imports nothing of ours.

python sdk_acts.py NAME   one of the functions below, logged in as the environment's OS_* say
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import openstack
from openstack import exceptions
from openstack.connection import Connection
from openstack.container_infrastructure_management.v1.cluster import Cluster

MODEL = {"coe": "kubernetes", "image_id": "fedora-21-atomic-5", "keypair_id": "testkey"}
NETWORK = {"external_network_id": "public", "flavor_id": "m1.small"}
WAIT = 60


def templates(cloud: Connection) -> None:
    """The cloud layer's calls, then the proxy's, on templates."""
    made = cloud.create_cluster_template("sdk-passing", **MODEL, **NETWORK, labels={"a": 1}, is_tls_disabled=False)
    assert made.labels == {"a": "1"}
    found = cloud.get_cluster_template("sdk-passing")
    assert found is not None
    assert found.uuid == made.uuid
    assert cloud.update_cluster_template("sdk-passing", docker_volume_size=7).docker_volume_size == 7

    proxy = cloud.container_infrastructure_management
    assert proxy.get_cluster_template(made.uuid).name == "sdk-passing"
    by_name = proxy.find_cluster_template("sdk-passing", ignore_missing=False)
    assert proxy.update_cluster_template(by_name, labels={"a": "2"}).labels == {"a": "2"}
    assert proxy.find_cluster_template("nope") is None
    every = {one.uuid for one in proxy.cluster_templates()}
    assert made.uuid in every
    assert {one.uuid for one in proxy.cluster_templates(limit=1)} == every
    assert cloud.delete_cluster_template("sdk-passing")
    assert not cloud.delete_cluster_template("sdk-passing")


def clusters(cloud: Connection) -> None:
    """A cluster's life by the cloud layer; without a microversion, so everything is at 1.1."""
    cloud.create_cluster_template("sdk-model", **MODEL, **NETWORK)
    template = cloud.get_cluster_template("sdk-model")
    assert template is not None
    made = cloud.create_coe_cluster("sdk-cluster", template.id, node_count=1, create_timeout=15)
    came = _until(cloud, made, "CREATE_COMPLETE")
    assert (came.name, came.create_timeout, came.cluster_template_id) == ("sdk-cluster", 15, template.uuid)
    assert len(came.node_addresses) == 1
    assert came.stack_id

    proxy = cloud.container_infrastructure_management
    by_name = proxy.find_cluster("sdk-cluster", ignore_missing=False)
    assert proxy.get_cluster(came.uuid).uuid == by_name.uuid
    assert {one.uuid for one in proxy.clusters(limit=1)} == {one.uuid for one in cloud.list_coe_clusters()}
    assert [one.uuid for one in cloud.search_coe_clusters("sdk-cluster")] == [came.uuid]
    assert cloud.get_coe_cluster("nope") is None

    assert cloud.update_coe_cluster("sdk-cluster", node_count=2).uuid == came.uuid
    assert _until(cloud, came, "UPDATE_COMPLETE").node_count == 2
    _refused(400, lambda: proxy.update_cluster(came.uuid, name="other"))

    assert cloud.delete_coe_cluster("sdk-cluster")
    proxy.wait_for_delete(came, interval=0.2, wait=WAIT)
    assert not cloud.delete_coe_cluster("sdk-cluster")
    assert cloud.delete_cluster_template("sdk-model")


def certificates(cloud: Connection) -> None:
    """Prints the authority and a certificate for `a.csr`, for the cluster `sdk-shared`."""
    cluster = cloud.get_coe_cluster("sdk-shared")
    assert cluster is not None
    uuid, csr = cluster.uuid, Path("a.csr").read_text()
    print(cloud.get_coe_cluster_certificate(uuid).pem)
    print("=====")
    print(cloud.sign_coe_cluster_certificate(uuid, csr).pem)
    proxy = cloud.container_infrastructure_management
    assert proxy.get_cluster_certificate(uuid).cluster_uuid == uuid
    assert proxy.create_cluster_certificate(cluster_uuid=uuid, csr=csr).csr.strip() == csr.strip()


def services(cloud: Connection) -> None:
    """As an administrator."""
    found = cloud.list_magnum_services()
    assert {one.state for one in found} == {"up"}
    assert all(one.binary and one.host for one in found)


def services_refused(cloud: Connection) -> None:
    """As anybody else."""
    _refused(403, cloud.list_magnum_services)


def refusals(cloud: Connection) -> None:
    """Errors arrive as the SDK's own exceptions; it looks for a sentence where Magnum's errors have none."""
    _refused(400, lambda: cloud.create_coe_cluster("x", "no-such-template"))
    _refused(400, lambda: cloud.create_cluster_template("x", **{**MODEL, "image_id": "none"}, **NETWORK))
    proxy = cloud.container_infrastructure_management
    _refused(404, lambda: proxy.get_cluster("nope"))
    _refused(404, lambda: proxy.delete_cluster("nope", ignore_missing=False))
    proxy.delete_cluster("nope")


def resize_needs_a_version(cloud: Connection) -> None:
    """Without a microversion 406; with one it is accepted, and the SDK then trips over the answer by itself."""
    cluster = cloud.get_coe_cluster("sdk-shared")
    assert cluster is not None
    session = cloud.container_infrastructure_management
    _refused(406, lambda: cluster.resize(session, node_count=2))
    session.default_microversion = "1.7"
    try:
        cluster.resize(session, node_count=2)
    except TypeError as error:
        assert "not subscriptable" in str(error)  # noqa: PT017  (no pytest here)
    _until(cloud, cluster, "UPDATE_COMPLETE")


_Made = TypeVar("_Made")


def _until(cloud: Connection, cluster: Cluster, status: str) -> Cluster:
    failures = ["CREATE_FAILED", "UPDATE_FAILED"]
    proxy = cloud.container_infrastructure_management
    return proxy.wait_for_status(cluster, status, failures=failures, interval=0.2, wait=WAIT)


def _refused(status: int, call: Callable[[], object]) -> None:
    try:
        call()
    except exceptions.HttpException as error:
        if error.status_code != status:
            raise
    else:
        raise AssertionError(f"not refused with {status}")


ACTS: dict[str, Callable[[Connection], None]] = {
    act.__name__: act
    for act in (templates, clusters, certificates, services, services_refused, refusals, resize_needs_a_version)
}

if __name__ == "__main__":
    ACTS[sys.argv[1]](openstack.connect(cloud="envvars"))
