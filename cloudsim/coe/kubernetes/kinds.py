"""Which resources there are, and in which versions of Kubernetes each of their groups is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Served:
    """A group's version, from one release of Kubernetes to another."""

    group_version: str
    since: Version
    until: Version = (99, 0)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object."""

    name: str
    kind: str
    served: tuple[Served, ...]
    namespaced: bool = True
    short: tuple[str, ...] = ()
    """What people write instead of the name."""

    def group_version(self, version: Version) -> str:
        """The newest in which that release serves it; the empty text: it does not."""
        found = [one.group_version for one in self.served if one.since <= version <= one.until]
        return found[0] if found else ""


WORKLOADS: Final = frozenset({"deployments", "replicasets", "daemonsets", "statefulsets", "replicationcontrollers"})
"""What pods are made for."""
_WORKLOADS: Final = (
    Served("apps/v1", (1, 9)),
    Served("apps/v1beta2", (1, 8), (1, 15)),
    Served("extensions/v1beta1", (1, 2), (1, 15)),
)
_CORE: Final = (Served("v1", (1, 0)),)
EVICTIONS: Final = (Served("policy/v1", (1, 22)), Served("policy/v1beta1", (1, 4), (1, 21)))
"""What discovery says of `pods/eviction`; the older one is still taken by those that say the newer."""
RESOURCES: Final = {
    one.name: one
    for one in (
        Resource("nodes", "Node", _CORE, namespaced=False, short=("no",)),
        Resource("namespaces", "Namespace", _CORE, namespaced=False, short=("ns",)),
        Resource("pods", "Pod", _CORE, short=("po",)),
        Resource("services", "Service", _CORE, short=("svc",)),
        Resource("secrets", "Secret", _CORE),
        Resource("configmaps", "ConfigMap", _CORE, short=("cm",)),
        Resource("persistentvolumes", "PersistentVolume", _CORE, namespaced=False, short=("pv",)),
        Resource("persistentvolumeclaims", "PersistentVolumeClaim", _CORE, short=("pvc",)),
        Resource(
            "storageclasses", "StorageClass", (Served("storage.k8s.io/v1", (1, 6)),), namespaced=False, short=("sc",)
        ),
        Resource("events", "Event", _CORE),
        Resource("replicationcontrollers", "ReplicationController", _CORE, short=("rc",)),
        Resource("deployments", "Deployment", _WORKLOADS, short=("deploy",)),
        Resource("replicasets", "ReplicaSet", _WORKLOADS, short=("rs",)),
        Resource("daemonsets", "DaemonSet", (*_WORKLOADS[:2], Served("extensions/v1beta1", (1, 1), (1, 15)))),
        Resource("statefulsets", "StatefulSet", (*_WORKLOADS[:2], Served("apps/v1beta1", (1, 5), (1, 15)))),
        Resource(
            "poddisruptionbudgets",
            "PodDisruptionBudget",
            (Served("policy/v1", (1, 21)), Served("policy/v1beta1", (1, 5), (1, 24))),
            short=("pdb",),
        ),
        Resource(
            "leases",
            "Lease",
            (Served("coordination.k8s.io/v1", (1, 14)), Served("coordination.k8s.io/v1beta1", (1, 12), (1, 21))),
        ),
    )
}


def is_served(resource: Resource, group_version: str, version: Version) -> bool:
    """Whether that release serves the resource so."""
    return any(one.group_version == group_version and one.since <= version <= one.until for one in resource.served)


def version_of(text: str) -> Version:
    """`1.28.4` → (1, 28).

    Raises:
        ValueError: it is none.
    """
    major, minor, *_ = text.removeprefix("v").split(".")
    return int(major), int(minor)
