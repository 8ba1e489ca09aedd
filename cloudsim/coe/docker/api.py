"""Docker's Engine API, as far as a manager of swarm mode is asked about nodes, services and tasks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cloudsim.coe.docker.replies import Api, Object, Refused, filters, out_of_sequence, read, refused
from cloudsim.coe.docker.swarm import Swarm, name_of, new_id
from cloudsim.coe.docker.swarm import wanted as is_wanted
from cloudsim.coe.wire import Reply, Request, as_json

if TYPE_CHECKING:
    from cloudsim.coe.docker.bay import DockerBay

_VERSIONED: Final = re.compile(r"/v(\d+)\.(\d+)(/.*)")
_OLDEST: Final = (1, 12)
_NOT_MANAGER: Final = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)


def respond(bay: DockerBay, request: Request) -> Reply:
    """Docker's answer."""
    try:
        parts = path_of(bay.api, request.path).strip("/").split("/")
        return _general(bay, request, parts) or _swarm(bay, request, parts)
    except Refused as refusal:
        return refusal.reply()


def path_of(api: Api, path: str) -> str:
    """The path without the API's version.

    Raises:
        Refused: 400, that version is not spoken.
    """
    found = _VERSIONED.fullmatch(path)
    if found is None:
        return path
    asked = int(found[1]), int(found[2])
    if asked > api:
        told = f"client version {found[1]}.{found[2]} is too new. Maximum supported API version is {api[0]}.{api[1]}"
        raise Refused(400, told)
    if asked < _OLDEST:
        told = f"client version {found[1]}.{found[2]} is too old. Minimum supported API version is "
        raise Refused(400, f"{told}{_OLDEST[0]}.{_OLDEST[1]}, please upgrade your client to a newer version")
    return found[3]


def version(bay: DockerBay) -> Object:
    """The answer to /version."""
    told = {"Version": bay.version, "ApiVersion": f"{bay.api[0]}.{bay.api[1]}", "MinAPIVersion": "1.12"}
    return told | {
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "5.4.0",
        "GoVersion": "go1.20",
        "GitCommit": "0" * 7,
    }


def _general(bay: DockerBay, request: Request, parts: list[str]) -> Reply | None:
    match request.method, parts:
        case (("GET" | "HEAD"), ["_ping"]):
            told = {"Api-Version": f"{bay.api[0]}.{bay.api[1]}", "OSType": "linux"}
            return Reply(200, b"OK", "text/plain; charset=utf-8", told)
        case "GET", ["version"]:
            return as_json(version(bay))
        case "GET", ["info"]:
            return as_json(_info(bay))
        case _:
            return None


def _info(bay: DockerBay) -> Object:
    nodes = bay.swarm.nodes.values()
    managers = [one for one in nodes if "ManagerStatus" in one]
    me = managers[0] if managers and bay.manager else None
    swarm: Object = {"NodeID": me["ID"] if me else "", "NodeAddr": me["Status"]["Addr"] if me else "", "Error": ""}
    swarm |= {"LocalNodeState": "active" if me else "inactive", "ControlAvailable": me is not None}
    remote = [{"NodeID": one["ID"], "Addr": one["ManagerStatus"]["Addr"]} for one in managers] if me else None
    swarm |= {"RemoteManagers": remote, "Nodes": len(nodes) if me else 0, "Managers": len(managers) if me else 0}
    return {"Name": name_of(me) if me else "docker", "ServerVersion": bay.version, "Swarm": swarm, "OSType": "linux"}


def _swarm(bay: DockerBay, request: Request, parts: list[str]) -> Reply:
    parts_of = {"nodes": _node_calls, "services": _service_calls, "tasks": _task_calls, "networks": _network_calls}
    parts_of |= dict.fromkeys(("secrets", "configs"), _none)
    calls = parts_of.get(parts[0])
    if calls is None:
        raise Refused(404, "page not found")
    if not bay.manager:
        raise Refused(503, _NOT_MANAGER)
    return calls(bay, request, parts[1:])


def _node_calls(bay: DockerBay, request: Request, parts: list[str]) -> Reply:
    match request.method, parts:
        case "GET", []:
            return _nodes(bay, request)
        case "GET", [reference]:
            return as_json(bay.shown(_node(bay, reference)))
        case "POST", [reference, "update"]:
            return _update_node(bay, request, _node(bay, reference))
        case "DELETE", [reference]:
            return _remove_node(bay, request, _node(bay, reference))
        case _:
            raise Refused(404, "page not found")


def _service_calls(bay: DockerBay, request: Request, parts: list[str]) -> Reply:
    match request.method, parts:
        case "GET", []:
            return _services(bay, request)
        case "POST", ["create"]:
            return _create_service(bay, read(request))
        case "GET", [reference]:
            return as_json(_service(bay, reference))
        case "POST", [reference, "update"]:
            return _update_service(bay, request, _service(bay, reference))
        case "DELETE", [reference]:
            del bay.swarm.services[_service(bay, reference)["ID"]]
            bay.swarm.index += 1
            return Reply(200)
        case _:
            raise Refused(404, "page not found")


def _task_calls(bay: DockerBay, request: Request, parts: list[str]) -> Reply:
    match request.method, parts:
        case "GET", []:
            return _tasks(bay, request)
        case "GET", [reference] if reference in bay.swarm.tasks:
            return as_json(bay.swarm.tasks[reference])
        case "GET", [reference]:
            raise Refused(404, f"task {reference} not found")
        case _:
            raise Refused(404, "page not found")


def _network_calls(bay: DockerBay, request: Request, parts: list[str]) -> Reply:
    """Networks across nodes: they have names, and carry nothing."""
    swarm = bay.swarm
    match request.method, parts:
        case "GET", []:
            wanted = filters(request, frozenset({"driver", "id", "label", "name", "scope", "type"}))
            found = [one for one in swarm.networks.values() if _labelled(one["Labels"], wanted.get("label"))]
            return as_json([one for one in found if _begins(one["Name"], wanted.get("name"))])
        case "POST", ["create"]:
            body = read(request)
            made: Object = {"Name": body.get("Name"), "Driver": body.get("Driver") or "overlay", "Scope": "swarm"}
            key = new_id()
            swarm.networks[key] = made | {"Id": key, "Created": swarm.stamp(), "Labels": body.get("Labels") or {}}
            return as_json({"Id": key, "Warning": ""}, 201)
        case (("GET" | "DELETE"), [reference]):
            found = [one for one in swarm.networks.values() if reference in (one["Id"], one["Name"])]
            if not found:
                raise Refused(404, f"network {reference} not found")
            if request.method == "GET":
                return as_json(found[0])
            del swarm.networks[found[0]["Id"]]
            return Reply(204)
        case _:
            raise Refused(404, "page not found")


def _none(bay: DockerBay, request: Request, parts: list[str]) -> Reply:
    """What there are none of."""
    if request.method == "GET" and not parts:
        return as_json([])
    raise Refused(404, "page not found")


def _labelled(labels: Object, wanted: list[str] | None) -> bool:
    """Whether it has all these labels, each `name` or `name=value`."""
    pairs = (one.partition("=") for one in wanted or ())
    return all(name in labels and (not equal or labels[name] == value) for name, equal, value in pairs)


def _node(bay: DockerBay, reference: str) -> Object:
    found = bay.swarm.find(bay.swarm.nodes, reference)
    if found is None:
        raise Refused(404, f"node {reference} not found")
    return found


def _service(bay: DockerBay, reference: str) -> Object:
    found = bay.swarm.find(bay.swarm.services, reference)
    if found is None:
        raise Refused(404, f"service {reference} not found")
    return found


def _nodes(bay: DockerBay, request: Request) -> Reply:
    wanted = filters(request, frozenset({"id", "label", "membership", "name", "node.label", "role"}))
    found = [bay.shown(one) for one in bay.swarm.nodes.values()]
    return as_json(
        [
            one
            for one in found
            if _begins(one["ID"], wanted.get("id"))
            and _begins(name_of(one), wanted.get("name"))
            and one["Spec"]["Role"] in wanted.get("role", [one["Spec"]["Role"]])
        ]
    )


def _begins(text: str, prefixes: list[str] | None) -> bool:
    return prefixes is None or text.startswith(tuple(prefixes))


def _version(request: Request, kind: str) -> int:
    text = request.query.get("version", "")
    if not text.isdecimal():
        raise Refused(400, f"invalid {kind} version '{text}': strconv.ParseUint: parsing \"{text}\": invalid syntax")
    return int(text)


def _update_node(bay: DockerBay, request: Request, node: Object) -> Reply:
    """The whole specification anew, by somebody who knows the present version."""
    known, spec = _version(request, "node"), read(request)
    if spec.get("Availability") not in ("active", "pause", "drain"):
        raise refused(bay.api, 400, ("InvalidArgument", 3), f"invalid Availability: {spec.get('Availability')!r}")
    if known != node["Version"]["Index"]:
        raise out_of_sequence(bay.api)
    node["Spec"] = {"Labels": spec.get("Labels") or {}, "Role": spec.get("Role"), "Availability": spec["Availability"]}
    bay.swarm.touch(node)
    return Reply(200)


def _remove_node(bay: DockerBay, request: Request, node: Object) -> Reply:
    force = request.query.get("force") in ("1", "true", "True")
    if "ManagerStatus" in node:
        told = f"node {node['ID']} is a cluster manager and is a member of the raft cluster. "
        told += "It must be demoted to worker before removal"
        raise refused(bay.api, 400, ("FailedPrecondition", 9), told)
    if node["Status"]["State"] == "ready" and not force:
        told = f"node {node['ID']} is not down and can't be removed"
        raise refused(bay.api, 400, ("FailedPrecondition", 9), told)
    del bay.swarm.nodes[node["ID"]]
    bay.swarm.index += 1
    return Reply(200)


def _services(bay: DockerBay, request: Request) -> Reply:
    wanted = filters(request, frozenset({"id", "label", "mode", "name"}))
    counted = request.query.get("status") in ("1", "true")
    return as_json(
        [
            one | (_counts(bay.swarm, one) if counted else {})
            for one in bay.swarm.services.values()
            if _begins(one["ID"], wanted.get("id"))
            and _begins(name_of(one), wanted.get("name"))
            and _labelled(one["Spec"].get("Labels") or {}, wanted.get("label"))
        ]
    )


def _counts(swarm: Swarm, service: Object) -> Object:
    """How many tasks there are and should be."""
    tasks = [task for task in swarm.tasks.values() if task["ServiceID"] == service["ID"]]
    running = sum(task["Status"]["State"] == "running" for task in tasks)
    told = {"RunningTasks": running, "DesiredTasks": sum(map(is_wanted, tasks)), "CompletedTasks": 0}
    return {"ServiceStatus": told}


def _check(bay: DockerBay, spec: Object) -> None:
    """What tasks are made from must be whole, or the managers could not go on."""
    mode, template = spec.get("Mode") or {}, spec.get("TaskTemplate") or {}
    replicas = (mode.get("Replicated") or {}).get("Replicas", 1)
    reserved = (template.get("Resources") or {}).get("Reservations") or {}
    amounts = (replicas, reserved.get("NanoCPUs") or 0, reserved.get("MemoryBytes") or 0)
    if not all(isinstance(one, int) and one >= 0 for one in amounts):
        raise refused(bay.api, 400, ("InvalidArgument", 3), "invalid replicas or reservations")


def _create_service(bay: DockerBay, spec: Object) -> Reply:
    name = spec.get("Name") or ""
    if not re.fullmatch(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*", name):
        raise refused(bay.api, 400, ("InvalidArgument", 3), "name must be valid as a DNS name component")
    _check(bay, spec)
    if any(name_of(one) == name for one in bay.swarm.services.values()):
        told = f"name conflicts with an existing object: service {name} already exists"
        raise refused(bay.api, 409, ("AlreadyExists", 6), told)
    return as_json({"ID": bay.create(spec)["ID"]}, 201)


def _update_service(bay: DockerBay, request: Request, service: Object) -> Reply:
    known, spec = _version(request, "service"), read(request)
    if known != service["Version"]["Index"]:
        raise out_of_sequence(bay.api)
    _check(bay, spec)
    service["PreviousSpec"], service["Spec"] = service["Spec"], spec
    spec.setdefault("TaskTemplate", {})
    bay.swarm.touch(service)
    return as_json({"Warnings": None})


def _tasks(bay: DockerBay, request: Request) -> Reply:
    allowed = frozenset({"_up-to-date", "desired-state", "id", "label", "name", "node", "service"})
    wanted = filters(request, allowed)
    swarm = bay.swarm
    nodes, services = (
        None if key not in wanted else {(swarm.find(kind, one) or {"ID": one})["ID"] for one in wanted[key]}
        for key, kind in (("node", swarm.nodes), ("service", swarm.services))
    )
    return as_json(
        [
            task
            for task in swarm.tasks.values()
            if (nodes is None or task.get("NodeID") in nodes)
            and (services is None or task["ServiceID"] in services)
            and task["DesiredState"] in wanted.get("desired-state", [task["DesiredState"]])
            and _labelled(_labels_of(swarm, task), wanted.get("label"))
            and _begins(task["ID"], wanted.get("id"))
        ]
    )


def _labels_of(swarm: Swarm, task: Object) -> Object:
    service = swarm.services.get(task["ServiceID"]) or {"Spec": {}}
    return service["Spec"].get("Labels") or {}
