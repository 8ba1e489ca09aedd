"""Nodes of the drivers for Kubernetes of the guide's time, in a folder that stands for `/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.drivers.contract import Driver
from shared.drivers.registry import by_name
from tests.drivers.cases import BASE
from tests.drivers.nodes import ADDRESSES, Sandbox, node

ATOMIC, COREOS, IRONIC = (by_name(name) for name in ("k8s_fedora_atomic", "k8s_coreos", "k8s_fedora_ironic"))
LEGACY = (ATOMIC, COREOS, IRONIC)
each_legacy = pytest.mark.parametrize("driver", LEGACY, ids=lambda driver: driver.name)
PREFIX = BASE.stack_name.lower()
CERTIFICATES = ("node.key", "node.crt", "ca.crt")


def machine(
    root: Path, driver: Driver, role: str, *, volume: str = "", etcd_volume: str = "", **changes: Any
) -> Sandbox:
    """A node before its first part runs. Nothing of this machine is touched: what would do so only takes notes."""
    filled = {"@@DOCKER_VOLUME@@": volume, "@@ETCD_VOLUME@@": etcd_volume, "@@NODE_NAME@@": f"{PREFIX}-master-1"}
    if role == "worker":
        filled |= {
            "@@NODE_NAME@@": f"{PREFIX}-minion-0",
            "@@PRIVATE_ADDRESS@@": "10.0.0.9",
            "@@PUBLIC_ADDRESS@@": "127.64.0.9",
        }
    elif changes.get("master_count", 3) == 1:
        filled |= {"@@MASTER_ADDRESSES@@": ADDRESSES[1], "@@API_ADDRESS@@": ADDRESSES[1]}
    box = Sandbox(root, node(driver, role, **changes), filled)
    for name in ("ip", "udevadm", "pvcreate", "vgcreate", "lvcreate", "curl"):
        box.program(name, f'echo "{name} $*" >>{root}/calls')
    # A volume is a device below /dev, which no test may make.
    library = root / "etc/jeroboam/lib.sh"
    library.write_text(library.read_text() + "\nfind_volume() { echo /dev/disk-of-$1; }\n")
    return box


def certified(root: Path, *, shared: bool = True) -> None:
    """What the node agent leaves behind."""
    pki = root / "var/lib/jeroboam/pki"
    (pki / "shared").mkdir(parents=True)
    for name in CERTIFICATES:
        (pki / name).write_text(f"the {name}\n")
    if shared:
        (pki / "shared/service-account.key").write_text("the masters' key\n")


def finished(box: Sandbox, *parts: str) -> None:
    """Run parts that must end well."""
    for part in parts:
        done = box.run(part)
        assert done.returncode == 0, (part, done.stderr, box.failure())
    assert box.failure() == ""


def assigned(box: Sandbox, path: str) -> dict[str, str]:
    """A file of NAME="value" lines."""
    pairs = (line.partition("=") for line in box.read(path).splitlines())
    return {name: value.strip("\"'") for name, _, value in pairs}


def pods(box: Sandbox) -> dict[str, dict[str, Any]]:
    """The static pods' one container each, by the pod's name."""

    def found() -> Iterator[tuple[str, dict[str, Any]]]:
        for path in sorted((box.root / "etc/kubernetes/manifests").iterdir()):
            pod = yaml.safe_load(path.read_text())
            assert path.name == f"{pod['metadata']['name']}.yaml"
            assert pod["spec"]["hostNetwork"] is True
            (container,) = pod["spec"]["containers"]
            yield pod["metadata"]["name"], container | {"volumes": pod["spec"]["volumes"]}

    return dict(found())


def running_master(root: Path, driver: Driver, **changes: Any) -> Sandbox:
    """A master all of whose parts have run."""
    box = machine(root, driver, "master", **changes)
    parts = ["30-docker-storage.sh", "35-etcd-storage.master.sh", "40-etcd.master.sh", "50-network.sh"]
    if not changes.get("tls_disabled"):
        certified(root)
        finished(box, "/etc/jeroboam/install-certificates")
    finished(box, *parts, "60-kubernetes.master.sh")
    return box


def running_worker(root: Path, driver: Driver, **changes: Any) -> Sandbox:
    """A worker all of whose parts have run."""
    box = machine(root, driver, "worker", **changes)
    if not changes.get("tls_disabled"):
        certified(root, shared=False)
        finished(box, "/etc/jeroboam/install-certificates")
    finished(box, "30-docker-storage.sh", "50-network.sh", "60-kubernetes.worker.sh")
    return box
