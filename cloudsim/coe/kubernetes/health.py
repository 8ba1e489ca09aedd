"""What Kubernetes answers on paths that are no resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudsim.coe.kubernetes.kinds import EVICTIONS, RESOURCES, is_served
from cloudsim.coe.wire import Reply, Request, as_json, as_text

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

_FIRST_LIVEZ = (1, 16)
_FIRST_TOLD = (1, 8)
"""Since when discovery tells the group and version of what is sent to a subresource."""
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_CHECKS = ("ping", "log", "etcd", "poststarthook/start-apiextensions-controllers")


def respond(bay: KubernetesBay, request: Request) -> Reply | None:
    """Health, version and which groups there are; None: no such path."""
    path = request.path
    if path in ("/healthz", "/livez", "/readyz"):
        return _health(bay, path.strip("/"), verbose="verbose" in request.query)
    if path == "/version":
        return as_json(_version(bay))
    if path == "/api":
        return as_json({"kind": "APIVersions", "versions": ["v1"]})
    if path == "/api/v1":
        return as_json(_core(bay))
    if path == "/apis":
        return as_json(_groups(bay))
    return None


def _health(bay: KubernetesBay, name: str, *, verbose: bool) -> Reply | None:
    if name != "healthz" and bay.release < _FIRST_LIVEZ:
        return None
    told = "".join(f"[{'-' if one in bay.ailing else '+'}]{one} {_state(bay, one)}\n" for one in _CHECKS)
    if bay.ailing:
        return as_text(f"{told}{name} check failed\n", 500)
    return as_text(f"{told}{name} check passed\n" if verbose else "ok")


def _state(bay: KubernetesBay, check: str) -> str:
    return "failed: reason withheld" if check in bay.ailing else "ok"


def _version(bay: KubernetesBay) -> dict[str, str]:
    major, minor = bay.release
    told = {"major": str(major), "minor": str(minor), "gitVersion": f"v{bay.version}", "gitCommit": "0" * 40}
    told |= {"gitTreeState": "clean", "buildDate": "2024-01-01T00:00:00Z", "goVersion": "go1.20", "compiler": "gc"}
    return told | {"platform": "linux/amd64"}


def _core(bay: KubernetesBay) -> dict[str, object]:
    """What the core group has."""
    found: list[dict[str, object]] = [
        {"name": one.name, "namespaced": one.namespaced, "kind": one.kind, "verbs": [*_VERBS]}
        for one in RESOURCES.values()
        if is_served(one, "v1", bay.release)
    ]
    served = next((one for one in EVICTIONS if one.since <= bay.release <= one.until), None)
    if served is not None:
        eviction: dict[str, object] = {"name": "pods/eviction", "namespaced": True, "kind": "Eviction"}
        group, _, version = served.group_version.partition("/")
        told = {"group": group, "version": version} if bay.release >= _FIRST_TOLD else {}
        found.append(eviction | told | {"verbs": ["create"]})
    if bay.release >= _FIRST_TOLD:
        found = [{"singularName": ""} | one for one in found]
    found.sort(key=lambda one: str(one["name"]))
    return {"kind": "APIResourceList", "groupVersion": "v1", "resources": found}


def _groups(bay: KubernetesBay) -> dict[str, object]:
    found: dict[str, list[str]] = {}
    for resource in RESOURCES.values():
        for one in resource.served:
            group = one.group_version.partition("/")[0]
            known = found.setdefault(group, [])
            if "/" in one.group_version and one.since <= bay.release <= one.until and one.group_version not in known:
                known.append(one.group_version)
    groups = [
        {
            "name": name,
            "versions": [{"groupVersion": one, "version": one.partition("/")[2]} for one in known],
            "preferredVersion": {"groupVersion": known[0], "version": known[0].partition("/")[2]},
        }
        for name, known in found.items()
        if known
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
