"""Marathon: tasks for apps out of the agents' offers, and why offers did not do."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from typing import TYPE_CHECKING

from cloudsim.coe.mesos import maintenance
from cloudsim.coe.mesos.cluster import Agent, App, Cluster, Task

if TYPE_CHECKING:
    from cloudsim.coe.mesos.bay import MesosBay

_EPSILON = 1e-9
REASONS = (
    "UnfulfilledRole",
    "UnfulfilledConstraint",
    "NoCorrespondingReservationFound",
    "InsufficientCpus",
    "InsufficientMemory",
    "InsufficientDisk",
    "InsufficientGpus",
    "InsufficientPorts",
)
"""In the order in which Marathon looks."""


def run(bay: MesosBay) -> None:
    """Every app has its tasks, as far as offers go."""
    cluster = bay.cluster
    for app in [*cluster.apps.values()]:
        having = cluster.of(app.id)
        for task in having[app.wanted :][::-1]:
            bay.kill(task)
        app.waits, app.offers = Counter(), 0
        missing = app.wanted - len(having)
        while missing > 0 and _launch(bay, app):
            missing -= 1
        if missing > 0:
            app.since = app.since or bay.stamp()
        else:
            app.deployment, app.since = None, ""


def _launch(bay: MesosBay, app: App) -> bool:
    """Launch one task on the agent with most room; False: no offer does, and `waits` says why."""
    cluster, fitting, waits = bay.cluster, list[Agent](), Counter[str]()
    offers = [agent for agent in cluster.agents.values() if agent.active and _offers(bay, agent)]
    for agent in offers:
        why = _against(cluster, app, agent)
        waits.update([why] if why else [])
        if not why:
            fitting.append(agent)
    if not fitting:
        app.waits, app.offers = waits, len(offers)
        return False
    best = max(fitting, key=lambda agent: _free(cluster, agent))
    name = f"{app.id.strip('/').replace('/', '_')}.{uuid.uuid4()}"
    spec, now = app.spec, bay.stamp()
    task = Task(name, app.id, best.id, best.machine.name, spec["cpus"], spec["mem"], now, app.version)
    cluster.tasks[name] = task
    cluster.changes += 1
    return True


def _offers(bay: MesosBay, agent: Agent) -> bool:
    """An agent that is to be maintained offers still; Marathon declines that if it was told to heed maintenance."""
    return not bay.heeds_maintenance or not maintenance.begun(bay.cluster, agent.machine_id, bay.clock.now())


def _free(cluster: Cluster, agent: Agent) -> tuple[float, float]:
    cpus, mem = cluster.used(agent.id)
    return agent.machine.cpu - cpus, agent.machine.memory - mem


def _against(cluster: Cluster, app: App, agent: Agent) -> str:
    """The first reason why an offer of the agent does not do; empty: it does."""
    if not all(_constraint(cluster, app, agent, one) for one in app.spec.get("constraints") or ()):
        return "UnfulfilledConstraint"
    cpus, mem = _free(cluster, agent)
    if app.spec["cpus"] > cpus + _EPSILON:
        return "InsufficientCpus"
    return "InsufficientMemory" if app.spec["mem"] > mem + _EPSILON else ""


def _constraint(cluster: Cluster, app: App, agent: Agent, constraint: list[str]) -> bool:
    """One of Marathon's, on the host name or an attribute; those that spread over groups are taken for held."""
    name, operator, *rest = constraint
    value = agent.machine.name if name == "hostname" else dict(agent.machine.labels).get(name, "")
    match operator:
        case "UNIQUE":
            return all(task.host != agent.machine.name for task in cluster.of(app.id))
        case "CLUSTER" | "IS" if rest:
            return value == rest[0]
        case "LIKE":
            return re.fullmatch(rest[0], value) is not None
        case "UNLIKE":
            return re.fullmatch(rest[0], value) is None
        case _:
            return True
