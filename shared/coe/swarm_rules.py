"""Decisions on the nodes of docker's swarm mode. Pure.

Docker's drain asks nobody: it stops a node's tasks at once and only then looks where they may run. So a node is drained
only when its tasks fit elsewhere by what they reserve and by the placement constraints that can be judged from here.
What cannot be (plugins, ports in host mode, platforms, replicas a node) shows afterwards: as a task that waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from shared.coe.port import Blocker, Resources
from shared.coe.reading import Doc
from shared.coe.rooms import Rooms
from shared.coe.swarm_state import CLOSED_BY, WAS, SwarmNode, Task

NOT_AGAIN: Final = "its restart condition is none, so nobody would start it again"
_MOST_MATCHES: Final = 200_000
"""Nodes times kinds of constraints that are looked at for one bay."""
NO_ROOM: Final = "no other node that takes work has room for it"


def closed(node: SwarmNode, mark: str) -> Doc | None:
    """The node's specification with which it takes no more tasks; None: it is so already.

    A mark of an earlier operation of ours is replaced. Who else closed it keeps it closed afterwards.
    """
    labels = dict(node.seen.labels)
    if labels.get(CLOSED_BY) == mark and node.availability != "active":
        return None
    if CLOSED_BY not in labels and node.availability != "active":
        labels[WAS] = node.availability
    labels[CLOSED_BY] = mark
    return _spec(node, labels, "pause" if node.availability == "active" else node.availability)


def drained(node: SwarmNode) -> Doc | None:
    """The specification with which its tasks leave; None: it is so already."""
    return None if node.availability == "drain" else _spec(node, node.seen.labels, "drain")


def opened(node: SwarmNode, mark: str) -> Doc | None:
    """The specification from before `closed`; None: it is not closed with this mark."""
    labels = dict(node.seen.labels)
    if labels.pop(CLOSED_BY, None) != mark:
        return None
    return _spec(node, labels, labels.pop(WAS, "active"))


def plan(
    leaving: Sequence[SwarmNode], nodes: Iterable[SwarmNode], tasks: Iterable[Task]
) -> tuple[list[SwarmNode], list[Blocker]]:
    """Which of the leaving nodes can be drained now with a place for every task, and what forbids the others."""
    living = [task for task in tasks if task.lives]
    ids = {node.seen.id for node in leaving}
    others = {node.seen.id: node for node in nodes if node.seen.id not in ids}
    rooms = Rooms((node.seen for node in others.values()), ((task.node, task.asks) for task in living))
    go, blockers = list[SwarmNode](), list[Blocker]()
    for node in leaving:
        trial, against = rooms.copy(), list[Blocker]()
        for task in _moving(node, living):
            if not task.restarts:
                against.append(Blocker(task.name, NOT_AGAIN))
            elif not trial.take(task.asks, partial(_allowed, task, others)):
                against.append(Blocker(task.name, NO_ROOM + _asked(task.asks)))
        if against:
            blockers += against
        else:
            go.append(node)
            rooms = trial
    return go, blockers


def bound(nodes: Iterable[SwarmNode], tasks: Iterable[Task]) -> set[str]:
    """The ids of the tasks that their placement constraints allow on no other node that takes work. Of more kinds of
    constraints than can be looked at that is taken for granted."""
    takers = {node.seen.id: node for node in nodes if node.seen.open and node.seen.ready}
    homes, found = dict[tuple[str, ...], set[str]](), set[str]()
    for task in tasks:
        if not task.constraints or task.node is None:
            continue
        if task.constraints not in homes:
            few = len(homes) * len(takers) < _MOST_MATCHES
            homes[task.constraints] = {one for one in takers if _allowed(task, takers, one)} if few else set()
        if not homes[task.constraints] - {task.node}:
            found.add(task.id)
    return found


def remaining(leaving: Collection[str], tasks: Sequence[Task], *, force: bool) -> list[Blocker]:
    """What has not left these drained nodes, and what left them and runs nowhere for want of room."""
    there = [Blocker(task.name, "") for task in tasks if task.lives and not task.stays and task.node in leaving]
    homeless = [] if force else [task for task in tasks if task.waiting and _came_from(task, tasks) in leaving]
    return sorted({*there, *(Blocker(task.name, task.waiting) for task in homeless)}, key=lambda one: one.work)


def _moving(node: SwarmNode, tasks: Iterable[Task]) -> list[Task]:
    """What a drain would have to place elsewhere, the largest first. A node that is down has lost its tasks already."""
    found = [task for task in tasks if task.node == node.seen.id and task.wanted and not task.stays]
    return [] if node.down else sorted(found, key=lambda task: (-task.asks.memory, -task.asks.cpu, task.name))


def _allowed(task: Task, nodes: Mapping[str, SwarmNode], node: str) -> bool:
    """Whether the placement constraints allow it; those that cannot be judged here do."""
    return all(_holds(one, nodes[node]) for one in task.constraints)


def _holds(constraint: str, node: SwarmNode) -> bool:
    operator = "!=" if "!=" in constraint else "=="
    key, found, wanted = (part.strip() for part in constraint.partition(operator))
    value = _value(key, node)
    return not found or value is None or (value.casefold() == wanted.casefold()) is (operator == "==")


def _value(key: str, node: SwarmNode) -> str | None:
    """What a constraint's key means on a node; None for one that we do not know."""
    kind, _, label = key.rpartition("labels.")
    labels = {"node.": node.seen.labels, "engine.": node.engine_labels}.get(kind.lower())
    if labels is not None:
        return labels.get(label, "")
    role = "manager" if node.seen.manager else "worker"
    return {"node.id": node.seen.id, "node.hostname": node.seen.name, "node.role": role}.get(key.lower())


def _came_from(task: Task, tasks: Iterable[Task]) -> str | None:
    """Where the last task before it in its place ran; None where docker has forgotten that."""
    before = [one for one in tasks if (one.service, one.slot) == (task.service, task.slot) and one.node and one.slot]
    return max(before, key=lambda one: one.created).node if before else None


def _spec(node: SwarmNode, labels: Mapping[str, str], availability: str) -> Doc:
    return {**node.spec, "Labels": dict(labels), "Availability": availability}


def _asked(asks: Resources) -> str:
    parts = [f"{asks.cpu:g} cores"] if asks.cpu else []
    parts += [f"{asks.memory / 2**20:g} MiB"] if asks.memory else []
    return f"; it reserves {' and '.join(parts)}" if parts else ""
