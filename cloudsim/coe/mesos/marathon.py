"""Marathon's REST API."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from cloudsim.coe.mesos.cluster import App, Object, Task
from cloudsim.coe.mesos.scheduling import REASONS
from cloudsim.coe.wire import Reply, Request, as_json, as_text

if TYPE_CHECKING:
    from cloudsim.coe.mesos.bay import MesosBay

_DEFAULTS: Final = {"instances": 1, "cpus": 1.0, "mem": 128.0, "disk": 0.0, "gpus": 0, "constraints": [], "labels": {}}
_STRATEGY: Final = {"minimumHealthCapacity": 1.0, "maximumOverCapacity": 1.0}


class Refused(Exception):
    """A refusal as Marathon answers it."""

    def __init__(self, status: int, message: str, **more: object) -> None:
        super().__init__(message)
        self.status, self.body = status, {"message": message, **more}


def respond(bay: MesosBay, request: Request) -> Reply:
    """Marathon's answer."""
    try:
        return _respond(bay, request, request.path.rstrip("/"))
    except Refused as refused:
        return as_json(refused.body, refused.status)


def _respond(bay: MesosBay, request: Request, path: str) -> Reply:
    if path == "/ping":
        return as_text("pong\n")
    if path == "/v2/apps" or path.startswith("/v2/apps/"):
        return _apps(bay, request, path.removeprefix("/v2/apps").strip("/"))
    match request.method, path:
        case "GET", "/v2/info":
            return as_json(_info(bay))
        case "GET", "/v2/leader":
            return as_json({"leader": bay.marathon_address})
        case "GET", "/v2/queue":
            return as_json({"queue": [_queued(bay, app) for app in bay.cluster.apps.values() if app.since]})
        case "GET", "/v2/tasks":
            return as_json({"tasks": [_task(bay, one) for one in bay.cluster.tasks.values()]})
        case "POST", "/v2/tasks/delete":
            return _kill(bay, request)
        case "GET", "/v2/deployments":
            found = [app for app in bay.cluster.apps.values() if app.deployment]
            return as_json([{"id": app.deployment, "affectedApps": [app.id], "version": app.version} for app in found])
        case _:
            return as_json({"message": "HTTP 404 Not Found"}, 404)


def _info(bay: MesosBay) -> Object:
    told: Object = {
        "name": "marathon",
        "version": bay.marathon_version,
        "elected": True,
        "leader": bay.marathon_address,
    }
    config = {"master": f"zk://{bay.own_address.rpartition(':')[0]}:2181/mesos", "ha": True, "hostname": "marathon"}
    return told | {"frameworkId": bay.cluster.framework, "marathon_config": config}


def _apps(bay: MesosBay, request: Request, rest: str) -> Reply:
    apps = bay.cluster.apps
    if not rest:
        if request.method == "GET":
            return as_json({"apps": [_shown(bay, app) for app in apps.values()]})
        if request.method == "POST":
            return _create(bay, _read(request))
        raise Refused(405, "HTTP 405 Method Not Allowed")
    lists_tasks = rest.endswith("/tasks")
    app = apps.get(f"/{rest.removesuffix('/tasks')}")
    if app is None:
        raise Refused(404, f"App '/{rest.removesuffix('/tasks')}' does not exist")
    if lists_tasks and request.method == "GET":
        return as_json({"tasks": [_task(bay, one) for one in bay.cluster.of(app.id)]})
    match request.method:
        case "GET":
            tasks = [_task(bay, one) for one in bay.cluster.of(app.id)]
            return as_json({"app": _shown(bay, app) | {"tasks": tasks}})
        case "PUT" | "PATCH":
            return _change(bay, request, app)
        case "DELETE":
            _check_lock(app, request)
            bay.delete(app.id)
            return _deployed(bay, str(uuid.uuid4()))
        case _:
            raise Refused(405, "HTTP 405 Method Not Allowed")


def _read(request: Request) -> Object:
    try:
        body = request.json()
    except ValueError as error:
        raise Refused(400, "Invalid JSON", details=str(error)) from error
    if not isinstance(body, dict):
        raise Refused(400, "Invalid JSON")
    for name in ("instances", "cpus", "mem"):
        if (
            isinstance(body.get(name, 0), bool)
            or not isinstance(body.get(name, 0), int | float)
            or body.get(name, 0) < 0
        ):
            errors = {"path": f"/{name}", "errors": ["error.expected.jsnumber"]}
            raise Refused(422, "Object is not valid", details=[errors])
    return body


def _create(bay: MesosBay, body: Object) -> Reply:
    name = "/" + str(body.get("id", "")).strip("/")
    if name == "/":
        raise Refused(422, "Object is not valid", details=[{"path": "/id", "errors": ["must be present"]}])
    if name in bay.cluster.apps:
        raise Refused(409, f"An app with id [{name}] already exists.")
    app = bay.create({**_DEFAULTS, "upgradeStrategy": dict(_STRATEGY), **body, "id": name})
    return as_json(_shown(bay, app), 201)


def _change(bay: MesosBay, request: Request, app: App) -> Reply:
    _check_lock(app, request)
    body = _read(request)
    changed = {key: value for key, value in body.items() if key != "id"}
    return _deployed(bay, bay.change(app, changed))


def _check_lock(app: App, request: Request) -> None:
    if app.deployment and request.query.get("force") != "true":
        told = "App is locked by one or more deployments. Override with the option '?force=true'. "
        told += "View details at '/v2/deployments/<DEPLOYMENT_ID>'."
        raise Refused(409, told, deployments=[{"id": app.deployment}])


def _deployed(bay: MesosBay, deployment: str) -> Reply:
    headers = {"Marathon-Deployment-Id": deployment}
    reply = as_json({"version": bay.stamp(), "deploymentId": deployment})
    return Reply(reply.status, reply.body, headers=headers)


def _kill(bay: MesosBay, request: Request) -> Reply:
    """Kill tasks: others are started in their place, unless the apps are to be smaller by them (`scale`)."""
    scale, wipe = (request.query.get(name) == "true" for name in ("scale", "wipe"))
    if scale and wipe:
        raise Refused(400, "You cannot use scale and wipe at the same time.")
    tasks = bay.cluster.tasks
    killed = [tasks[one] for one in _read(request).get("ids", ()) if one in tasks]
    shown = [_task(bay, one) for one in killed]
    apps = {one.app: bay.cluster.apps[one.app] for one in killed if one.app in bay.cluster.apps}
    if scale:
        for app in apps.values():
            _check_lock(app, request)
    for task in killed:
        bay.kill(task)
    if not scale:
        return as_json({"tasks": shown})
    deployment = ""
    for app in apps.values():
        fewer = sum(one.app == app.id for one in killed)
        deployment = bay.change(app, {"instances": max(0, app.wanted - fewer)})
    return _deployed(bay, deployment or str(uuid.uuid4()))


def _task(bay: MesosBay, task: Task) -> Object:
    told: Object = {"appId": task.app, "id": task.id, "host": task.host, "slaveId": task.agent, "state": task.state}
    if (bay.cluster.apps[task.app].spec if task.app in bay.cluster.apps else {}).get("healthChecks"):
        told["healthCheckResults"] = [{"alive": task.alive, "taskId": task.id, "consecutiveFailures": 0}]
    return told | {"startedAt": task.launched, "stagedAt": task.launched, "version": task.version, "ports": []}


def _shown(bay: MesosBay, app: App) -> Object:
    running = len(bay.cluster.of(app.id))
    told = {"tasksRunning": running, "tasksStaged": 0, "tasksHealthy": 0, "tasksUnhealthy": 0, "version": app.version}
    deployments = [{"id": app.deployment}] if app.deployment else []
    return app.spec | told | {"deployments": deployments}


def _queued(bay: MesosBay, app: App) -> Object:
    """An app that waits for offers, with the reasons why those of the last look did not do."""
    missing = app.wanted - len(bay.cluster.of(app.id))
    told: Object = {"app": _shown(bay, app), "count": missing, "since": app.since}
    told |= {"delay": {"timeLeftSeconds": 0, "overdue": True}}
    left, summary = app.offers, []
    for reason in REASONS:
        summary.append({"reason": reason, "declined": app.waits[reason], "processed": left})
        left -= app.waits[reason]
    offers: Object = {"processedOffersCount": app.offers, "unusedOffersCount": app.offers}
    offers |= {"rejectSummaryLastOffers": summary, "rejectSummaryLaunchAttempt": summary}
    return told | {"processedOffersSummary": offers}
