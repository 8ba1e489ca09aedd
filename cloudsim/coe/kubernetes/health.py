"""What Kubernetes answers on paths that are no resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudsim.coe.kubernetes import discovery
from cloudsim.coe.wire import Reply, Request, as_json, as_text

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

_FIRST_LIVEZ = (1, 16)
_CHECKS = ("ping", "log", "etcd", "poststarthook/start-apiextensions-controllers")


def respond(bay: KubernetesBay, request: Request) -> Reply | None:
    """Health, version and which groups there are; None: no such path."""
    path = request.path
    if path in ("/healthz", "/livez", "/readyz"):
        return _health(bay, path.strip("/"), verbose="verbose" in request.query)
    if path == "/version":
        return as_json(_version(bay))
    return discovery.respond(bay, path)


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
