"""Kubernetes' HTTP API: which object a path means, and what each verb does to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cloudsim.coe.kubernetes import (
    authorization,
    disruption,
    health,
    nodes,
    patching,
    pods,
    selectors,
    services,
    tables,
)
from cloudsim.coe.kubernetes.authorization import Asked
from cloudsim.coe.kubernetes.kinds import RESOURCES, WORKLOADS, Resource, is_served
from cloudsim.coe.kubernetes.objects import copied, labels_of
from cloudsim.coe.kubernetes.replies import Object, Refused, bad_request, conflict, exists, not_found, success
from cloudsim.coe.wire import Reply, Request, as_json, as_text

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_FIRST_EVICTION: Final = (1, 4)
_FIRST_PAGES: Final = (1, 9)
_OLDEST_KEPT: Final = 1000
"""Revisions for which a list can be continued; real ones keep five minutes."""
_WATCHED: Final = 5.0
"""Simulated seconds until a watch has ended; it tells nothing meanwhile."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means."""

    resource: Resource
    group_version: str
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @property
    def group(self) -> str:
        """Empty for the core."""
        return self.group_version.partition("/")[0] if "/" in self.group_version else ""


def respond(bay: KubernetesBay, request: Request) -> Reply:
    """Kubernetes' answer."""
    try:
        return _respond(bay, request)
    except Refused as refused:
        return refused.reply()


def _respond(bay: KubernetesBay, request: Request) -> Reply:
    target = _target(bay, request.path)
    if target is None:
        asked = Asked(_VERBS.get(request.method, "get").replace("create", "post"), path=request.path)
        authorization.allow(request.caller, asked, bay.release)
        return health.respond(bay, request) or as_text("404 page not found\n", 404)
    verb = _verb(request, target)
    resource = f"{target.resource.name}/{target.sub}" if target.sub else target.resource.name
    authorization.allow(request.caller, Asked(verb, resource, target.group, target.namespace, target.name), bay.release)
    if request.query.get("watch") in ("true", "1"):
        told = "too old resource version"  # so that who watches lists anew, now and then
        return replace(Refused(410, "Expired", told).reply(), after=_WATCHED)
    if target.sub:
        return _sub(bay, request, target)
    found = _DOES.get(verb)
    if found is None or ((verb != "create") != bool(target.name) and verb not in ("list", "deletecollection")):
        raise Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
    return found(bay, request, target)


def _verb(request: Request, target: Target) -> str:
    verb = _VERBS.get(request.method, "get")
    if target.name:
        return verb
    return {"get": "list", "delete": "deletecollection"}.get(verb, verb)


def _target(bay: KubernetesBay, path: str) -> Target | None:
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group_version, rest = "v1", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group_version, rest = "/".join(parts[1:3]), parts[3:]
    else:
        return None
    namespace = ""
    if rest[0:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = RESOURCES.get(rest[0]) if rest else None
    if resource is None or not is_served(resource, group_version, bay.release) or len(rest) > 3:
        return None
    name, sub = ([*rest[1:], "", ""])[:2]
    if sub == "eviction" and bay.release < _FIRST_EVICTION:
        return None
    if name and resource.namespaced != bool(namespace):
        return None
    return Target(resource, group_version, namespace, name, sub)


def _find(bay: KubernetesBay, target: Target) -> Object:
    found = bay.objects.get(target.resource.name, target.namespace, target.name)
    if found is None:
        raise not_found(target.resource.name, target.group, target.name)
    return found


def _shown(bay: KubernetesBay, found: Object, target: Target, *, single: bool = True) -> Object:
    """As it goes out; a list's items do not repeat what they are."""
    show = {"nodes": nodes.shown, "leases": nodes.lease_shown}.get(target.resource.name)
    told = show(bay, found) if show else found
    return ({"kind": target.resource.kind, "apiVersion": target.group_version} if single else {}) | told


def _one(bay: KubernetesBay, found: Object, target: Target, status: int = 200) -> Reply:
    return as_json(_shown(bay, found, target), status)


def _read(request: Request) -> Object:
    try:
        body = request.json()
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized (must be of type JSON): {error}") from error
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized (must be an object)")
    return body


def _get(bay: KubernetesBay, request: Request, target: Target) -> Reply:
    found = _find(bay, target)
    if tables.wanted(bay, request.headers.get("accept", "")):
        return as_json(tables.table(bay, target.resource.name, {}, [_shown(bay, found, target)]))
    return _one(bay, found, target)


def _list(bay: KubernetesBay, request: Request, target: Target) -> Reply:
    query = request.query
    found = [
        one
        for one in bay.objects.all(target.resource.name, target.namespace or None)
        if selectors.labelled(query.get("labelSelector", ""), labels_of(one))
        and selectors.by_fields(query.get("fieldSelector", ""), target.resource.name, one)
    ]
    page, meta = _page(bay, found, request)
    if tables.wanted(bay, request.headers.get("accept", "")):
        shown = [_shown(bay, one, target, single=False) for one in page]
        return as_json(tables.table(bay, target.resource.name, meta, shown))
    body = {"kind": f"{target.resource.kind}List", "apiVersion": target.group_version}
    return as_json(body | {"metadata": meta, "items": [_shown(bay, one, target, single=False) for one in page]})


def _page(bay: KubernetesBay, found: list[Object], request: Request) -> tuple[list[Object], Object]:
    """A part of a list, and how to go on. The token holds the revision at which the list began, and the last key."""
    limit = int(request.query.get("limit") or 0) if bay.release >= _FIRST_PAGES else 0
    meta: Object = {"resourceVersion": str(bay.objects.revision)}
    token = request.query.get("continue")
    if token and limit:
        begun, after = _token(token)
        if bay.objects.revision - begun > _OLDEST_KEPT:
            told = "The provided continue parameter is too old to display a consistent list result. "
            told += "You must start a new list without the continue parameter."
            raise Refused(410, "Expired", told)
        found = [one for one in found if _key(one) > after]
        meta = {"resourceVersion": str(begun)}
    if not limit or len(found) <= limit:
        return found, meta
    last = json.dumps({"rv": int(meta["resourceVersion"]), "after": _key(found[limit - 1])})
    meta |= {"continue": base64.urlsafe_b64encode(last.encode()).decode()}
    if "labelSelector" not in request.query and "fieldSelector" not in request.query:
        meta["remainingItemCount"] = len(found) - limit
    return found[:limit], meta


def _token(text: str) -> tuple[int, list[str]]:
    try:
        told = json.loads(base64.urlsafe_b64decode(text))
        return int(told["rv"]), list(told["after"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request("continue key is not valid") from error


def _key(found: Object) -> list[str]:
    return [found["metadata"].get("namespace", ""), found["metadata"]["name"]]


def _create(bay: KubernetesBay, request: Request, target: Target) -> Reply:
    body, resource = _read(request), target.resource.name
    namespace = target.namespace
    if target.resource.namespaced and not namespace:
        namespace = body.get("metadata", {}).get("namespace", "default")
    name = body.get("metadata", {}).get("name", "")
    if name and bay.objects.get(resource, namespace, name) is not None:
        raise exists(resource, target.group, name)
    if not name and not body.get("metadata", {}).get("generateName"):
        raise Refused(422, "Invalid", f'{target.resource.kind} "" is invalid: metadata.name: Required value')
    for key in ("kind", "apiVersion", "status"):
        body.pop(key, None)
    _check(target, body)
    if resource == "pods":
        return _one(bay, pods.make(bay, namespace, body), target, 201)
    if resource == "services":
        services.complete(bay, body)
    body.setdefault("status", {})
    if "template" in body.get("spec", {}) and resource != "daemonsets":
        body["spec"].setdefault("replicas", 1)
    return _one(bay, bay.objects.add(resource, namespace, body), target, 201)


def _check(target: Target, body: Object) -> None:
    """What pods are made from must be whole, or no controller could go on."""
    body = {**body, "spec": body.get("spec") or {}}
    pod = body if target.resource.name == "pods" else body["spec"].get("template")
    needs = target.resource.name == "pods" or target.resource.name in WORKLOADS
    try:
        good = not needs or (bool(pod["spec"]["containers"]) and pods.asks(pod) >= (0, 0))
        replicas = body["spec"].get("replicas", 1)
        good = good and isinstance(replicas, int) and replicas >= 0
    except (KeyError, TypeError, ValueError, AttributeError):
        good = False
    if not good:
        name = body.get("metadata", {}).get("name", "")
        told = f'{target.resource.kind} "{name}" is invalid: spec: Required value'
        raise Refused(422, "Invalid", told, {"name": name, "kind": target.resource.kind})


def _update(bay: KubernetesBay, request: Request, target: Target) -> Reply:
    old = _find(bay, target)
    new = _read(request)
    return _one(bay, _replace(bay, target, old, new), target)


def _patch(bay: KubernetesBay, request: Request, target: Target) -> Reply:
    old = _find(bay, target)
    return _one(bay, _replace(bay, target, old, patching.patched(old, request)), target)


def _replace(bay: KubernetesBay, target: Target, old: Object, new: Object) -> Object:
    """Change an object, unless somebody has since its revision that the caller knows; its status is not changed so."""
    known = (new.get("metadata") or {}).get("resourceVersion", "")
    if known and known != old["metadata"]["resourceVersion"]:
        raise conflict(target.resource.name, target.name)
    kept = {key: value for key, value in new.items() if key not in ("kind", "apiVersion", "status")}
    kept["spec"] = kept.get("spec") or {}
    _check(target, kept)
    return bay.objects.replace(target.resource.name, old, kept | {"status": copied(old.get("status") or {})})


def _delete(bay: KubernetesBay, request: Request, target: Target) -> Reply:
    found = _find(bay, target)
    meta = found["metadata"]
    if target.resource.name == "pods":
        options = _read(request) if request.body else {}
        grace = request.query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
        pods.end(bay, found, None if grace is None else int(grace))
        return _one(bay, found, target)
    bay.objects.drop(target.resource.name, found)
    details = {"name": meta["name"], **({"group": target.group} if target.group else {}), "kind": target.resource.name}
    return success(200, details | {"uid": meta["uid"]})


def _sub(bay: KubernetesBay, request: Request, target: Target) -> Reply:
    found = _find(bay, target)
    match target.resource.name, target.sub, request.method:
        case "pods", "eviction", "POST":
            body = _read(request)
            _check_eviction(bay, body)
            disruption.evict(bay, found, body, dry=bool(request.query.get("dryRun")))
            return success(201)
        case _, "scale", ("GET" | "PUT" | "PATCH") as method if "replicas" in found.get("spec", {}):
            return _scale(bay, request, target, found, method)
        case _, "status", "GET":
            return _one(bay, found, target)
        case _:
            raise Refused(404, "NotFound", "the server could not find the requested resource", {})


def _check_eviction(bay: KubernetesBay, body: Object) -> None:
    """An Eviction is of policy/v1 since 1.22; policy/v1beta1 is taken by all that know evictions."""
    said = body.get("apiVersion", "policy/v1beta1")
    known = {"policy/v1beta1"} | ({"policy/v1"} if bay.release >= (1, 22) else set())
    if said not in known or body.get("kind", "Eviction") != "Eviction":
        kind = body.get("kind", "Eviction")
        raise bad_request(f'no kind "{kind}" is registered for version "{said}" in scheme "pkg/api/legacyscheme"')


def _scale(bay: KubernetesBay, request: Request, target: Target, found: Object, method: str) -> Reply:
    if method != "GET":
        change = _read(request)
        new = copied(found)
        new["spec"]["replicas"] = int(change["spec"]["replicas"])
        found = _replace(bay, target, found, new)
    meta = {key: found["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    body: Object = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta}
    spec = {"replicas": found["spec"]["replicas"]}
    return as_json(body | {"spec": spec, "status": {"replicas": found["status"].get("replicas", 0)}})


_DOES: Final[dict[str, Callable[[KubernetesBay, Request, Target], Reply]]] = {
    "get": _get,
    "list": _list,
    "create": _create,
    "update": _update,
    "patch": _patch,
    "delete": _delete,
}
