"""What a manager of docker's swarm mode says of nodes, services and tasks (Docker Engine API 1.24 and later)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.coe.port import CoeNode, Resources, Work
from shared.coe.reading import Doc, doc, docs, inner, items, maybe, number, short, text, texts

CLOSED_BY: Final = "jeroboam.closed-by"
"""Label of a node that we closed; its value is the mark."""
WAS: Final = "jeroboam.was"
"""Label of a node that somebody else had closed before us: the availability that it goes back to."""

_ENDED: Final = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
"""States of a task that holds nothing any more."""
_NOWHERE: Final = frozenset({"", "0.0.0.0", "127.0.0.1", "::1"})  # noqa: S104 - a manager may know itself by these
_NANO: Final = 1_000_000_000
_NO_ROOM: Final = "no suitable node"
"""How the scheduler begins to say that a task fits nowhere."""


@dataclass(frozen=True, slots=True)
class SwarmNode:
    """A node with what is needed to change it."""

    seen: CoeNode
    state: str
    availability: str
    engine_labels: Mapping[str, str]
    spec: Doc
    version: int

    @property
    def down(self) -> bool:
        """Whether the managers have given it up: its tasks have been started elsewhere."""
        return self.state == "down"


@dataclass(frozen=True, slots=True)
class Task:
    """A task that runs, will run or ran."""

    id: str
    name: str
    service: str
    slot: int
    node: str | None
    asks: Resources
    lives: bool
    """Whether it is there: it has not ended, nor gone with a node that is down."""
    wanted: bool
    """Whether it is to run on, and not to end."""
    stays: bool
    waiting: str
    created: str
    constraints: tuple[str, ...]
    restarts: bool
    """Whether the swarm would start it again elsewhere."""

    def work(self, *, bound: bool = False) -> Work:
        """As the port has it; `bound`: it may be nowhere else."""
        held = self.wanted and not self.stays and (bound or not self.restarts)
        return Work(self.name, self.node, self.asks, self.stays, self.waiting, held)


def read_nodes(data: object) -> list[SwarmNode]:
    """The answer to /nodes. Raises LookupError or TypeError, as all here, for what makes no sense."""
    return [read_node(one) for one in docs(data)]


def read_node(data: Doc) -> SwarmNode:
    """The answer to /nodes/{id}."""
    spec, status, manager = doc(data["Spec"]), doc(data["Status"]), inner(data, "ManagerStatus")
    description, labels = inner(data, "Description"), texts(inner(spec, "Labels"))
    state, availability = text(status, "State"), text(spec, "Availability")
    told = maybe(status, "Message")
    hosts = (maybe(status, "Addr"), maybe(manager, "Addr").rpartition(":")[0].strip("[]"))
    seen = CoeNode(
        id=text(data, "ID"),
        name=short(maybe(description, "Hostname") or text(data, "ID")),
        addresses=tuple(dict.fromkeys(host for host in hosts if host not in _NOWHERE)),
        ready=state == "ready",
        problem="" if state == "ready" else short(f"docker says that it is {state}" + (f": {told}" if told else "")),
        open=availability == "active",
        manager=text(spec, "Role") == "manager",
        capacity=_resources(inner(description, "Resources")),
        labels=labels,
    )
    engine = texts(inner(description, "Engine", "Labels"))
    return SwarmNode(seen, state, availability, engine, spec, int(number(doc(data["Version"]), "Index")))


def read_tasks(services: object, tasks: object, nodes: Iterable[SwarmNode]) -> list[Task]:
    """The answers to /services and /tasks, those that have ended included."""
    known = {text(one, "ID"): one for one in docs(services)}
    down = {node.seen.id for node in nodes if node.down}
    return [_task(one, known.get(text(one, "ServiceID"), {}), down) for one in docs(tasks)]


def _task(data: Doc, service: Doc, down: set[str]) -> Task:
    spec, status = inner(data, "Spec"), doc(data["Status"])
    state, node = text(status, "State"), maybe(data, "NodeID") or None
    wanted = text(data, "DesiredState") not in _ENDED - {"complete"}  # what a job is to reach
    slot, modes = int(number(data, "Slot")), inner(service, "Spec", "Mode")
    told = maybe(status, "Err") or maybe(status, "Message")  # before 17.06 in Message
    called = maybe(inner(service, "Spec"), "Name") or text(data, "ServiceID")
    return Task(
        id=text(data, "ID"),
        name=short(f"{called}.{slot or node or text(data, 'ID')}"),
        service=text(data, "ServiceID"),
        slot=slot,
        node=node,
        asks=_resources(inner(spec, "Resources", "Reservations")),
        lives=state not in _ENDED and (wanted or node not in down),
        wanted=wanted,
        stays="Global" in modes or "GlobalJob" in modes,
        waiting=short(told) if wanted and state == "pending" and told.startswith(_NO_ROOM) else "",
        created=maybe(data, "CreatedAt"),
        constraints=tuple(str(one) for one in items(inner(spec, "Placement").get("Constraints"))),
        restarts=maybe(inner(spec, "RestartPolicy"), "Condition") != "none",
    )


def _resources(data: Doc) -> Resources:
    return Resources(number(data, "NanoCPUs") / _NANO, int(number(data, "MemoryBytes")))
