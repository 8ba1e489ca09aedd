"""A Mesos bay: a master, Marathon, agents; and how tests and demos change them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from cloudsim.clock import Clock
from cloudsim.coe.bay import Bay, Machine, Source
from cloudsim.coe.disks import Disks
from cloudsim.coe.mesos import marathon, master, scheduling
from cloudsim.coe.mesos.cluster import Agent, App, Cluster, Object, Task, volumes
from cloudsim.coe.wire import Answer, Handler, Reply, Request


class MesosBay(Bay):
    """One Mesos with Marathon. `handle` is the master's API, `handle_marathon` Marathon's; both speak plain HTTP in
    bays of ours. Times are seconds of the simulated clock.

    Args:
        agent_timeout: silence after which the master gives an agent up, and its tasks are lost.
        heeds_maintenance: whether Marathon leaves machines alone that are in the maintenance schedule.
        stop_seconds: how long a task takes to end.
        own_address: the master's, as it tells it; in a bay with masters it is that of the first.
    """

    ENGINE: ClassVar[str] = "mesos"
    DOES: ClassVar[frozenset[str]] = Bay.DOES | {"add_app", "scale", "remove", "lead", "set_alive", "tasks", "nodes"}

    def __init__(
        self,
        clock: Clock,
        source: Source | None = None,
        *,
        version: str = "1.4.1",
        marathon_version: str = "1.5.1",
        agent_timeout: float = 75.0,
        heeds_maintenance: bool = True,
        stop_seconds: float = 0.0,
        own_address: str = "10.0.0.3:5050",
    ) -> None:
        super().__init__(clock, source)
        self.version, self.marathon_version = version, marathon_version
        self.agent_timeout, self.heeds_maintenance = agent_timeout, heeds_maintenance
        self.own_address, self.stop_seconds = own_address, stop_seconds
        self.leader: str | None = None
        """Who leads instead of this master: `host:port`, empty nobody; None: this one does."""
        self.cluster = Cluster()
        self._lost: set[str] = set()
        """Names of agents that were given up, and have not been heard since."""
        self._settled = -1

    # ---- for people ----

    def add_app(
        self,
        name: str,
        instances: int = 1,
        *,
        cpus: float = 0.1,
        mem: float = 32.0,
        constraints: list[list[str]] | None = None,
        capacity: float = 1.0,
        checked: bool = False,
    ) -> None:
        """An app `/NAME` whose tasks ask for so many cores and MiB; `capacity` is its minimumHealthCapacity, `checked`
        whether it has health checks."""
        facts: Object = {"disk": 0.0, "cmd": "sleep 1000", "labels": {}, "constraints": constraints or []}
        facts |= {"upgradeStrategy": {"minimumHealthCapacity": capacity, "maximumOverCapacity": 1.0}}
        facts |= {"healthChecks": [{"protocol": "HTTP", "path": "/"}]} if checked else {}
        self.create({"id": "/" + name.strip("/"), "instances": instances, "cpus": cpus, "mem": mem, **facts})
        self.settle()

    def scale(self, name: str, instances: int) -> None:
        """Have another number of an app's tasks."""
        self.change(self.cluster.apps["/" + name.strip("/")], {"instances": instances})
        self.settle()

    def remove(self, name: str) -> None:
        """Destroy an app."""
        self.delete("/" + name.strip("/"))
        self.settle()

    def set_alive(self, task: str, alive: bool) -> None:
        """What a task's health checks say from now on."""
        self.cluster.tasks[task].alive = alive

    def lead(self, leader: str | None = None) -> None:
        """Let another master lead (`host:port`), nobody (empty), or this one (None)."""
        self.leader = leader

    def tasks(self) -> list[dict[str, Any]]:
        """Each task's id, app, node and state."""
        self.settle()
        found = self.cluster.tasks.values()
        return [{"id": one.id, "app": one.app, "node": one.host, "state": one.state} for one in found]

    def nodes(self) -> list[dict[str, Any]]:
        """Each agent's id, name, whether it is active, its maintenance mode, and how many tasks it has."""
        self.settle()
        return [
            {
                "id": agent.id,
                "name": agent.machine.name,
                "active": agent.active,
                "mode": self.cluster.modes.get(agent.machine_id, "UP"),
                "tasks": len([*self.cluster.on(agent.id)]),
            }
            for agent in self.cluster.agents.values()
        ]

    # ---- for the wire ----

    @override
    def doors(self) -> dict[str, Handler]:
        """Marathon's first: it is the bay's api_address."""
        return {"marathon": self.handle_marathon, "mesos": self.handle}

    @property
    def marathon_address(self) -> str:
        """Where it says that it leads."""
        return f"{self.own_address.rpartition(':')[0]}:8080"

    @override
    def respond(self, request: Request) -> Reply:
        return master.respond(self, request)

    def handle_marathon(self, request: Request) -> Answer:
        """Answer a request to Marathon."""
        return self.answer(request, lambda asked: marathon.respond(self, asked))

    def create(self, spec: Object) -> App:
        """Keep a new app; its first deployment begins."""
        app = App(spec, self.stamp(), str(uuid.uuid4()))
        self.cluster.apps[app.id] = app
        self.cluster.changes += 1
        return app

    def change(self, app: App, changes: Object) -> str:
        """Deploy a change; what else than the number is changed restarts the app's tasks. Returns the deployment."""
        if any(app.spec.get(key) != value for key, value in changes.items() if key != "instances"):
            for task in self.cluster.of(app.id):
                self.kill(task)
        app.spec = app.spec | changes
        app.version, app.deployment = self.stamp(), str(uuid.uuid4())
        self.cluster.changes += 1
        return app.deployment

    def delete(self, name: str) -> None:
        """Destroy an app and its tasks."""
        del self.cluster.apps[name]
        for task in self.cluster.of(name):
            self.kill(task)
        self.cluster.changes += 1

    def kill(self, task: Task) -> None:
        """End a task; it takes its time."""
        if not self.stop_seconds:
            self.cluster.end(task, "TASK_KILLED")
        elif task.state != "TASK_KILLING":
            task.state = "TASK_KILLING"
            self.later(self.stop_seconds, lambda: self._killed(task))

    def _killed(self, task: Task) -> None:
        if task.id in self.cluster.tasks:
            self.cluster.end(task, "TASK_KILLED")

    def stamp(self) -> str:
        """Now, as Marathon writes it."""
        return self.clock.iso(micros=True)[:-4] + "Z"

    # ---- for this package ----

    @override
    def machines_are(self, machines: dict[str, Machine]) -> None:
        """Agents register when they are first seen, and again when they were given up; not on machines that are down
        for maintenance, nor on masters."""
        masters = sorted((one for one in machines.values() if one.role == "master"), key=lambda one: one.name)
        if masters and masters[0].address:
            self.own_address = f"{masters[0].address}:5050"
        workers = {name: machine for name, machine in machines.items() if machine.role != "master"}
        for name, machine in workers.items():
            agent = self._agent(name)
            if agent is not None and agent.machine.id != machine.id:  # another one, which registers anew
                self.cluster.remove(agent.id)
                agent = None
            if agent is None and self._may_join(machine):
                agent = self.cluster.register(replace(machine, state="well"), self.clock.now())
            if agent is not None and agent.machine.state != machine.state:
                self._heard(agent, machine)
            if machine.state == "well":
                self._lost.discard(name)
        for agent in [*self.cluster.agents.values()]:
            if agent.machine.name not in workers and agent.machine.state != "silent":
                self._heard(agent, replace(agent.machine, state="silent"))

    def _agent(self, name: str) -> Agent | None:
        return next((one for one in self.cluster.agents.values() if one.machine.name == name), None)

    def _may_join(self, machine: Machine) -> bool:
        down = self.cluster.modes.get((machine.name.lower(), machine.address)) == "DOWN"
        return not down and (machine.state == "well" or machine.name not in self._lost)

    def _heard(self, agent: Agent, machine: Machine) -> None:
        agent.machine = machine
        agent.active = machine.state == "well"
        self.cluster.changes += 1
        if machine.state == "silent":
            self.later(self.agent_timeout, lambda: self._give_up(agent, machine))

    def _give_up(self, agent: Agent, machine: Machine) -> None:
        if agent.machine is machine:
            self._lost.add(machine.name)
            self.cluster.remove(agent.id)

    @override
    def reconcile(self) -> None:
        waits = any(app.since for app in self.cluster.apps.values())  # windows of maintenance end by themselves
        if waits or self.cluster.changes != self._settled:
            scheduling.run(self)
            self._settled = self.cluster.changes
        if self.disks is not None:
            self.disks.hold(self._mounted(self.disks))

    def _mounted(self, disks: Disks) -> dict[str, str]:
        """Which volumes of REX-Ray's tasks want at which server."""
        found: dict[str, str] = {}
        for task in self.cluster.tasks.values():
            server = self.cluster.agents[task.agent].machine.id
            for name in volumes(self.cluster.apps[task.app]) if task.app in self.cluster.apps and server else ():
                if volume := disks.called(name):
                    found[volume] = server
        return found
