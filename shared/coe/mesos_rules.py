"""What of a Mesos cluster leaves its closing agents now, and what keeps the rest. Pure.

Marathon starts a task that is killed without scaling again, elsewhere if it heeds maintenance. Of an app only so many
healthy instances are killed at one time as its upgradeStrategy.minimumHealthCapacity allows, counting those that are
healthy now; instances that serve nobody are free to go. A capacity of 1 is what Marathon writes when the owner said
nothing, and would forbid every move: such an app is moved one instance at a time, the next when all are healthy again.
No task is killed that has no room elsewhere by its cores and memory. Tasks of other frameworks are theirs to move:
Mesos tells them of the maintenance, and we wait.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.coe.mesos_state import App, AppTask, Cluster, Marathon, MesosTask, named
from shared.coe.port import Blocker
from shared.coe.rooms import Rooms

_GRACE: Final = 30.0
"""Seconds after a node was closed in which Marathon may still use an offer that is older."""
_EPSILON: Final = 1e-9
"""Sums and products of fractions are not exact."""
BOUND: Final = "its volume is on this node"
CAME_BACK: Final = "Marathon started it there after the node was closed, as it does before 1.7"
NO_ROOM: Final = "no other agent that takes work has room for it"


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done now."""

    kill: tuple[str, ...]
    """Ids of Marathon's tasks, to be killed without scaling."""
    blockers: tuple[Blocker, ...]
    """What is there still, those to be killed included."""
    end: bool
    """Whether nothing is left that moves by itself: with force the agents are ended now."""


def step(cluster: Cluster, marathon: Marathon, leaving: Mapping[str, float], *, force: bool) -> Step:
    """Decide. `leaving` has the agents' ids, and when each was closed in seconds of the epoch."""
    there = [task for task in cluster.tasks if task.agent in leaving]
    kill, going, kept = list[MesosTask](), list[MesosTask](), list[Blocker]()
    for task in there:
        reason = _stuck(task, marathon, leaving[task.agent])
        if reason:
            kept.append(Blocker(named(task, marathon), reason))
        elif task.state == "TASK_KILLING":
            going.append(task)
        else:
            kill.append(task)
    if not force:
        kill, kept = _afforded(kill, kept, cluster, marathon)
        kill, kept = _placed(kill, kept, cluster, marathon, leaving)
    on_its_way = [Blocker(named(task, marathon), "") for task in (*kill, *going)]
    blockers = sorted({*on_its_way, *kept}, key=lambda one: (one.work, one.reason))
    return Step(tuple(sorted(task.id for task in kill)), tuple(blockers), end=not kill and not going)


def _stuck(task: MesosTask, marathon: Marathon, closed_at: float) -> str:
    """Why killing it would not move it; empty: it would."""
    ours = marathon.tasks.get(task.id)
    if ours is None:
        return f"it is the framework {task.framework}'s own to move"
    app = marathon.apps.get(ours.app)
    if app is not None and app.bound:
        return BOUND
    return CAME_BACK if ours.staged > closed_at + _GRACE else ""


def _afforded(
    wanted: Iterable[MesosTask], kept: Iterable[Blocker], cluster: Cluster, marathon: Marathon
) -> tuple[list[MesosTask], list[Blocker]]:
    """Those that may be killed now without an app falling below its minimum, and what that keeps."""
    now, blockers, left = list[MesosTask](), list(kept), dict[str, int]()
    healthy = _healthy(cluster, marathon)
    for task in sorted(wanted, key=lambda one: one.id):
        app = marathon.apps.get(marathon.tasks[task.id].app)
        if app is None or task.id not in healthy.get(app.id, ()):  # it is being removed, or serves nobody
            now.append(task)
            continue
        well = len(healthy[app.id])
        left.setdefault(app.id, well - _least(app))
        if left[app.id] > 0:
            left[app.id] -= 1
            now.append(task)
        else:
            blockers.append(Blocker(app.id, _short(app, well, _waits(marathon, app.id))))
    return now, blockers


def _placed(
    wanted: Sequence[MesosTask],
    kept: Iterable[Blocker],
    cluster: Cluster,
    marathon: Marathon,
    leaving: Mapping[str, float],
) -> tuple[list[MesosTask], list[Blocker]]:
    """Those of them that have room elsewhere by cores and memory, and what lacks it."""
    now, blockers = list[MesosTask](), list(kept)
    others = (node for node in cluster.agents if node.id not in leaving)
    rooms = Rooms(others, ((task.agent, task.asks) for task in cluster.tasks))
    for task in wanted:
        if rooms.take(task.asks):
            now.append(task)
        else:
            blockers.append(Blocker(named(task, marathon), NO_ROOM))
    return now, blockers


def _healthy(cluster: Cluster, marathon: Marathon) -> dict[str, set[str]]:
    """The ids of each app's instances that serve."""
    running = {task.id for task in cluster.tasks if task.state == "TASK_RUNNING"}
    found = dict[str, set[str]]()
    for task in marathon.tasks.values():
        app = marathon.apps.get(task.app)
        if app is not None and task.id in running and _serves(task, app):
            found.setdefault(app.id, set()).add(task.id)
    return found


def _serves(task: AppTask, app: App) -> bool:
    return task.alive or not app.checked


def _least(app: App) -> int:
    """How many healthy instances it must keep."""
    if app.capacity >= 1:
        return max(0, app.instances - 1)
    return math.ceil(app.capacity * app.instances - _EPSILON)


def _short(app: App, healthy: int, waits: str) -> str:
    wants = "one at a time is moved" if app.capacity >= 1 else f"{_least(app)} must stay healthy"
    said = f"{healthy} of its {app.instances} instances are healthy, and {wants}"
    return said + (f"; the next one waits: {waits}" if waits else "")


def _waits(marathon: Marathon, app: str) -> str:
    return next((one.waiting for one in marathon.queue if one.app == app and one.waiting), "")
