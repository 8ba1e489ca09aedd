"""The bays that are raised here, and what every one of them is looked at for."""

from __future__ import annotations

from collections.abc import Iterable

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.support.jobs import BAYMODEL
from tests.support.lab import cloud
from tests.support.lab.lab import Lab
from tests.support.lab.node import Node


def kubernetes(**fields: object) -> dict[str, object]:
    """A baymodel of Kubernetes on Fedora Atomic. This machine's kernel may have no device mapper."""
    return {**BAYMODEL, "docker_storage_driver": "overlay", **fields}


def kubeadm(**fields: object) -> dict[str, object]:
    """A baymodel of current Kubernetes on Ubuntu."""
    return {**BAYMODEL, "image_id": "ubuntu-24.04", "docker_storage_driver": "overlay2", **fields}


def mesos(**fields: object) -> dict[str, object]:
    """A baymodel of Mesos on Ubuntu."""
    other = {"name": "mesos", "coe": "mesos", "image_id": "ubuntu-mesos", "network_driver": "docker"}
    return {**BAYMODEL, **other, "docker_storage_driver": "overlay2", **fields}


def swarm(coe: str, **fields: object) -> dict[str, object]:
    """A baymodel of one of the two kinds of Docker Swarm on Fedora Atomic."""
    return {
        **BAYMODEL,
        "name": coe,
        "coe": coe,
        "network_driver": "docker",
        "docker_storage_driver": "overlay2",
        **fields,
    }


async def raised(
    stack: LocalStack, lab: Lab, client: JeroboamClient, wanted: cloud.Wanted, seconds: float = 90.0
) -> str:
    """The uuid of a bay that its own nodes have completed."""
    bay = await cloud.create(stack, lab, client, wanted)
    try:
        status, why = await cloud.outcome(client, bay, seconds)
    except TimeoutError as error:
        raise AssertionError(f"{error}\n{await lab.story()}") from None
    if status != "CREATE_COMPLETE":
        raise AssertionError(f"{status}: {why}\n{await lab.story()}")
    return bay


def master(lab: Lab, index: int = 0) -> Node:
    """The master of that index."""
    return next(node for name, node in lab.nodes.items() if name.endswith(f"-master-{index}"))


def workers(lab: Lab) -> list[Node]:
    """The nodes that are no masters."""
    return [node for name, node in sorted(lab.nodes.items()) if "-master-" not in name]


async def no_secret_lies_open(nodes: Iterable[Node]) -> None:
    """No private key, and nothing with a node's secret, can be read by others than its owner."""
    script = (
        "find /etc /var/lib /run -xdev -type f \\( -name '*.key' -o -name '*-key.pem' -o -name node-secret "
        "-o -name bay.env -o -name cloud-credential \\) -perm /077 -print 2>/dev/null; "
        "grep -r -l -E -- '-----BEGIN ([A-Z]+ )?PRIVATE' /etc /var/lib/jeroboam 2>/dev/null "
        # The agent replaces whole sets of files, so one that was listed may be gone when it is looked at.
        '| while read -r file; do [ ! -e "$file" ] || find "$file" -perm /077; done; true'
    )
    for node in nodes:
        found = set((await node.sh(script)).split()) - {"/etc/ssl/private/ssl-cert-snakeoil.key"}
        assert not found, f"{node.machine.name}: others may read {sorted(found)}"
