"""How a node tells its COE of its nodegroup: by the payload's own scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from shared.drivers.contract import Driver
from shared.drivers.registry import find
from tests.drivers.legacy_nodes import assigned, each_legacy, running_worker
from tests.drivers.nodes import Sandbox, node
from tests.drivers.test_k8s_ubuntu import sandbox

GROUP: Final[dict[str, Any]] = {
    "nodegroup": "gpus",
    "nodegroup_role": "gpu",
    "node_labels": {"disk": "ssd", "a.b/c": ""},
}
LABELS: Final = "magnum.openstack.org/nodegroup=gpus,magnum.openstack.org/role=gpu,a.b/c=,disk=ssd"


def test_kubelet_registers_with_labels_and_taints(tmp_path: Path) -> None:
    taints = ({"key": "gpu", "effect": "NoSchedule"}, {"key": "b", "value": "c", "effect": "NoExecute"})
    box = sandbox(tmp_path, "worker", **GROUP, node_taints=taints)
    assert box.run("40-node.sh").returncode == 0, box.failure()
    flags = box.read("/var/lib/kubelet/kubeadm-flags.env").rstrip('"\n').split()
    assert f"--node-labels={LABELS}" in flags
    assert "--register-with-taints=gpu=:NoSchedule,b=c:NoExecute" in flags


def test_a_node_without_taints_has_none(tmp_path: Path) -> None:
    box = sandbox(tmp_path, "worker")
    assert box.run("40-node.sh").returncode == 0, box.failure()
    assert "--register-with-taints" not in box.read("/var/lib/kubelet/kubeadm-flags.env")


@each_legacy
def test_the_older_kubelet_too(driver: Driver, tmp_path: Path) -> None:
    box = running_worker(tmp_path, driver, **GROUP)
    assert f"--node-labels={LABELS}" in assigned(box, "/etc/kubernetes/kubelet")["KUBELET_ARGS"].split()


@pytest.mark.parametrize("coe", ["swarm", "swarm-mode"])
def test_docker_has_them_as_the_engines_labels(coe: str, tmp_path: Path) -> None:
    box = Sandbox(tmp_path, node(find("vm", "fedora-atomic", coe), "worker", **GROUP))
    assert box.run("60-docker.sh").returncode == 0, box.failure()
    options = box.read("/etc/sysconfig/docker")
    for label in LABELS.split(","):
        assert f" --label {label}" in options


def test_mesos_has_them_as_attributes(tmp_path: Path) -> None:
    marks = {"nodegroup": "gpus", "node_labels": {"disk": "ssd"}}
    box = Sandbox(tmp_path, node(find("vm", "ubuntu", "mesos"), "worker", **marks))
    assert box.run("50-mesos.worker.sh").returncode == 0, box.failure()
    found = box.read("/etc/mesos-slave/attributes").strip()
    assert found == "magnum.openstack.org/nodegroup:gpus;magnum.openstack.org/role:worker;disk:ssd"
