"""What Mesos' master and Marathon say of agents, tasks, apps and what waits (Mesos 0.25 and later, Marathon 0.11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from shared.coe.mesos_windows import Machine
from shared.coe.port import CoeNode, Resources, Work
from shared.coe.reading import Doc, doc, docs, inner, items, maybe, number, short, text

_MIB: Final = 2**20
_ENDED: Final = frozenset(
    {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_DROPPED", "TASK_GONE"}
    | {"TASK_UNREACHABLE", "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN"}
)
_MOST_WAITING: Final = 200
"""Waiting instances of one app that are told; a bay that has got room for these asks again for the rest."""
_MOST_WAITING_IN_ALL: Final = 2_000
"""Of all apps, in the order of the queue: a number in a queue is cheap to write, and each instance is an object."""


@dataclass(frozen=True, slots=True)
class MesosTask:
    """A task that runs or begins to, of whatever framework."""

    id: str
    name: str
    framework: str
    """The framework's name."""
    agent: str
    state: str
    asks: Resources


@dataclass(frozen=True, slots=True)
class Cluster:
    """Agents and tasks at one time."""

    agents: tuple[CoeNode, ...]
    tasks: tuple[MesosTask, ...]


@dataclass(frozen=True, slots=True)
class App:
    """An app of Marathon."""

    id: str
    instances: int
    capacity: float
    """minimumHealthCapacity: the part of its instances that must go on running while some are replaced."""
    checked: bool
    """Whether it has health checks."""
    bound: bool
    """Whether its data are on the agent that it runs on."""


@dataclass(frozen=True, slots=True)
class AppTask:
    """A task of Marathon's."""

    id: str
    app: str
    alive: bool
    """Whether its health checks, if they have been made, say so."""
    staged: float
    """When Marathon sent it to its agent, in seconds of the epoch; 0: unknown."""


@dataclass(frozen=True, slots=True)
class Queued:
    """Instances of an app that Marathon wants to start."""

    app: str
    count: int
    asks: Resources
    waiting: str
    """Why no offer was good enough; empty when it waits for something else, such as the delay after a failure."""


@dataclass(frozen=True, slots=True)
class Marathon:
    """Apps by id, tasks by id, and what waits."""

    apps: Mapping[str, App]
    tasks: Mapping[str, AppTask]
    queue: tuple[Queued, ...]


def read_cluster(state: Doc, closed: Iterable[Machine]) -> Cluster:
    """The answer to /master/state; `closed` are the machines whose maintenance has begun. Raises LookupError, TypeError
    or ValueError, as all here, for what makes no sense."""
    away = set(closed)
    tasks = [_task(one, maybe(one, "framework_id")) for one in docs(state.get("orphan_tasks"))]
    for framework in docs(state["frameworks"]):
        tasks += [_task(one, maybe(framework, "name")) for one in docs(framework.get("tasks"))]
    agents = tuple(_agent(one, away) for one in docs(state["slaves"]))
    return Cluster(agents, tuple(task for task in tasks if task.state not in _ENDED))


def _task(data: Doc, framework: str) -> MesosTask:
    return MesosTask(
        id=text(data, "id"),
        name=maybe(data, "name"),
        framework=framework,
        agent=text(data, "slave_id"),
        state=text(data, "state"),
        asks=_resources(inner(data, "resources")),
    )


def _agent(data: Doc, away: set[Machine]) -> CoeNode:
    address = text(data, "pid").partition("@")[2].rpartition(":")[0].strip("[]")
    hostname, active = short(text(data, "hostname")), data.get("active", True) is True
    attributes = inner(data, "attributes")
    return CoeNode(
        id=text(data, "id"),
        name=hostname,
        addresses=tuple(dict.fromkeys((address, hostname))),
        ready=active,
        problem="" if active else "Mesos has no connection to its agent",
        open=active and Machine(hostname.lower(), address) not in away,
        manager=False,
        capacity=_resources(doc(data["resources"])),
        labels={key: str(value) for key, value in attributes.items()},
    )


def machine_of(agent: CoeNode) -> Machine:
    """As the maintenance schedule names it."""
    return Machine(agent.name.lower(), agent.addresses[0])


def away(cluster: Cluster, closed: Iterable[Machine]) -> list[CoeNode]:
    """Those of the machines that have no agent, as nodes."""
    present = {machine_of(agent) for agent in cluster.agents}
    gone = sorted(set(closed) - present, key=lambda one: (one.ip, one.hostname))
    problem = "it is closed for maintenance, and has no agent"
    return [
        CoeNode(
            id=f"machine/{one.ip}",
            name=one.hostname,
            addresses=(one.ip, one.hostname),
            ready=False,
            problem=problem,
            open=False,
            manager=False,
            capacity=Resources(),
        )
        for one in gone
    ]


def read_marathon(apps: object, tasks: object, queue: object) -> Marathon:
    """The answers to /v2/apps, /v2/tasks and /v2/queue."""
    found = [_app(one) for one in docs(doc(apps)["apps"])]
    running = [_app_task(one) for one in docs(doc(tasks)["tasks"])]
    waiting = [_queued(one) for one in docs(doc(queue)["queue"])]
    return Marathon({one.id: one for one in found}, {one.id: one for one in running}, tuple(waiting))


def _app(data: Doc) -> App:
    strategy = inner(data, "upgradeStrategy")
    capacity = number(strategy, "minimumHealthCapacity") if "minimumHealthCapacity" in strategy else 1.0
    return App(
        id=text(data, "id"),
        instances=int(number(data, "instances")),
        capacity=capacity,
        checked=bool(items(data.get("healthChecks"))),
        bound=data.get("residency") is not None,
    )


def _app_task(data: Doc) -> AppTask:
    checks = [one.get("alive") is True for one in docs(data.get("healthCheckResults"))]
    staged = maybe(data, "stagedAt")
    moment = datetime.fromisoformat(staged).timestamp() if staged else 0.0
    return AppTask(text(data, "id"), text(data, "appId"), bool(checks) and all(checks), moment)


def _queued(data: Doc) -> Queued:
    spec = inner(data, "app") or inner(data, "pod")
    asks = [_resources(inner(one, "resources")) for one in docs(spec.get("containers"))] or [_resources(spec)]
    count = int(number(data, "count")) if "count" in data else 1  # before 0.12 not told
    total = Resources(sum(one.cpu for one in asks), sum(one.memory for one in asks))
    return Queued(text(spec, "id"), min(count, _MOST_WAITING), total, _why(data))


def _why(data: Doc) -> str:
    if inner(data, "delay").get("overdue") is not True:
        return ""
    told = docs(inner(data, "processedOffersSummary").get("rejectSummaryLastOffers"))
    reasons = sorted(text(one, "reason") for one in told if number(one, "declined") > 0)
    return short(f"no agent's offer was taken: {', '.join(reasons)}") if reasons else "no agent has offered enough"


def works(cluster: Cluster, marathon: Marathon) -> list[Work]:
    """All work: tasks by their app or framework, and what waits, as far as the limits above go."""
    running = [
        Work(named(task, marathon), task.agent, task.asks, stays=False, held=rooted(task, marathon))
        for task in cluster.tasks
    ]
    waiting = (
        Work(short(one.app), None, one.asks, stays=False, waiting=one.waiting)
        for one in marathon.queue
        for _ in range(one.count)
    )
    return running + list(islice(waiting, _MOST_WAITING_IN_ALL))


def rooted(task: MesosTask, marathon: Marathon) -> bool:
    """Whether killing it would not move it: it is another framework's, or its volume is where it is."""
    ours = marathon.tasks.get(task.id)
    app = marathon.apps.get(ours.app) if ours is not None else None
    return ours is None or (app is not None and app.bound)


def named(task: MesosTask, marathon: Marathon) -> str:
    """As people call it: the app, or framework and task."""
    ours = marathon.tasks.get(task.id)
    return short(ours.app if ours is not None else f"{task.framework}:{task.name or task.id}")


def _resources(data: Doc) -> Resources:
    return Resources(number(data, "cpus"), int(number(data, "mem") * _MIB))
