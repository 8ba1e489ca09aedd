"""Which groups and resources there are, as clients ask for it: discovery, and as much of OpenAPI as says that the
server itself checks what it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudsim.coe.kubernetes.kinds import EVICTIONS, RESOURCES, WORKLOADS, Resource, is_served
from cloudsim.coe.wire import Reply, as_json

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

_FIRST_TOLD: Final = (1, 8)
"""Since when discovery tells the group and version of what is sent to a subresource."""
_FIRST_OPENAPI: Final = (1, 27)
_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def respond(bay: KubernetesBay, path: str) -> Reply | None:
    """The answer; None: no such path."""
    if path == "/api":
        return as_json({"kind": "APIVersions", "versions": ["v1"]})
    if path == "/apis":
        return as_json(_groups(bay))
    parts = path.strip("/").split("/")
    if path == "/api/v1":
        return as_json(_core(bay))
    if parts[0] == "apis" and len(parts) == 3:
        return _listed(bay, "/".join(parts[1:]))
    if parts[:2] == ["openapi", "v3"] and bay.release >= _FIRST_OPENAPI:
        return _openapi(bay, "/".join(parts[2:]))
    return None


def _told(bay: KubernetesBay, resource: Resource) -> dict[str, object]:
    told: dict[str, object] = {"name": resource.name, "namespaced": resource.namespaced, "kind": resource.kind}
    told |= {"shortNames": [*resource.short]} if resource.short else {}
    if bay.release >= _FIRST_TOLD:
        told = {"singularName": resource.kind.lower()} | told
    return told | {"verbs": [*_VERBS]}


def _of(bay: KubernetesBay, group_version: str) -> list[Resource]:
    return [one for one in RESOURCES.values() if is_served(one, group_version, bay.release)]


def _core(bay: KubernetesBay) -> dict[str, object]:
    """What the core group has."""
    found = [_told(bay, one) for one in _of(bay, "v1")]
    served = next((one for one in EVICTIONS if one.since <= bay.release <= one.until), None)
    if served is not None:
        eviction: dict[str, object] = {"name": "pods/eviction", "namespaced": True, "kind": "Eviction"}
        group, _, version = served.group_version.partition("/")
        told = {"group": group, "version": version, "singularName": ""} if bay.release >= _FIRST_TOLD else {}
        found.append(eviction | told | {"verbs": ["create"]})
    found.sort(key=lambda one: str(one["name"]))
    return {"kind": "APIResourceList", "groupVersion": "v1", "resources": found}


def _listed(bay: KubernetesBay, group_version: str) -> Reply | None:
    """What another group has in one of its versions."""
    found = _of(bay, group_version)
    if not found:
        return None
    resources = [_told(bay, one) for one in found]
    resources += [
        {"name": f"{one.name}/scale", "singularName": "", "namespaced": True, "group": "autoscaling", "version": "v1"}
        | {"kind": "Scale", "verbs": ["get", "patch", "update"]}
        for one in found
        if one.name in WORKLOADS - {"daemonsets"}
    ]
    body = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version}
    return as_json(body | {"resources": resources})


def _group_versions(bay: KubernetesBay) -> dict[str, list[str]]:
    """The versions of each group but the core, the preferred one first."""
    found: dict[str, list[str]] = {}
    for resource in RESOURCES.values():
        for one in resource.served:
            group = one.group_version.partition("/")[0]
            known = found.setdefault(group, [])
            if "/" in one.group_version and one.since <= bay.release <= one.until and one.group_version not in known:
                known.append(one.group_version)
    return {group: known for group, known in found.items() if known}


def _groups(bay: KubernetesBay) -> dict[str, object]:
    groups = [
        {
            "name": name,
            "versions": [{"groupVersion": one, "version": one.partition("/")[2]} for one in known],
            "preferredVersion": {"groupVersion": known[0], "version": known[0].partition("/")[2]},
        }
        for name, known in _group_versions(bay).items()
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _openapi(bay: KubernetesBay, of: str) -> Reply | None:
    """Of each resource that it can be patched, and that the server looks at its fields; no schemas."""
    known = {"api/v1": "v1"} | {f"apis/{one}": one for all_of in _group_versions(bay).values() for one in all_of}
    if not of:
        return as_json({"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash=0"} for path in known}})
    if of not in known:
        return None
    group, _, version = known[of].rpartition("/")
    paths = {
        f"/{of}/namespaces/{{namespace}}/{one.name}/{{name}}" if one.namespaced else f"/{of}/{one.name}/{{name}}": {
            "patch": {
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": one.kind},
            }
        }
        for one in _of(bay, known[of])
    }
    info = {"title": "Kubernetes", "version": f"v{bay.version}"}
    return as_json({"openapi": "3.0.0", "info": info, "paths": paths})
