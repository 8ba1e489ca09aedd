"""What the tests of nodegroups share."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.harness import System

Group = dict[str, Any]
BRIEF = [
    *("uuid", "name", "flavor_id", "image_id", "node_count", "role", "is_default", "status", "stack_id"),
    *("min_node_count", "max_node_count", "merge_labels"),
]
FULL = {
    *BRIEF,
    *("id", "cluster_id", "project_id", "docker_volume_size", "labels", "labels_added", "labels_overridden"),
    *("labels_skipped", "links", "node_addresses", "status_reason", "version", "created_at", "updated_at"),
}


def call(
    system: System,
    method: str,
    bay: dict[str, Any],
    below: str = "",
    body: object = None,
    *,
    version: str | None = "9",
    user: str = "demo",
) -> httpx.Response:
    path = f"/v1/clusters/{bay['uuid']}/nodegroups{below}"
    return system.call(method, path, body, version=version, user=user)


def one(system: System, bay: dict[str, Any], ident: str = "default-worker", version: str = "9") -> Group:
    answer = call(system, "GET", bay, f"/{ident}", version=version)
    assert answer.status_code == 200, answer.text
    found: Group = answer.json()
    return found


def listed(system: System, bay: dict[str, Any], query: str = "") -> list[Group]:
    answer = call(system, "GET", bay, query)
    assert answer.status_code == 200, answer.text
    found: list[Group] = answer.json()["nodegroups"]
    return found


def patch(
    system: System, bay: dict[str, Any], *items: object, ident: str = "default-worker", version: str = "9"
) -> httpx.Response:
    return call(system, "PATCH", bay, f"/{ident}", list(items), version=version)


def put(path: str, value: object) -> dict[str, object]:
    return {"op": "replace", "path": path, "value": value}
