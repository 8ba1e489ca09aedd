"""What a recording that was cut short left in its projects; a whole one deletes its own things."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from scripts.record_answers.cloud import RealCloud

_PATIENCE: Final = 120.0
_NETWORK: Final = "/v2.0"


def clear(cloud: RealCloud, project: str) -> None:
    """Delete everything in a project that stands in its own way, as an administrator of it."""
    role = next(one["id"] for one in cloud.call("admin", "GET", "identity", "/roles?name=admin")["roles"])
    own = next(value for value, label in cloud.known.items() if label == "<user:admin>")
    cloud.call("admin", "PUT", "identity", f"/projects/{project}/users/{own}/roles/{role}")
    stacks = f"/v1/{project}/stacks"
    for one in _stacks(cloud, project):
        _inside(cloud, project, "DELETE", "orchestration", f"{stacks}/{one['stack_name']}/{one['id']}")
    _until(lambda: not _stacks(cloud, project))
    for one in _inside(cloud, project, "GET", "compute", "/v2.1/servers")["servers"]:
        _inside(cloud, project, "DELETE", "compute", f"/v2.1/servers/{one['id']}")
    balancers = "/v2.0/lbaas/loadbalancers"
    for one in _inside(cloud, project, "GET", "load-balancer", f"{balancers}?project_id={project}")["loadbalancers"]:
        _inside(cloud, project, "DELETE", "load-balancer", f"{balancers}/{one['id']}?cascade=true")
    _until(lambda: not _inside(cloud, project, "GET", "compute", "/v2.1/servers").get("servers"))
    own_balancers = f"{balancers}?project_id={project}"
    _until(lambda: not _inside(cloud, project, "GET", "load-balancer", own_balancers).get("loadbalancers"))
    _clear_network(cloud, project)


def _clear_network(cloud: RealCloud, project: str) -> None:
    for port in _listed(cloud, project, "ports"):
        if port["device_owner"] == "network:router_interface":
            path = f"{_NETWORK}/routers/{port['device_id']}/remove_router_interface"
            _inside(cloud, project, "PUT", "network", path, {"port_id": port["id"]})
    for kind in ("floatingips", "routers", "ports", "networks", "security-groups"):
        for one in _listed(cloud, project, kind):
            _inside(cloud, project, "DELETE", "network", f"{_NETWORK}/{kind}/{one['id']}")


def _listed(cloud: RealCloud, project: str, kind: str) -> list[dict[str, Any]]:
    answer = _inside(cloud, project, "GET", "network", f"{_NETWORK}/{kind}?project_id={project}")
    found: list[dict[str, Any]] = answer[kind.replace("-", "_")]
    return found


def _inside(cloud: RealCloud, project: str, method: str, service: str, path: str, body: object = None) -> Any:
    headers = {"X-Auth-Token": cloud.token(f"admin in {project}")}
    answer = cloud.http.request(method, cloud.url(service, path), json=body, headers=headers)
    return answer.json() if answer.content and answer.status_code < 400 else {}


def _stacks(cloud: RealCloud, project: str) -> list[dict[str, Any]]:
    """The project's. Heat shows an administrator those of every project, whatever project the path names."""
    listed = _inside(cloud, project, "GET", "orchestration", f"/v1/{project}/stacks").get("stacks", [])
    return [one for one in listed if one["project"] == project]


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done() and time.monotonic() < deadline:
        time.sleep(1)
