"""Nodes: they join, are heard of, fall silent, and are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudsim.coe.bay import Machine
from cloudsim.coe.kubernetes import pods
from cloudsim.coe.kubernetes.objects import condition, copied, set_condition
from cloudsim.coe.kubernetes.replies import Object
from cloudsim.coe.kubernetes.scheduling import UNSCHEDULABLE

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
_FIRST_TAINTS = (1, 13)
_PRESSURES = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
_LEASE_SECONDS = 40
_LEASE_NAMESPACE = "kube-node-lease"


def join(bay: KubernetesBay, machine: Machine) -> None:
    """A machine's kubelet registers its node."""
    name = machine.name.lower()
    made, known = _made(bay, machine, name), bay.objects.get("nodes", "", name)
    if known is None:
        bay.objects.add("nodes", "", made)
    else:  # what its kubelet says of the machine counts; what others have written stays
        told = {key: made["status"][key] for key in ("addresses", "capacity", "allocatable")}
        bay.objects.status(known, **told)
    if bay.release >= (1, 14) and bay.objects.get("leases", _LEASE_NAMESPACE, name) is None:
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": bay.micro_stamp()}
        bay.objects.add("leases", _LEASE_NAMESPACE, {"metadata": {"name": name}, "spec": spec})


def _made(bay: KubernetesBay, machine: Machine, name: str) -> Object:
    prefixes = ("kubernetes.io", "beta.kubernetes.io") if bay.release >= (1, 14) else ("beta.kubernetes.io",)
    labels = {"kubernetes.io/hostname": name}
    labels |= {f"{prefix}/{key}": value for prefix in prefixes for key, value in (("os", "linux"), ("arch", "amd64"))}
    labels |= dict(machine.labels)
    spec: Object = {}
    if machine.role == "master":
        role = "node-role.kubernetes.io/" + ("control-plane" if bay.release >= (1, 20) else "master")
        labels[role] = ""
        spec["taints"] = [{"key": role, "effect": "NoSchedule"}]
    has = {"cpu": f"{machine.cpu:g}", "memory": f"{machine.memory * 1024}Ki", "pods": "110"}
    addresses = [{"type": "InternalIP", "address": machine.address}, {"type": "Hostname", "address": name}]
    info = {"kubeletVersion": f"v{bay.version}", "operatingSystem": "linux", "architecture": "amd64"}
    conditions = [
        {
            "type": kind,
            "status": "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": bay.objects.stamp(),
        }
        for kind, (reason, message) in _PRESSURES.items()
    ]
    status = {"capacity": has, "allocatable": dict(has), "addresses": addresses, "nodeInfo": info}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {**status, "conditions": conditions}}


def hear(bay: KubernetesBay, node: Object, state: str) -> None:
    """What a node's kubelet says from now on: it is well, it is sick, or nothing."""
    name = node["metadata"]["name"]
    if state == "well":
        set_condition(bay.objects, node, "Ready", "True", "KubeletReady", "kubelet is posting ready status")
        _taint(bay, node, None)
        pods.sweep(bay, name)
        _serving(bay, name, serves=True)
        return
    since = bay.now
    if state == "sick":
        told = "container runtime network not ready: NetworkReady=false"
        set_condition(bay.objects, node, "Ready", "False", "KubeletNotReady", told)
        _taint(bay, node, NOT_READY)
        _serving(bay, name, serves=False)
    else:
        bay.later(bay.monitor_grace, lambda: _unheard(bay, name, since))
    grace = bay.eviction_grace + (bay.monitor_grace if state == "silent" else 0)
    bay.later(grace, lambda: _move_away(bay, name, since))


def _unheard(bay: KubernetesBay, name: str, since: float) -> None:
    node = bay.objects.get("nodes", "", name)
    if node is not None and bay.down_since(name) == since:
        told = "Kubelet stopped posting node status."
        for kind in ("Ready", *_PRESSURES):
            set_condition(bay.objects, node, kind, "Unknown", "NodeStatusUnknown", told)
        _taint(bay, node, UNREACHABLE)
        _serving(bay, name, serves=False)


def _serving(bay: KubernetesBay, name: str, *, serves: bool) -> None:
    """What runs on a node that is not well is not ready."""
    for pod in bay.objects.all("pods"):
        if pod["spec"].get("nodeName") == name and pod["status"]["phase"] == "Running":
            set_condition(bay.objects, pod, "Ready", "True" if serves else "False")


def _move_away(bay: KubernetesBay, name: str, since: float) -> None:
    """The node was down for too long: its pods are to run elsewhere, those that stay with their node excepted."""
    if bay.down_since(name) != since:
        return
    for pod in bay.objects.all("pods"):
        tolerates = any(not one.get("key") and one.get("operator") == "Exists" for one in pod["spec"]["tolerations"])
        if pod["spec"].get("nodeName") == name and not tolerates and not _stays(pod):
            pods.end(bay, pod)


def _stays(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(one["kind"] == "DaemonSet" for one in owners) or pods.MIRROR in (
        pod["metadata"].get("annotations") or {}
    )


def _taint(bay: KubernetesBay, node: Object, wanted: str | None) -> None:
    """Have that one of the two taints of ill nodes, or none."""
    if bay.release < _FIRST_TAINTS:
        return
    others = [one for one in node["spec"].get("taints") or () if one["key"] not in (UNREACHABLE, NOT_READY)]
    mine = [{"key": wanted, "effect": effect} for effect in ("NoSchedule", "NoExecute")] if wanted else []
    _keep_taints(bay, node, [*others, *mine])


def mark_closed(bay: KubernetesBay, node: Object) -> None:
    """A node that is closed has a taint too."""
    if bay.release < _FIRST_TAINTS:
        return
    taints = node["spec"].get("taints") or []
    has, wanted = any(one["key"] == UNSCHEDULABLE for one in taints), bool(node["spec"].get("unschedulable"))
    if has != wanted:
        rest = [one for one in taints if one["key"] != UNSCHEDULABLE]
        mine = [{"key": UNSCHEDULABLE, "effect": "NoSchedule"}] if wanted else []
        _keep_taints(bay, node, [*rest, *mine])


def _keep_taints(bay: KubernetesBay, node: Object, taints: list[Object]) -> None:
    if taints != (node["spec"].get("taints") or []):
        node["spec"].pop("taints", None)
        node["spec"] |= {"taints": taints} if taints else {}
        bay.objects.touch(node)


def shown(bay: KubernetesBay, node: Object) -> Object:
    """As it goes out, with the time of its last sign of life; well, when the bay lies."""
    told = copied(node)
    heard = bay.last_heard(node["metadata"]["name"])
    for one in told["status"]["conditions"]:
        one["lastHeartbeatTime"] = heard
    if bay.misbehaviours.lies:
        ready = condition(told, "Ready")
        ready |= {"status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    return told


def lease_shown(bay: KubernetesBay, lease: Object) -> Object:
    """As it goes out: renewed as long as its node is heard."""
    heard = bay.last_heard(lease["metadata"]["name"]).replace("Z", ".000000Z")
    return lease | {"spec": lease["spec"] | {"renewTime": heard}}
