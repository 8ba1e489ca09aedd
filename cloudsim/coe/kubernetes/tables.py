"""Lists as tables, which is how kubectl asks for what it shows to people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cloudsim.coe.kubernetes.objects import condition
from cloudsim.coe.kubernetes.pods import ending, is_ready
from cloudsim.coe.kubernetes.replies import Object

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

_FIRST: Final = (1, 10)
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"))
_ROLE: Final = "node-role.kubernetes.io/"
Cells = Mapping[str, object]


def wanted(bay: KubernetesBay, accept: str) -> bool:
    """Whether a client would rather have a table."""
    return bay.release >= _FIRST and "as=Table" in accept.partition(",")[0] and "v=v1;" in f"{accept};"


def table(bay: KubernetesBay, resource: str, meta: Object, items: list[Object]) -> Object:
    """As a list of rows; each has the metadata of its object."""
    cells = _COLUMNS.get(resource, _nothing)
    rows = [
        {"Name": one["metadata"]["name"], **cells(one), "Age": _age(bay, one["metadata"]["creationTimestamp"])}
        for one in items
    ]
    names = [*(rows[0] if rows else {"Name": "", "Age": ""})]
    columns = [{"name": name, "type": "string", "format": "", "description": "", "priority": 0} for name in names]
    kept = [
        {
            "cells": [*row.values()],
            "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": one["metadata"]},
        }
        for row, one in zip(rows, items, strict=True)
    ]
    body: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    return body | {"columnDefinitions": columns, "rows": kept}


def _age(bay: KubernetesBay, since: str) -> str:
    seconds = int(bay.clock.now() - datetime.fromisoformat(since).astimezone(UTC).timestamp())
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"


def _node(node: Object) -> Cells:
    words = {"True": "Ready", "False": "NotReady"}
    state = words.get(condition(node, "Ready").get("status", ""), "Unknown")
    state += ",SchedulingDisabled" if node["spec"].get("unschedulable") else ""
    labels = node["metadata"].get("labels") or {}
    roles = ",".join(one.removeprefix(_ROLE) for one in labels if one.startswith(_ROLE)) or "<none>"
    return {"Status": state, "Roles": roles, "Version": node["status"]["nodeInfo"]["kubeletVersion"]}


def _pod(pod: Object) -> Cells:
    count = len(pod["spec"]["containers"])
    ready = count if is_ready(pod) else 0
    state = "Terminating" if ending(pod) else pod["status"]["phase"]
    return {"Ready": f"{ready}/{count}", "Status": state, "Restarts": "0"}


def _deployment(one: Object) -> Cells:
    status = one["status"]
    told = {"Ready": f"{status.get('readyReplicas', 0)}/{one['spec']['replicas']}"}
    return told | {"Up-to-date": status.get("updatedReplicas", 0), "Available": status.get("availableReplicas", 0)}


def _service(one: Object) -> Cells:
    spec = one["spec"]
    ports = [
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or ()
    ]
    outside = "<pending>" if spec.get("type") == "LoadBalancer" else "<none>"
    told: dict[str, object] = {"Type": spec.get("type", "ClusterIP"), "Cluster-IP": spec.get("clusterIP", "None")}
    return told | {"External-IP": outside, "Port(s)": ",".join(ports) or "<none>"}


def _claim(one: Object) -> Cells:
    spec, status = one["spec"], one["status"]
    told = {"Status": status.get("phase", "Pending"), "Volume": spec.get("volumeName", "")}
    told |= {"Capacity": (status.get("capacity") or {}).get("storage", "")}
    return told | {"StorageClass": spec.get("storageClassName", "")}


def _volume(one: Object) -> Cells:
    spec, claim = one["spec"], one["spec"].get("claimRef") or {}
    told = {"Capacity": spec["capacity"]["storage"], "Reclaim Policy": spec.get("persistentVolumeReclaimPolicy", "")}
    bound = f"{claim['namespace']}/{claim['name']}" if claim else ""
    return told | {"Status": one["status"].get("phase", "Available"), "Claim": bound}


def _budget(one: Object) -> Cells:
    spec, unset = one["spec"], "N/A"
    told = {"Min Available": spec.get("minAvailable", unset), "Max Unavailable": spec.get("maxUnavailable", unset)}
    return told | {"Allowed Disruptions": (one.get("status") or {}).get("disruptionsAllowed", 0)}


def _nothing(_one: Object) -> Cells:
    return {}


_COLUMNS: Final[Mapping[str, Callable[[Object], Cells]]] = {
    "nodes": _node,
    "pods": _pod,
    "deployments": _deployment,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "poddisruptionbudgets": _budget,
    "storageclasses": lambda one: {"Provisioner": one["provisioner"], "ReclaimPolicy": one["reclaimPolicy"]},
}
"""What stands between name and age."""
