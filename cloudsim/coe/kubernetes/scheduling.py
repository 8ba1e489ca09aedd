"""Where a pod can run, and what Kubernetes says when that is nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloudsim.coe.kubernetes import pods
from cloudsim.coe.kubernetes.kinds import Version
from cloudsim.coe.kubernetes.objects import condition, labels_of
from cloudsim.coe.kubernetes.quantity import number
from cloudsim.coe.kubernetes.replies import Object

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


@dataclass(slots=True)
class Room:
    """What is left of a node."""

    node: Object
    cpu: float
    memory: float
    pods: int
    whole: float

    def take(self, pod: Object) -> None:
        """Room for it."""
        cpu, memory = pods.asks(pod)
        self.cpu, self.memory, self.pods = self.cpu - cpu, self.memory - memory, self.pods - 1


def rooms(nodes: Iterable[Object], running: Iterable[Object]) -> dict[str, Room]:
    """What is left of each node, by its name."""
    found = {}
    for node in nodes:
        has = node["status"]["allocatable"]
        cpu = number(has["cpu"])
        found[node["metadata"]["name"]] = Room(node, cpu, number(has["memory"]), int(has["pods"]), cpu)
    for pod in running:
        if not pods.over(pod) and (room := found.get(pod["spec"].get("nodeName", ""))) is not None:
            room.take(pod)
    return found


def place(pod: Object, places: Mapping[str, Room], release: Version) -> tuple[Room | None, str]:
    """The node with most room that it fits on; else what is said about that."""
    fitting, reasons, full = [], Counter[str](), 0
    for room in places.values():
        why = _against(pod, room, release)
        reasons.update(why)
        full += any(one.startswith(("Insufficient", "Too many")) for one in why)
        if not why:
            fitting.append(room)
    if not fitting:
        return None, _message(pod, len(places), reasons, full, release)
    return max(fitting, key=lambda room: (room.cpu / (room.whole or 1), room.pods)), ""


def _against(pod: Object, room: Room, release: Version) -> list[str]:
    """Why a pod cannot run there: the first kind of obstacle, as the scheduler tells it."""
    node, spec = room.node, pod["spec"]
    tolerations = spec.get("tolerations") or ()
    if node["spec"].get("unschedulable") and not _tolerates(
        tolerations, {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    ):
        return ["node(s) were unschedulable"]
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] != "PreferNoSchedule" and not _tolerates(tolerations, taint):
            named = f"{{{taint['key']}: {taint.get('value', '')}}}"
            if release >= (1, 24):
                return [f"node(s) had untolerated taint {named}"]
            return [f"node(s) had taint {named}, that the pod didn't tolerate"]
    if release < (1, 13) and condition(node, "Ready").get("status") != "True":
        return ["node(s) were not ready"]
    if any(labels_of(node).get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return ["node(s) didn't match " + ("Pod's node affinity/selector" if release >= (1, 20) else "node selector")]
    cpu, memory = pods.asks(pod)
    found = ["Too many pods"] if room.pods < 1 else []
    found += ["Insufficient cpu"] if cpu > room.cpu + 1e-9 else []
    return found + (["Insufficient memory"] if memory > room.memory + 1e-9 else [])


def _tolerates(tolerations: Iterable[Object], taint: Object) -> bool:
    return any(
        one.get("effect") in (None, "", taint["effect"])
        and one.get("key", "") in ("", taint["key"])
        and (one.get("operator") == "Exists" or one.get("value", "") == taint.get("value", ""))
        for one in tolerations
    )


def suits(pod: Object, node: Object) -> bool:
    """Whether a DaemonSet has a pod there: by labels and taints alone, closed or not."""
    spec = pod["spec"]
    if any(labels_of(node).get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    given = [one for one in node["spec"].get("taints") or () if not one["key"].startswith("node.kubernetes.io/")]
    given = [one for one in given if one["effect"] != "PreferNoSchedule"]
    return all(_tolerates(spec.get("tolerations") or (), taint) for taint in given)


def _message(pod: Object, count: int, reasons: Mapping[str, int], full: int, release: Version) -> str:
    """`full` nodes want for room only, so that ending other pods there might help."""
    if not count:
        return "no nodes available to schedule pods"
    if release < (1, 10):
        told = ", ".join(f"{reason} ({times})" for reason, times in sorted(reasons.items()))
        return f"pod ({pod['metadata']['name']}) failed to fit in any node\nfit failure summary on nodes : {told}"
    told = ", ".join(sorted(f"{times} {reason}" for reason, times in reasons.items()))
    message = f"0/{count} nodes are available: {told}."
    if release < (1, 24):
        return message
    parts = [f"{count - full} Preemption is not helpful for scheduling"] if count > full else []
    parts += [f"{full} No preemption victims found for incoming pod"] if full else []
    return f"{message} preemption: 0/{count} nodes are available: {', '.join(sorted(parts))}."
