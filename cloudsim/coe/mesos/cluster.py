"""A Mesos cluster's state: agents that the master knows, Marathon's apps, and the tasks that run."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudsim.coe.bay import Machine
from cloudsim.coe.disks import REXRAY

Object = dict[str, Any]
MachineId = tuple[str, str]
"""Host name and address; Mesos knows a machine by both together."""
Mode = Literal["DRAINING", "DOWN"]


@dataclass(slots=True)
class Agent:
    """An agent that is registered."""

    id: str
    machine: Machine
    registered: float
    active: bool = True

    @property
    def machine_id(self) -> MachineId:
        """As the maintenance schedule has it."""
        return self.machine.name.lower(), self.machine.address


@dataclass(slots=True)
class Task:
    """A task that Marathon has launched."""

    id: str
    app: str
    agent: str
    host: str
    cpus: float
    mem: float
    launched: str
    """ISO time."""
    version: str
    state: str = "TASK_RUNNING"
    alive: bool = True
    """What its health checks say, if it has some."""


@dataclass(slots=True)
class App:
    """One of Marathon's apps."""

    spec: Object
    version: str
    deployment: str | None = None
    """Id of the deployment that has not come to its end."""
    waits: Counter[str] = field(default_factory=Counter)
    """For how many offers it was refused for what reason, at the last look."""
    offers: int = 0
    since: str = ""

    @property
    def id(self) -> str:
        return str(self.spec["id"])

    @property
    def wanted(self) -> int:
        """How many tasks."""
        return int(self.spec["instances"])


class Cluster:
    """What the master and Marathon know."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.framework = f"{self.id}-0000"
        self.agents: dict[str, Agent] = {}
        self.apps: dict[str, App] = {}
        self.tasks: dict[str, Task] = {}
        self.completed: list[Object] = []
        self.windows: list[Object] = []
        self.modes: dict[MachineId, Mode] = {}
        self.changes = 0
        self._numbers = 0

    def register(self, machine: Machine, at: float) -> Agent:
        """A new agent."""
        found = Agent(f"{self.id}-S{self._numbers}", machine, at)
        self._numbers += 1
        self.agents[found.id] = found
        self.changes += 1
        return found

    def remove(self, agent: str) -> None:
        """The master gives an agent up; its tasks are lost."""
        if self.agents.pop(agent, None) is not None:
            self.changes += 1
            for task in [*self.on(agent)]:
                self.end(task, "TASK_LOST")

    def end(self, task: Task, state: str) -> None:
        """A task runs no more."""
        del self.tasks[task.id]
        self.completed = [*self.completed[-99:], {"id": task.id, "state": state, "app": task.app, "agent": task.agent}]
        self.changes += 1

    def on(self, agent: str) -> Iterable[Task]:
        """What runs on an agent."""
        return [task for task in self.tasks.values() if task.agent == agent]

    def of(self, app: str) -> list[Task]:
        """What runs of an app, oldest first."""
        return [task for task in self.tasks.values() if task.app == app]

    def used(self, agent: str) -> tuple[float, float]:
        """Cores and MiB."""
        found = [*self.on(agent)]
        return sum(one.cpus for one in found), sum(one.mem for one in found)


def volumes(app: App) -> Iterator[str]:
    """Names of the volumes of REX-Ray's that an app's containers mount."""
    docker = (app.spec.get("container") or {}).get("docker") or {}
    told = [(one.get("key"), str(one.get("value", ""))) for one in docker.get("parameters") or ()]
    if ("volume-driver", REXRAY) in told:
        yield from (value.partition(":")[0] for key, value in told if key == "volume")
