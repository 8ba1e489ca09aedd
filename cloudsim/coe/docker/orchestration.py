"""What a swarm's managers do: a task a slot, tasks placed where there is room, and moved when a node leaves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cloudsim.coe.docker.replies import Api, Object
from cloudsim.coe.docker.swarm import Swarm, asks, ended, wanted

if TYPE_CHECKING:
    from cloudsim.coe.docker.bay import DockerBay

_KEPT = 4
"""Ended tasks that are kept a slot."""
_ERR: Api = (1, 30)
"""Since then the reason why a task waits is in Err."""
_WAITS = "pending task scheduling"


def run(bay: DockerBay) -> None:
    """Until nothing changes any more."""
    before = -1
    while bay.swarm.index != before:
        before = bay.swarm.index
        _release(bay)
        for service in bay.swarm.services.values():
            _service(bay, service)
        _place(bay)
    _forget(bay.swarm)


def _release(bay: DockerBay) -> None:
    """Tasks leave nodes that are drained, down or gone, and services that are no more."""
    swarm = bay.swarm
    for task in [*swarm.tasks.values()]:
        if task["ServiceID"] not in swarm.services:
            stop(bay, task)
            if ended(task):
                del swarm.tasks[task["ID"]]
            continue
        node = swarm.nodes.get(task.get("NodeID", ""))
        if task.get("NodeID") and not ended(task) and node is None:
            _state(swarm, task, "orphaned", "node removed")
            task["DesiredState"] = "shutdown"
        elif node is not None and wanted(task) and not _may_stay(task, node):
            stop(bay, task)


def _may_stay(task: Object, node: Object) -> bool:
    return node["Status"]["State"] == "ready" and node["Spec"]["Availability"] != "drain" and _allowed(task, node)


def stop(bay: DockerBay, task: Object) -> None:
    """It is to end, and has ended when its node says so; a node that is down says nothing."""
    if not wanted(task):
        return
    task["DesiredState"] = "shutdown"
    bay.swarm.touch(task)
    node = bay.swarm.nodes.get(task.get("NodeID", ""))
    if node is None:
        _state(bay.swarm, task, "shutdown", "shutdown")
    elif not bay.stop_seconds:
        _stopped(bay, task)
    else:
        bay.later(bay.stop_seconds, lambda: _stopped(bay, task))


def _stopped(bay: DockerBay, task: Object) -> None:
    node = bay.swarm.nodes.get(task["NodeID"])
    if node is not None and node["Status"]["State"] == "ready" and not ended(task):
        _state(bay.swarm, task, "shutdown", "shutdown")


def heard_again(bay: DockerBay, node: Object) -> None:
    """What was to end meanwhile has ended."""
    for task in bay.swarm.on(node["ID"]):
        if not wanted(task):
            _stopped(bay, task)


def _state(swarm: Swarm, task: Object, state: str, message: str, err: str = "") -> None:
    told = {"Timestamp": swarm.stamp(), "State": state, "Message": message} | ({"Err": err} if err else {})
    known = task["Status"]
    if (known["State"], known.get("Message"), known.get("Err", "")) != (state, message, err):
        task["Status"] = told
        swarm.touch(task)


def _service(bay: DockerBay, service: Object) -> None:
    swarm, mode = bay.swarm, service["Spec"].get("Mode") or {}
    living = [task for task in swarm.tasks.values() if task["ServiceID"] == service["ID"] and wanted(task)]
    current = [task for task in living if task["Spec"] == service["Spec"]["TaskTemplate"]]
    for old in living:
        if old not in current:
            stop(bay, old)
    if "Global" in mode:
        have = {task["NodeID"] for task in current}
        for node in swarm.nodes.values():
            if node["ID"] not in have and _takes(node) and _allowed(service, node):
                _task(swarm, service, node=node["ID"])
        return
    count = int((mode.get("Replicated") or {}).get("Replicas", 1))
    slots = {task["Slot"] for task in current}
    if (service["Spec"]["TaskTemplate"].get("RestartPolicy") or {}).get("Condition") == "none":
        slots |= {task["Slot"] for task in swarm.tasks.values() if task["ServiceID"] == service["ID"]}
    free = (slot for slot in range(1, count + len(slots) + 1) if slot not in slots)
    for _ in range(count - len(slots)):
        _task(swarm, service, slot=next(free))
    for task in sorted(current, key=lambda one: int(one["Slot"]))[max(0, count) :]:
        stop(bay, task)


def _task(swarm: Swarm, service: Object, *, slot: int = 0, node: str = "") -> None:
    status = {"Timestamp": swarm.stamp(), "State": "pending", "Message": _WAITS}
    facts: Object = {"Labels": {}, "Spec": service["Spec"]["TaskTemplate"], "ServiceID": service["ID"]}
    facts |= {"Slot": slot} if slot else {}
    facts |= {"NodeID": node} if node else {}
    made = swarm.made(facts | {"Status": status, "DesiredState": "running"})
    swarm.tasks[made["ID"]] = made


def _place(bay: DockerBay) -> None:
    swarm = bay.swarm
    for task in swarm.tasks.values():
        if task["Status"]["State"] != "pending" or not wanted(task):
            continue
        nodes = [swarm.nodes[task["NodeID"]]] if task.get("NodeID") else [*swarm.nodes.values()]
        fitting, against = [], Counter[str]()
        for node in nodes:
            why = _against(swarm, task, node)
            against[why] += 1
            if not why:
                fitting.append(node)
        if fitting:
            best = min(fitting, key=lambda node: (_crowd(swarm, task, node), sum(1 for _ in swarm.on(node["ID"]))))
            task["NodeID"] = best["ID"]
            _state(swarm, task, "running", "started")
        elif bay.api >= _ERR:
            _state(swarm, task, "pending", _WAITS, _explained(against))
        else:
            _state(swarm, task, "pending", _explained(against))


def _crowd(swarm: Swarm, task: Object, node: Object) -> int:
    return sum(one["ServiceID"] == task["ServiceID"] for one in swarm.on(node["ID"]))


def _against(swarm: Swarm, task: Object, node: Object) -> str:
    """The first of the scheduler's filters that a node does not pass; empty: it passes all."""
    if not _takes(node):
        return "ready"
    has = node["Description"]["Resources"]
    used = [asks(one) for one in swarm.on(node["ID"]) if one is not task]
    cpu, memory = asks(task)
    if cpu > has["NanoCPUs"] - sum(one[0] for one in used) or memory > has["MemoryBytes"] - sum(one[1] for one in used):
        return "room"
    return "" if _allowed(task, node) else "constraints"


def _takes(node: Object) -> bool:
    return bool(node["Status"]["State"] == "ready" and node["Spec"]["Availability"] == "active")


def _allowed(found: Object, node: Object) -> bool:
    """Whether a task's, or a service's, placement constraints hold on a node."""
    spec = found["Spec"].get("TaskTemplate") or found["Spec"]
    labels = {f"node.labels.{key}": value for key, value in (node["Spec"].get("Labels") or {}).items()}
    engine = node["Description"]["Engine"].get("Labels") or {}
    facts = labels | {f"engine.labels.{key}": value for key, value in engine.items()}
    facts |= {"node.id": node["ID"], "node.role": node["Spec"]["Role"]}
    facts |= {"node.hostname": node["Description"]["Hostname"]}
    for constraint in (spec.get("Placement") or {}).get("Constraints") or ():
        operator = "!=" if "!=" in constraint else "=="
        key, _, value = (part.strip() for part in constraint.partition(operator))
        if (facts.get(key, "").lower() == value.lower()) == (operator == "!="):
            return False
    return True


def _explained(against: Counter[str]) -> str:
    if not against:
        return "no suitable node"
    parts = [_told(why, count) for why, count in sorted(against.items(), key=lambda one: -one[1])]
    return f"no suitable node ({'; '.join(parts)})"


def _told(why: str, count: int) -> str:
    nodes = "1 node" if count == 1 else f"{count} nodes"
    if why == "ready":
        return f"{nodes} not available for new tasks"
    return f"{'insufficient resources' if why == 'room' else 'scheduling constraints not satisfied'} on {nodes}"


def _forget(swarm: Swarm) -> None:
    """Keep only the last ended tasks of each slot."""
    places: dict[tuple[str, object], list[str]] = {}
    for task in swarm.tasks.values():
        if ended(task):
            places.setdefault((task["ServiceID"], task.get("Slot") or task.get("NodeID")), []).append(task["ID"])
    for ids in places.values():
        for gone in ids[:-_KEPT]:
            del swarm.tasks[gone]
