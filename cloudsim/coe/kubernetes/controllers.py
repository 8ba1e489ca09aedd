"""Kubernetes' controllers: pods are made and placed until what runs is what is wanted."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from cloudsim.coe.kubernetes import disruption, pods, scheduling, volumes
from cloudsim.coe.kubernetes.kinds import WORKLOADS
from cloudsim.coe.kubernetes.objects import Objects, copied, owner_of, owner_uid, set_condition
from cloudsim.coe.kubernetes.replies import Object

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

_ROUNDS = 20


def run(bay: KubernetesBay) -> None:
    """Until nothing changes any more."""
    for _ in range(_ROUNDS):
        before = bay.objects.revision
        _collect(bay)
        _static(bay)
        for deployment in bay.objects.all("deployments"):
            _deployment(bay, deployment)
        for resource, kind in (("replicasets", "ReplicaSet"), ("replicationcontrollers", "ReplicationController")):
            for owner in bay.objects.all(resource):
                _replicas(bay, owner, kind)
        for owner in bay.objects.all("statefulsets"):
            _stateful(bay, owner)
        for owner in bay.objects.all("daemonsets"):
            _everywhere(bay, owner)
        volumes.bind(bay)
        _schedule(bay)
        if bay.objects.revision == before:
            break
    for budget in bay.objects.all("poddisruptionbudgets"):
        disruption.refresh(bay.objects, budget)


def _collect(bay: KubernetesBay) -> None:
    """What lost its owner ends, and what lost its node is forgotten."""
    objects = bay.objects
    uids = {one["metadata"]["uid"] for resource in WORKLOADS for one in objects.all(resource)}
    for one in objects.all("replicasets"):
        if owner_uid(one) not in (None, *uids):
            objects.drop("replicasets", one)
            uids.discard(one["metadata"]["uid"])
    nodes = {one["metadata"]["name"] for one in objects.all("nodes")}
    for pod in objects.all("pods"):
        if pod["spec"].get("nodeName") and pod["spec"]["nodeName"] not in nodes:
            objects.drop("pods", pod)
        elif owner_uid(pod) not in (None, *uids) and not pods.ending(pod):
            pods.end(bay, pod)


def _static(bay: KubernetesBay) -> None:
    """What a kubelet runs from a file of its own comes back whatever the API is told."""
    for pod in bay.static_pods:
        meta, node = pod["metadata"], pod["spec"]["nodeName"]
        if (
            bay.hears(node)
            and bay.objects.get("nodes", "", node)
            and not bay.objects.get("pods", meta["namespace"], meta["name"])
        ):
            pods.make(bay, meta["namespace"], pod)


def _deployment(bay: KubernetesBay, deployment: Object) -> None:
    """One ReplicaSet for the present template; those of earlier ones go."""
    objects, spec = bay.objects, deployment["spec"]
    text = json.dumps(spec["template"], sort_keys=True).encode()
    digest = hashlib.sha256(text).hexdigest()[:10]
    name = f"{deployment['metadata']['name']}-{digest}"
    for old in [*objects.owned("replicasets", deployment)]:
        if old["metadata"]["name"] != name:
            objects.drop("replicasets", old)
    found = objects.get("replicasets", deployment["metadata"]["namespace"], name)
    if found is None:
        found = _replica_set(bay, deployment, name, digest)
    if found["spec"]["replicas"] != spec["replicas"]:
        found["spec"]["replicas"] = spec["replicas"]
        objects.touch(found)
    counts = {key: found["status"].get(key, 0) for key in ("replicas", "readyReplicas", "availableReplicas")}
    counts["updatedReplicas"] = counts["replicas"]
    objects.status(deployment, observedGeneration=deployment["metadata"]["generation"], **counts)
    serves = counts["availableReplicas"] >= spec["replicas"]
    set_condition(objects, deployment, "Available", "True" if serves else "False")


def _replica_set(bay: KubernetesBay, deployment: Object, name: str, digest: str) -> Object:
    template = copied(deployment["spec"]["template"])
    extra = {"pod-template-hash": digest}
    template.setdefault("metadata", {})["labels"] = {**(template["metadata"].get("labels") or {}), **extra}
    selector = {"matchLabels": template["metadata"]["labels"]}
    spec = {"replicas": deployment["spec"]["replicas"], "selector": selector, "template": template}
    owner = [pods.reference(bay, deployment, "Deployment")]
    meta = {"name": name, "labels": template["metadata"]["labels"], "ownerReferences": owner}
    made = {"metadata": meta, "spec": spec, "status": {"replicas": 0}}
    return bay.objects.add("replicasets", deployment["metadata"]["namespace"], made)


def _living(objects: Objects, owner: Object) -> list[Object]:
    return [pod for pod in objects.owned("pods", owner) if not pods.ending(pod) and not pods.over(pod)]


def _replicas(bay: KubernetesBay, owner: Object, kind: str) -> None:
    living, wanted = _living(bay.objects, owner), int(owner["spec"]["replicas"])
    for _ in range(wanted - len(living)):
        pods.make(bay, owner["metadata"]["namespace"], owner["spec"]["template"], owner, kind)
    for pod in sorted(living, key=pods.is_ready)[: max(0, len(living) - wanted)]:
        pods.end(bay, pod)
    _count(bay.objects, owner)


def _stateful(bay: KubernetesBay, owner: Object) -> None:
    """Pods with names, each once: one that is ending keeps its name from its successor."""
    name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
    wanted = {f"{name}-{number}" for number in range(int(owner["spec"]["replicas"]))}
    for missing in sorted(wanted):
        if bay.objects.get("pods", namespace, missing) is None:
            template = copied(owner["spec"]["template"])
            template.setdefault("metadata", {})["name"] = missing
            pods.make(bay, namespace, template, owner, "StatefulSet")
    for pod in _living(bay.objects, owner):
        if pod["metadata"]["name"] not in wanted:
            pods.end(bay, pod)
    _count(bay.objects, owner)


def _count(objects: Objects, owner: Object) -> None:
    living = _living(objects, owner)
    ready = sum(map(pods.is_ready, living))
    generation = owner["metadata"].get("generation", 1)
    objects.status(
        owner, replicas=len(living), readyReplicas=ready, availableReplicas=ready, observedGeneration=generation
    )


def _everywhere(bay: KubernetesBay, owner: Object) -> None:
    """One pod on each node that suits, closed nodes too."""
    objects, template = bay.objects, owner["spec"]["template"]
    wanted = [one["metadata"]["name"] for one in objects.all("nodes") if scheduling.suits(template, one)]
    having = {pod["spec"]["nodeName"] for pod in objects.owned("pods", owner)}
    for node in wanted:
        if node not in having:
            made = copied(template)
            made["spec"]["nodeName"] = node
            pods.make(bay, owner["metadata"]["namespace"], made, owner, "DaemonSet")
    for pod in _living(objects, owner):
        if pod["spec"]["nodeName"] not in wanted:
            pods.end(bay, pod)
    ready = sum(pods.is_ready(pod) for pod in _living(objects, owner))
    objects.status(owner, desiredNumberScheduled=len(wanted), currentNumberScheduled=len(having), numberReady=ready)


def _schedule(bay: KubernetesBay) -> None:
    objects = bay.objects
    waiting = [pod for pod in objects.all("pods") if not pod["spec"].get("nodeName")]
    if not waiting:
        return
    places = scheduling.rooms(objects.all("nodes"), objects.all("pods"))
    for pod in waiting:
        unbound = volumes.waits(bay, pod)
        room, why = (None, volumes.UNBOUND) if unbound else scheduling.place(pod, places, bay.release)
        if room is not None:
            room.take(pod)
            pods.bind(bay, pod, room.node["metadata"]["name"])
        elif bay.release >= (1, 3):  # older ones tell it in events only
            set_condition(objects, pod, "PodScheduled", "False", "Unschedulable", why)


def scale_of(objects: Objects, pod: Object) -> tuple[str, int] | None:
    """Who decides how many of these pods there are, and how many that are; None: nobody does."""
    owner = owner_of(pod)
    found = owner and _find(objects, pod["metadata"]["namespace"], owner)
    if not found:
        return None
    above = owner_of(found)
    top = (above and _find(objects, pod["metadata"]["namespace"], above)) or found
    return str(top["metadata"]["uid"]), int(top["spec"].get("replicas", 1))


def _find(objects: Objects, namespace: str, owner: Object) -> Object | None:
    return objects.get(f"{owner['kind'].lower()}s", namespace, owner["name"])
