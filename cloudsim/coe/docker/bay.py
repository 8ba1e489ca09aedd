"""A bay with docker's swarm mode: its state, and how tests and demos change it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from cloudsim.clock import Clock
from cloudsim.coe.bay import MIB, Bay, Machine, Source
from cloudsim.coe.disks import Disks
from cloudsim.coe.docker import api, orchestration
from cloudsim.coe.docker.replies import Object
from cloudsim.coe.docker.swarm import NANO, Swarm, ended, mounts, name_of
from cloudsim.coe.wire import Reply, Request


class DockerBay(Bay):
    """One swarm, asked through one of its managers. Times are seconds of the simulated clock.

    Args:
        version: docker's.
        api: its API's newest version, such as "1.43"; before 1.30 refusals and waiting tasks are worded otherwise.
        stop_seconds: how long a task takes to end.
        down_after: silence after which a node is down, and its tasks run elsewhere.
        manager: whether the docker that is asked is a manager of the swarm at all.
    """

    ENGINE: ClassVar[str] = "docker"
    DOES: ClassVar[frozenset[str]] = Bay.DOES | {"add_service", "scale", "remove", "label", "tasks", "nodes"}

    def __init__(
        self,
        clock: Clock,
        source: Source | None = None,
        *,
        version: str = "24.0.7",
        api: str = "1.43",
        stop_seconds: float = 0.0,
        down_after: float = 15.0,
        manager: bool = True,
    ) -> None:
        super().__init__(clock, source)
        self.version = version
        major, minor = api.split(".")
        self.api = int(major), int(minor)
        self.stop_seconds, self.down_after, self.manager = stop_seconds, down_after, manager
        self.swarm = Swarm(lambda: self.clock.iso(micros=True))
        self._joined: dict[str, tuple[Machine, float, str]] = {}
        self._settled = 0

    # ---- for people ----

    def add_service(
        self,
        name: str,
        replicas: int = 1,
        *,
        cpu: float = 0.0,
        memory: int = 0,
        everywhere: bool = False,
        constraints: list[str] | None = None,
        restart: str = "any",
    ) -> str:
        """A service whose tasks reserve so many cores and MiB; `everywhere`: one on each node. Returns its id."""
        reserved = {"NanoCPUs": int(cpu * NANO), "MemoryBytes": memory * MIB}
        template: Object = {"ContainerSpec": {"Image": f"{name}:1"}, "Resources": {"Reservations": reserved}}
        template |= {"RestartPolicy": {"Condition": restart}, "Placement": {"Constraints": constraints or []}}
        mode = {"Global": {}} if everywhere else {"Replicated": {"Replicas": replicas}}
        made = self.create({"Name": name, "Labels": {}, "TaskTemplate": template, "Mode": mode})
        self.settle()
        return str(made["ID"])

    def scale(self, name: str, replicas: int) -> None:
        """Have another number of a service's tasks."""
        service = self._service(name)
        service["Spec"] = copy.deepcopy(service["Spec"])
        service["Spec"]["Mode"]["Replicated"]["Replicas"] = replicas
        self.swarm.touch(service)
        self.settle()

    def remove(self, name: str) -> None:
        """Remove a service."""
        del self.swarm.services[self._service(name)["ID"]]
        self.swarm.index += 1
        self.settle()

    def label(self, node: str, labels: dict[str, str]) -> None:
        """Somebody labels a node, which changes its version."""
        found = self.swarm.find(self.swarm.nodes, node)
        if found is None:
            raise KeyError(node)
        found["Spec"] = found["Spec"] | {"Labels": found["Spec"]["Labels"] | labels}
        self.swarm.touch(found)
        self.settle()

    def tasks(self, *, living: bool = True) -> list[dict[str, Any]]:
        """Each task's service, slot, node, states and why it waits; with `living=False` those that have ended too."""
        self.settle()
        return [
            {
                "id": task["ID"],
                "service": name_of(self.swarm.services.get(task["ServiceID"], {})),
                "slot": task.get("Slot"),
                "node": name_of(self.swarm.nodes.get(task.get("NodeID", ""), {})) or None,
                "state": task["Status"]["State"],
                "wanted": task["DesiredState"],
                "waits": task["Status"].get("Err", ""),
            }
            for task in self.swarm.tasks.values()
            if not (living and ended(task))
        ]

    def nodes(self) -> list[dict[str, Any]]:
        """Each node's id, name, role, state, availability, labels and how many tasks it has."""
        self.settle()
        return [
            {
                "id": node["ID"],
                "name": name_of(node),
                "role": node["Spec"]["Role"],
                "state": node["Status"]["State"],
                "availability": node["Spec"]["Availability"],
                "labels": node["Spec"]["Labels"],
                "tasks": sum(1 for _ in self.swarm.on(node["ID"])),
            }
            for node in self.swarm.nodes.values()
        ]

    # ---- for the wire ----

    @override
    def respond(self, request: Request) -> Reply:
        return api.respond(self, request)

    def create(self, spec: Object) -> Object:
        """Keep a new service."""
        spec.setdefault("TaskTemplate", {})
        spec.setdefault("Mode", {"Replicated": {"Replicas": 1}})
        made = self.swarm.made({"Spec": spec, "Endpoint": {"Spec": {}}})
        self.swarm.services[made["ID"]] = made
        return made

    def shown(self, node: Object) -> Object:
        """As it goes out; ready, when the bay lies."""
        if self.misbehaviours.lies:
            return node | {"Status": {"State": "ready", "Addr": node["Status"]["Addr"]}}
        return node

    # ---- for this package ----

    @override
    def machines_are(self, machines: dict[str, Machine]) -> None:
        """Machines join once, when they are first seen; later their states are followed."""
        for name, machine in machines.items():
            if name in self._joined and self._joined[name][0].id != machine.id:  # another one, which joins anew
                self._status(self._joined.pop(name)[2], "down", "heartbeat failure")
            if name not in self._joined:
                node = self.swarm.join(machine, self.version)["ID"]
                self._joined[name] = (replace(machine, state="well"), self.now, node)
            if self._joined[name][0].state != machine.state:
                self._heard(machine)
        for name in self._joined.keys() - machines.keys():
            machine, _, node = self._joined[name]
            if machine.state != "silent":
                self._heard(replace(machine, state="silent"))
            if node not in self.swarm.nodes:
                del self._joined[name]

    def _heard(self, machine: Machine) -> None:
        """A machine is in another state than before. A daemon that leaves by itself is down at once."""
        node, since = self._joined[machine.name][2], self.now
        self._joined[machine.name] = (machine, since, node)
        if machine.state == "well":
            self._status(node, "ready", "")
        elif machine.state == "sick":
            self._status(node, "down", "not responding")
        else:
            self.later(self.down_after, lambda: self._silent(machine.name, since))

    def _silent(self, name: str, since: float) -> None:
        machine, then, node = self._joined.get(name, (None, 0.0, ""))
        if machine is not None and (machine.state, then) == ("silent", since):
            self._status(node, "down", "heartbeat failure")

    def _status(self, node_id: str, state: str, message: str) -> None:
        node = self.swarm.nodes.get(node_id)
        if node is None:
            return
        told = {"State": state, "Addr": node["Status"]["Addr"]} | ({"Message": message} if message else {})
        node["Status"] = told
        if "ManagerStatus" in node:
            reachable = "reachable" if state == "ready" else "unreachable"
            node["ManagerStatus"] = node["ManagerStatus"] | {"Reachability": reachable}
        self.swarm.touch(node)
        if state == "ready":
            orchestration.heard_again(self, node)

    @override
    def reconcile(self) -> None:
        if self.swarm.index != self._settled:
            orchestration.run(self)
            self._settled = self.swarm.index
        if self.disks is not None:
            self.disks.hold(self._mounted(self.disks))

    def _mounted(self, disks: Disks) -> dict[str, str]:
        """Which volumes of REX-Ray's tasks want at which server."""
        found: dict[str, str] = {}
        for machine, _, node in self._joined.values():
            for task in self.swarm.on(node) if machine.id else ():
                for name, size in mounts(task):
                    if volume := disks.called(name, size):
                        found[volume] = machine.id
        return found

    def _service(self, name: str) -> Object:
        found = self.swarm.find(self.swarm.services, name)
        if found is None:
            raise KeyError(name)
        return found
