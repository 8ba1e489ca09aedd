"""A pod's life: made, placed, running, asked to end, gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudsim.coe.kubernetes.objects import condition, copied, set_condition
from cloudsim.coe.kubernetes.quantity import number
from cloudsim.coe.kubernetes.replies import Object

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

MIRROR = "kubernetes.io/config.mirror"
_DEFAULT_GRACE = 30
_TOLERATED_SECONDS = 300


def asks(pod: Object) -> tuple[float, float]:
    """Cores and bytes that it reserves."""
    requests = [(one.get("resources") or {}).get("requests") or {} for one in pod["spec"].get("containers") or ()]
    return sum(number(one.get("cpu", 0)) for one in requests), sum(number(one.get("memory", 0)) for one in requests)


def ending(pod: Object) -> bool:
    """Whether it was asked to end."""
    return "deletionTimestamp" in pod["metadata"]


def over(pod: Object) -> bool:
    """Whether it has ended by itself."""
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether it serves."""
    return condition(pod, "Ready").get("status") == "True"


def make(bay: KubernetesBay, namespace: str, template: Object, owner: Object | None = None, kind: str = "") -> Object:
    """A new pod, Pending."""
    pod = copied(template)
    pod.pop("kind", None)
    pod.pop("apiVersion", None)
    if owner is not None:
        pod.setdefault("metadata", {}).setdefault("generateName", f"{owner['metadata']['name']}-")
        pod["metadata"]["ownerReferences"] = [reference(bay, owner, kind)]
    spec = pod["spec"]
    spec.setdefault("terminationGracePeriodSeconds", _DEFAULT_GRACE)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("tolerations", [])
    if bay.release >= (1, 13):
        known = {(one.get("key"), one.get("effect")) for one in spec["tolerations"]}
        more = [(f"node.kubernetes.io/{name}", "NoExecute") for name in ("not-ready", "unreachable")]
        spec["tolerations"] = spec["tolerations"] + [
            {"key": key, "operator": "Exists", "effect": effect, "tolerationSeconds": _TOLERATED_SECONDS}
            for key, effect in more
            if (key, effect) not in known
        ]
    pod["status"] = {"phase": "Pending", "qosClass": "Burstable" if any(asks(pod)) else "BestEffort"}
    made = bay.objects.add("pods", namespace, pod)
    if spec.get("nodeName"):
        _placed(bay, made)
    return made


def reference(bay: KubernetesBay, owner: Object, kind: str) -> Object:
    """How a pod names its owner."""
    meta = owner["metadata"]
    told: Object = {"apiVersion": bay.group_version_of_kind(kind), "kind": kind, "name": meta["name"]}
    return told | {"uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}


def bind(bay: KubernetesBay, pod: Object, node: str) -> None:
    """Place it; it runs `start_seconds` later."""
    pod["spec"]["nodeName"] = node
    _placed(bay, pod)


def _placed(bay: KubernetesBay, pod: Object) -> None:
    if bay.release >= (1, 3):
        set_condition(bay.objects, pod, "PodScheduled", "True")
    bay.objects.touch(pod)
    if bay.start_seconds:
        bay.later(bay.start_seconds, lambda: _run(bay, pod))
    else:
        _run(bay, pod)


def _run(bay: KubernetesBay, pod: Object) -> None:
    if ending(pod) or over(pod):
        return
    name = pod["spec"]["nodeName"]
    pod["status"] |= {"phase": "Running", "startTime": bay.objects.stamp(), "hostIP": bay.address_of(name)}
    set_condition(bay.objects, pod, "Ready", "True")


def end(bay: KubernetesBay, pod: Object, grace: int | None = None) -> None:
    """Ask it to end. It is gone when it has stopped, at the latest after its grace; what runs nowhere is gone at once,
    and so is what is ended with a grace of 0."""
    seconds = int(pod["spec"]["terminationGracePeriodSeconds"]) if grace is None else grace
    if not pod["spec"].get("nodeName") or seconds == 0 or over(pod):
        bay.objects.drop("pods", pod)
        return
    if ending(pod):
        return
    pod["metadata"] |= {"deletionTimestamp": bay.objects.stamp(), "deletionGracePeriodSeconds": seconds}
    bay.objects.touch(pod)
    bay.later(min(seconds, bay.stop_seconds), lambda: _stopped(bay, pod))
    if not min(seconds, bay.stop_seconds):
        _stopped(bay, pod)


def _stopped(bay: KubernetesBay, pod: Object) -> None:
    """Its node says that it has ended; a node that is not heard says nothing, and the pod stays in the list."""
    if bay.hears(pod["spec"]["nodeName"]):
        bay.objects.drop("pods", pod)


def sweep(bay: KubernetesBay, node: str) -> None:
    """A node that is heard again tells of what has ended meanwhile."""
    for pod in bay.objects.all("pods"):
        if pod["spec"].get("nodeName") == node and ending(pod):
            bay.objects.drop("pods", pod)
