"""Classic Swarm: one manager before many docker engines, as the standalone program swarm/1.2 was."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from typing_extensions import override

from cloudsim.clock import Clock
from cloudsim.coe.bay import MIB, Bay, Machine, Source
from cloudsim.coe.disks import REXRAY
from cloudsim.coe.docker.api import path_of
from cloudsim.coe.docker.replies import Object, Refused, read
from cloudsim.coe.wire import Reply, Request, as_json, as_text

_POLICIES = "com.docker.swarm.reschedule-policies"
_AGAIN = "on-node-failure"
_API = (1, 22)
_NO_ROOM = "no resources available to schedule container"


@dataclass(slots=True)
class Engine:
    """A docker engine that the manager knows."""

    machine: Machine
    since: float
    healthy: bool = True


@dataclass(slots=True)
class Container:
    """A container on an engine."""

    name: str
    engine: str
    cpu: int
    memory: int
    """Bytes."""
    labels: dict[str, str]
    image: str
    running: bool = True
    volumes: tuple[str, ...] = ()
    """Names of REX-Ray's."""
    id: str = field(default_factory=lambda: secrets.token_hex(32))


class ClassicBay(Bay):
    """One classic Swarm. Nothing is moved but what asked for that; nothing waits, what finds no room is refused.

    Args:
        unhealthy_after: silence after which an engine is Unhealthy and its containers are started elsewhere.
        forgotten_after: silence after which it is not listed any more.
    """

    ENGINE: ClassVar[str] = "swarm"
    DOES: ClassVar[frozenset[str]] = Bay.DOES | {"add_container", "containers", "nodes"}

    def __init__(
        self,
        clock: Clock,
        source: Source | None = None,
        *,
        version: str = "swarm/1.2.6",
        unhealthy_after: float = 30.0,
        forgotten_after: float = 180.0,
    ) -> None:
        super().__init__(clock, source)
        self.version = version
        self.unhealthy_after, self.forgotten_after = unhealthy_after, forgotten_after
        self._engines: dict[str, Engine] = {}
        self._gone: set[str] = set()
        """Engines that were forgotten, and have not been heard since."""
        self._containers: dict[str, Container] = {}

    def add_container(
        self, name: str, *, node: str = "", cpu: int = 0, memory: int = 0, again: bool = False, image: str = "app:1"
    ) -> str:
        """Start a container that reserves so many cores and MiB; `again`: elsewhere, when its node is gone.

        Raises:
            ValueError: no engine has room.
        """
        labels = {_POLICIES: f'["{_AGAIN}"]'} if again else {}
        try:
            return self._start(Container(name, node, cpu, memory * MIB, labels, image)).id
        except Refused as error:
            raise ValueError(error.message) from error

    def containers(self) -> list[dict[str, Any]]:
        """Each container's id, name, node and whether it runs."""
        self.settle()
        return [
            {"id": one.id, "name": one.name, "node": one.engine, "running": one.running}
            for one in self._containers.values()
        ]

    def nodes(self) -> list[dict[str, Any]]:
        """Each engine's name, whether it is healthy, and how many containers run on it."""
        self.settle()
        return [
            {"name": name, "healthy": engine.healthy, "containers": len(self._on(name))}
            for name, engine in self._engines.items()
        ]

    @override
    def machines_are(self, machines: dict[str, Machine]) -> None:
        """Masters run the manager only."""
        workers = {name: machine for name, machine in machines.items() if machine.role != "master"}
        for name, machine in workers.items():
            if machine.state == "well":
                self._gone.discard(name)
            if name not in self._engines and name not in self._gone:
                self._engines[name] = Engine(replace(machine, state="well"), self.now)
            known = self._engines[name].machine if name in self._engines else machine
            if (known.state, known.id) != (machine.state, machine.id):
                self._heard(machine)
        for name, engine in self._engines.items():
            if name not in workers and engine.machine.state == "well":
                self._heard(replace(engine.machine, state="silent"))

    def _heard(self, machine: Machine) -> None:
        since = self.now
        engine = self._engines[machine.name]
        if engine.machine.id != machine.id:  # another one, with nothing on it
            self._containers = {key: one for key, one in self._containers.items() if one.engine != machine.name}
        engine.machine, engine.since = machine, since
        if machine.state == "well":
            engine.healthy = True
            return
        self.later(self.unhealthy_after, lambda: self._unhealthy(machine.name, since))
        self.later(self.forgotten_after, lambda: self._forget(machine.name, since))

    def _unhealthy(self, name: str, since: float) -> None:
        engine = self._engines.get(name)
        if engine is None or engine.machine.state == "well" or engine.since != since:
            return
        engine.healthy = False
        for container in [*self._containers.values()]:
            if container.engine == name and container.running and _AGAIN in container.labels.get(_POLICIES, ""):
                self._move(container)

    def _move(self, container: Container) -> None:
        moved = Container(container.name, "", container.cpu, container.memory, container.labels, container.image)
        try:
            del self._containers[container.id]
            self._start(moved)
        except Refused:
            self._containers[container.id] = container

    def _forget(self, name: str, since: float) -> None:
        engine = self._engines.get(name)
        if engine is not None and engine.machine.state != "well" and engine.since == since:
            del self._engines[name]
            self._gone.add(name)
            self._containers = {key: one for key, one in self._containers.items() if one.engine != name}

    @override
    def reconcile(self) -> None:
        """Nothing comes to rest by itself, but that volumes are where their containers run."""
        disks = self.disks
        if disks is not None:
            named = ((name, one) for one in self._containers.values() if one.running for name in one.volumes)
            found = ((disks.called(name), self._engines[one.engine].machine.id) for name, one in named)
            disks.hold({volume: server for volume, server in found if volume and server})

    def _start(self, container: Container) -> Container:
        if any(one.name == container.name for one in self._containers.values()):
            raise Refused(
                409, f"Conflict: The name {container.name} is already assigned. You have to delete (or rename) it."
            )
        fitting = [
            name
            for name, engine in self._engines.items()
            if engine.healthy and container.engine in ("", name) and self._room(name, container)
        ]
        if not fitting:
            raise Refused(500, _NO_ROOM)
        container.engine = min(fitting, key=lambda name: len(self._on(name)))
        self._containers[container.id] = container
        return container

    def _on(self, engine: str) -> list[Container]:
        return [one for one in self._containers.values() if one.engine == engine and one.running]

    def _room(self, name: str, container: Container) -> bool:
        machine, here = self._engines[name].machine, self._on(name)
        cpu, memory = sum(one.cpu for one in here), sum(one.memory for one in here)
        return cpu + container.cpu <= machine.cpu and memory + container.memory <= machine.memory * MIB

    @override
    def respond(self, request: Request) -> Reply:
        try:
            parts = path_of(_API, request.path).strip("/").split("/")
            return self._respond(request, parts)
        except Refused as refused:
            return as_text(refused.message + "\n", refused.status)

    def _respond(self, request: Request, parts: list[str]) -> Reply:
        match request.method, parts:
            case (("GET" | "HEAD"), ["_ping"]):
                return as_text("OK")
            case "GET", ["version"]:
                return as_json({"Version": self.version, "ApiVersion": f"{_API[0]}.{_API[1]}", "Os": "linux"})
            case "GET", ["info"]:
                return as_json(self._info())
            case "GET", ["containers", "json"]:
                every = request.query.get("all") in ("1", "true")
                return as_json([_shown(one) for one in self._containers.values() if one.running or every])
            case "POST", ["containers", "create"]:
                return self._create(request)
            case "POST", ["containers", reference, ("start" | "stop" | "kill") as verb]:
                return self._turn(self._find(reference), starts=verb == "start")
            case "POST", ["volumes", "create"]:
                return self._create_volume(read(request))
            case "DELETE", ["containers", reference]:
                del self._containers[self._find(reference).id]
                return Reply(204)
            case _:
                raise Refused(404, "page not found")

    def _create(self, request: Request) -> Reply:
        body = read(request)
        host = body.get("HostConfig") or {}
        name = request.query.get("name") or secrets.token_hex(4)
        cpu, memory = int(host.get("CpuShares") or 0), int(host.get("Memory") or 0)
        made = Container(name, "", cpu, memory, body.get("Labels") or {}, body.get("Image", ""), running=False)
        if host.get("VolumeDriver") == REXRAY:
            made.volumes = tuple(one.partition(":")[0] for one in host.get("Binds") or ())
        return as_json({"Id": self._start(made).id, "Warnings": None}, 201)

    def _create_volume(self, body: Object) -> Reply:
        name, size = str(body.get("Name")), int((body.get("DriverOpts") or {}).get("size") or 0)
        if self.disks is not None and body.get("Driver") == REXRAY:
            self.disks.called(name, size)
        return as_json({"Name": name, "Driver": body.get("Driver"), "Mountpoint": "", "Scope": "global"}, 201)

    def _find(self, reference: str) -> Container:
        for one in self._containers.values():
            if reference in (one.id, one.name, f"{one.engine}/{one.name}"):
                return one
        raise Refused(404, f"No such container: {reference}")

    def _turn(self, container: Container, *, starts: bool) -> Reply:
        if not self._engines[container.engine].healthy:
            raise Refused(500, f"Container {container.id} running on unhealthy node {container.engine}")
        if container.running == starts:
            return Reply(304)
        container.running = starts
        return Reply(204)

    def _info(self) -> Object:
        lines = [["Role", "primary"], ["Strategy", "spread"], ["Filters", "health, port, containerslots, dependency"]]
        lines.append(["Nodes", str(len(self._engines))])
        for name in sorted(self._engines):
            lines += self._lines(name)
        cpu = sum(int(one.machine.cpu) for one in self._engines.values())
        memory = sum(one.machine.memory * MIB for one in self._engines.values())
        told: Object = {"Containers": len(self._containers), "DriverStatus": None, "SystemStatus": lines}
        return told | {"NCPU": cpu, "MemTotal": memory, "Name": "swarm-manager", "ServerVersion": self.version}

    def _lines(self, name: str) -> list[list[str]]:
        engine, here = self._engines[name], self._on(name)
        healthy = engine.healthy or self.misbehaviours.lies
        cpu, memory = sum(one.cpu for one in here), sum(one.memory for one in here)
        facts = {
            "ID": "AAAA:" * 11 + "AAAA",
            "Status": "Healthy" if healthy else "Unhealthy",
            "Containers": f"{len(here)} ({len(here)} Running, 0 Paused, 0 Stopped)",
            "Reserved CPUs": f"{cpu} / {engine.machine.cpu:g}",
            "Reserved Memory": f"{_size(memory)} / {_size(engine.machine.memory * MIB)}",
            "Labels": ", ".join(f"{key}={value}" for key, value in engine.machine.labels) or "kernelversion=4.4.0",
            "UpdatedAt": self.clock.iso(),
            "ServerVersion": "1.12.6",
        }
        facts |= {} if healthy else {"Error": "Cannot connect to the docker engine endpoint"}
        own = [[f" {name}", f"{engine.machine.address}:2375"]]
        return own + [[f"  \u2514 {key}", value] for key, value in facts.items()]


def _size(amount: float) -> str:
    """Bytes as docker writes them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} TiB"


def _shown(container: Container) -> Object:
    told: Object = {"Id": container.id, "Names": [f"/{container.engine}/{container.name}"], "Image": container.image}
    return told | {"Labels": container.labels, "Status": "Up 1 minute" if container.running else "Exited (0)"}
