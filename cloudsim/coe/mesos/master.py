"""The Mesos master's HTTP endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudsim.coe.mesos import maintenance
from cloudsim.coe.mesos.cluster import Agent, Object, Task
from cloudsim.coe.mesos.maintenance import Refused
from cloudsim.coe.wire import Reply, Request, as_json, as_text

if TYPE_CHECKING:
    from cloudsim.coe.mesos.bay import MesosBay

_PAGE = 100
_DISK = 10_000


def respond(bay: MesosBay, request: Request) -> Reply:
    """The master's answer. One that does not lead sends to the one that does, or says that there is none."""
    path = request.path.removeprefix("/master").rstrip("/").removesuffix(".json")
    if path in ("/health", "/version"):
        return Reply(200) if path == "/health" else as_json({"version": bay.version})
    if path == "/redirect":
        return Reply(307, headers={"Location": f"//{bay.leader or bay.own_address}"})
    if bay.leader is not None:
        if not bay.leader:
            return as_text("No leader elected", 503)
        return Reply(307, headers={"Location": f"//{bay.leader}{request.path}"})
    try:
        return _respond(bay, request, path)
    except Refused as refused:
        return as_text(refused.message, 400)


def _respond(bay: MesosBay, request: Request, path: str) -> Reply:
    match request.method, path:
        case "GET", "/slaves":
            agents = [_agent(bay, one) for one in bay.cluster.agents.values()]
            return as_json({"slaves": agents, "recovered_slaves": []})
        case "GET", "/tasks":
            return as_json({"tasks": _page(bay, request)})
        case "GET", "/state":
            return as_json(_state(bay))
        case "GET", "/maintenance/schedule":
            return as_json({"windows": bay.cluster.windows})
        case "POST", "/maintenance/schedule":
            maintenance.schedule(bay.cluster, _read(request))
            return Reply(200)
        case "GET", "/maintenance/status":
            return as_json(maintenance.status(bay.cluster))
        case "POST", ("/machine/down" | "/machine/up"):
            change = maintenance.down if path.endswith("down") else maintenance.up
            change(bay.cluster, _read(request))
            return Reply(200)
        case "GET", "/metrics/snapshot":
            active = sum(one.active for one in bay.cluster.agents.values())
            return as_json({"master/elected": 1.0, "master/slaves_active": float(active)})
        case _:
            return Reply(404)


def _read(request: Request) -> Any:
    try:
        return request.json()
    except ValueError as error:
        raise Refused(f"syntax error: {error}") from error


def _resources(cpus: float, mem: float, disk: float = _DISK) -> Object:
    return {"cpus": cpus, "mem": mem, "disk": disk, "gpus": 0, "ports": "[31000-32000]"}


def _agent(bay: MesosBay, agent: Agent) -> Object:
    machine = agent.machine
    cpus, mem = bay.cluster.used(agent.id)
    whole = _resources(machine.cpu, machine.memory)
    told: Object = {"id": agent.id, "hostname": machine.name, "port": 5051, "attributes": dict(machine.labels)}
    told |= {"pid": f"slave(1)@{machine.address}:5051", "registered_time": agent.registered, "resources": whole}
    told |= {"used_resources": _resources(cpus, mem, 0), "offered_resources": _resources(0, 0, 0)}
    told |= {"reserved_resources": {}, "unreserved_resources": whole}
    return told | {"active": agent.active or bay.misbehaviours.lies, "version": bay.version}


def _task(bay: MesosBay, task: Task) -> Object:
    told: Object = {"id": task.id, "name": ".".join(reversed(task.app.strip("/").split("/"))), "executor_id": ""}
    told |= {"framework_id": bay.cluster.framework, "slave_id": task.agent, "state": task.state}
    return told | {"resources": _resources(task.cpus, task.mem, 0), "statuses": [{"state": task.state}]}


def _page(bay: MesosBay, request: Request) -> list[Object]:
    """Newest first and a hundred of them, unless asked otherwise; those that have ended come with them."""
    found = [_task(bay, one) for one in bay.cluster.tasks.values()] + [*map(_completed, bay.cluster.completed)]
    if request.query.get("order") != "asc":
        found.reverse()
    limit, offset = int(request.query.get("limit") or _PAGE), int(request.query.get("offset") or 0)
    return found[offset : offset + limit]


def _completed(told: Object) -> Object:
    name = ".".join(reversed(told["app"].strip("/").split("/")))
    return {"id": told["id"], "name": name, "slave_id": told["agent"], "state": told["state"], "statuses": []}


def _state(bay: MesosBay) -> Object:
    cluster = bay.cluster
    active = sum(one.active for one in cluster.agents.values())
    host, _, port = bay.own_address.rpartition(":")
    leader: Object = {"id": cluster.id, "pid": f"master@{bay.own_address}", "port": int(port), "hostname": host}
    framework: Object = {"id": cluster.framework, "name": "marathon", "active": True, "connected": True}
    framework |= {"webui_url": f"http://{host}:8080", "tasks": [_task(bay, one) for one in cluster.tasks.values()]}
    framework |= {"completed_tasks": [*map(_completed, cluster.completed)]}
    told: Object = {"version": bay.version, "id": cluster.id, "pid": f"master@{bay.own_address}", "hostname": host}
    told |= {"leader": f"master@{bay.own_address}", "leader_info": leader, "activated_slaves": active}
    told |= {"deactivated_slaves": len(cluster.agents) - active, "frameworks": [framework], "completed_frameworks": []}
    return told | {"slaves": [_agent(bay, one) for one in cluster.agents.values()], "unregistered_frameworks": []}
