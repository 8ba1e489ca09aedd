"""A Kubernetes bay: its state, and how tests and demos change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from typing_extensions import override

from cloudsim.clock import Clock
from cloudsim.coe.bay import Bay, Machine, Source
from cloudsim.coe.disks import Disks
from cloudsim.coe.kubernetes import api, controllers, nodes, pods, volumes
from cloudsim.coe.kubernetes.kinds import RESOURCES, version_of
from cloudsim.coe.kubernetes.objects import Objects, condition, labels_of, owner_of, set_condition
from cloudsim.coe.kubernetes.replies import Object
from cloudsim.coe.wire import Reply, Request

_MASTERS = (1, 6)
"""Since then our masters are nodes too; their kubelets did not register before."""


class KubernetesBay(Bay):
    """One Kubernetes. Times are seconds of the simulated clock.

    Args:
        version: what it is to be; 1.2 has no evictions and no budgets, before 1.6 every certificate may do everything.
        start_seconds: from a pod's placing to its being ready.
        stop_seconds: how long a pod takes to end; never longer than its grace.
        monitor_grace: silence after which a node is Unknown.
        eviction_grace: how long its pods tolerate that.
    """

    ENGINE: ClassVar[str] = "kubernetes"
    DOES: ClassVar[frozenset[str]] = Bay.DOES | {
        "add_deployment",
        "add_daemonset",
        "add_pod",
        "add_budget",
        "scale",
        "remove",
        "set_ready",
        "ail",
        "pods",
        "nodes",
    }

    def __init__(
        self,
        clock: Clock,
        source: Source | None = None,
        *,
        version: str = "1.28.4",
        start_seconds: float = 0.0,
        stop_seconds: float = 0.0,
        monitor_grace: float = 40.0,
        eviction_grace: float = 300.0,
    ) -> None:
        super().__init__(clock, source)
        self.version = version
        self.release = version_of(version)
        self.start_seconds, self.stop_seconds = start_seconds, stop_seconds
        self.monitor_grace, self.eviction_grace = monitor_grace, eviction_grace
        self.objects = Objects(self._stamp)
        self.ailing: frozenset[str] = frozenset()
        self.static_pods: list[Object] = []
        self._heard: dict[str, tuple[Machine, float]] = {}
        self._settled = 0
        for name in ("default", "kube-system", "kube-node-lease"):
            self.objects.add("namespaces", "", {"metadata": {"name": name}, "spec": {}, "status": {"phase": "Active"}})

    # ---- for people ----

    def add_deployment(
        self,
        name: str,
        replicas: int = 1,
        *,
        namespace: str = "default",
        cpu: str = "100m",
        memory: str = "64Mi",
        selector: dict[str, str] | None = None,
        tolerations: list[Object] | None = None,
        grace: int = 30,
    ) -> None:
        """Pods with the label `app: NAME`; `selector` is their nodeSelector."""
        template = _template(name, cpu, memory, selector, tolerations, grace)
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        made = {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec, "status": {}}
        resource = "deployments" if self.group_version_of_kind("Deployment") else "replicationcontrollers"
        self.objects.add(resource, namespace, made)
        self.settle()

    def add_daemonset(
        self,
        name: str,
        *,
        namespace: str = "kube-system",
        cpu: str = "100m",
        memory: str = "64Mi",
        everywhere: bool = True,
    ) -> None:
        """A pod on each node; on those with taints too, unless told otherwise."""
        tolerations: list[Object] | None = [{"operator": "Exists"}] if everywhere else None
        spec = {"selector": {"matchLabels": {"app": name}}, "template": _template(name, cpu, memory, None, tolerations)}
        self.objects.add("daemonsets", namespace, {"metadata": {"name": name}, "spec": spec, "status": {}})
        self.settle()

    def add_pod(
        self,
        name: str,
        *,
        namespace: str = "default",
        cpu: str = "100m",
        memory: str = "64Mi",
        node: str = "",
        mirror: bool = False,
        grace: int = 30,
    ) -> None:
        """A pod that nobody makes again; with `mirror` one that the kubelet of `node` runs from a file of its own."""
        template = _template(name, cpu, memory, None, None, grace)
        template["metadata"] |= {"name": name, "namespace": namespace}
        if node:
            template["spec"]["nodeName"] = node
        if mirror:
            template["metadata"]["annotations"] = {pods.MIRROR: "0" * 32, "kubernetes.io/config.source": "file"}
            self.static_pods.append(template)
        else:
            pods.make(self, namespace, template)
        self.settle()

    def add_budget(
        self,
        name: str,
        app: str,
        *,
        namespace: str = "default",
        min_available: int | str | None = None,
        max_unavailable: int | str | None = None,
    ) -> None:
        """A PodDisruptionBudget for the pods with the label `app`."""
        spec: Object = {"selector": {"matchLabels": {"app": app}}}
        spec |= {"minAvailable": min_available} if min_available is not None else {}
        spec |= {"maxUnavailable": max_unavailable} if max_unavailable is not None else {}
        made = {"metadata": {"name": name}, "spec": spec, "status": {}}
        self.objects.add("poddisruptionbudgets", namespace, made)
        self._settled = 0
        self.settle()

    def scale(self, name: str, replicas: int, *, namespace: str = "default") -> None:
        """Have another number of a deployment's pods."""
        found = self._workload(name, namespace)
        found["spec"]["replicas"] = replicas
        self.objects.touch(found)
        self.settle()

    def remove(self, name: str, *, namespace: str = "default") -> None:
        """Delete a deployment, and its pods with it."""
        for resource in ("deployments", "replicationcontrollers"):
            if found := self.objects.get(resource, namespace, name):
                self.objects.drop(resource, found)
        self.settle()

    def set_ready(self, pod: str, ready: bool, *, namespace: str = "default") -> None:
        """Let a pod serve, or not."""
        found = self.objects.get("pods", namespace, pod)
        if found is None:
            raise KeyError(pod)
        set_condition(self.objects, found, "Ready", "True" if ready else "False")
        self.settle()

    def ail(self, *checks: str) -> None:
        """Checks of /healthz that fail, such as `etcd`; none: all pass again."""
        self.ailing = frozenset(checks)

    def pods(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """Each pod's namespace, name, app, node, phase, whether it is ending, and why it waits."""
        self.settle()
        return [_brief(pod) for pod in self.objects.all("pods", namespace)]

    def nodes(self) -> list[dict[str, Any]]:
        """Each node's name, whether it is ready and closed, its annotations and labels, and what pods are on it."""
        self.settle()
        running: dict[str, list[str]] = {}
        for pod in self.objects.all("pods"):
            running.setdefault(pod["spec"].get("nodeName", ""), []).append(pod["metadata"]["name"])
        return [
            {
                "name": node["metadata"]["name"],
                "ready": condition(node, "Ready").get("status"),
                "closed": bool(node["spec"].get("unschedulable")),
                "annotations": node["metadata"].get("annotations") or {},
                "labels": labels_of(node),
                "taints": node["spec"].get("taints") or [],
                "pods": running.get(node["metadata"]["name"], []),
            }
            for node in self.objects.all("nodes")
        ]

    # ---- for the wire ----

    @override
    def respond(self, request: Request) -> Reply:
        return api.respond(self, request)

    # ---- for this package ----

    @override
    def give(self, disks: Disks, bay: str) -> None:
        super().give(disks, bay)
        if RESOURCES["storageclasses"].group_version(self.release):
            volumes.storage_class(self)

    @override
    def machines_are(self, machines: dict[str, Machine]) -> None:
        """Nodes join when their machine is first seen, well or not (it was well once, since it is there); later its
        states are followed."""
        known = {one.name.lower(): one for one in machines.values() if one.role != "master" or self.release >= _MASTERS}
        for name, machine in known.items():
            if name not in self._heard:
                nodes.join(self, machine)
                self._hear(replace(machine, state="well"), "well")
            known_as = self._heard[name][0]
            if (known_as.state, known_as.id) != (machine.state, machine.id):
                self._hear(machine, machine.state)
        for name in self._heard.keys() - known.keys():
            machine = self._heard[name][0]
            if machine.state != "silent":
                self._hear(replace(machine, state="silent"), "silent")
            if self.objects.get("nodes", "", name) is None:
                del self._heard[name]

    def _hear(self, machine: Machine, state: str) -> None:
        name = machine.name.lower()
        if state == "well" and name in self._heard:
            nodes.join(self, machine)
        self._heard[name] = (machine, self.now)
        node = self.objects.get("nodes", "", name)
        if node is not None:
            nodes.hear(self, node, state)

    @override
    def reconcile(self) -> None:
        if self.objects.revision != self._settled:
            for node in self.objects.all("nodes"):
                nodes.mark_closed(self, node)
            controllers.run(self)
            self._settled = self.objects.revision
        if self.disks is not None:
            self.disks.hold(volumes.attached(self))

    def hears(self, node: str) -> bool:
        """Whether a node's kubelet answers."""
        return node in self._heard and self._heard[node][0].state != "silent"

    def down_since(self, node: str) -> float | None:
        """Since when it is not well; None: it is."""
        machine, since = self._heard.get(node, (None, 0.0))
        return since if machine is not None and machine.state != "well" else None

    def address_of(self, node: str) -> str:
        """The machine's address."""
        return self._heard[node][0].address if node in self._heard else ""

    def server_of(self, node: str) -> str:
        """The id of the machine's server."""
        return self._heard[node][0].id if node in self._heard else ""

    def last_heard(self, node: str) -> str:
        """When its kubelet last spoke; leases tell the same."""
        if self.hears(node):
            return self._stamp()
        _, since = self._heard.get(node, (None, self.now))
        return self._written(self.clock.now() - (self.clock.elapsed() - since))

    def micro_stamp(self) -> str:
        """Now with microseconds, as leases have it."""
        return self.clock.iso(micros=True)

    def group_version_of_kind(self, kind: str) -> str:
        """In which group's version this release has a kind; empty: it has it not."""
        return next(one for one in RESOURCES.values() if one.kind == kind).group_version(self.release)

    def _stamp(self) -> str:
        return self._written(self.clock.now())

    @staticmethod
    def _written(at: float) -> str:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _workload(self, name: str, namespace: str) -> Object:
        for resource in ("deployments", "replicationcontrollers"):
            if found := self.objects.get(resource, namespace, name):
                return found
        raise KeyError(name)


def _template(
    app: str,
    cpu: str,
    memory: str,
    selector: dict[str, str] | None,
    tolerations: list[Object] | None,
    grace: int = 30,
) -> Object:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    spec: Object = {"containers": [{"name": app, "image": f"{app}:1", "resources": resources}]}
    spec |= {"nodeSelector": selector} if selector else {}
    spec |= {"tolerations": tolerations} if tolerations else {}
    return {"metadata": {"labels": {"app": app}}, "spec": spec | {"terminationGracePeriodSeconds": grace}}


def _brief(pod: Object) -> dict[str, Any]:
    meta, owner = pod["metadata"], owner_of(pod)
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "app": (meta.get("labels") or {}).get("app", ""),
        "node": pod["spec"].get("nodeName"),
        "phase": pod["status"]["phase"],
        "ready": pods.is_ready(pod),
        "ending": pods.ending(pod),
        "owner": owner["kind"] if owner else None,
        "waits": condition(pod, "PodScheduled").get("message", ""),
    }
