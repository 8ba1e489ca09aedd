"""Clusters and their templates for tests, and states that only workers reach."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from tests.api.harness import MODEL, System, unique


def template(system: System, user: str = "demo", **other: object) -> dict[str, Any]:
    """A cluster template."""
    answer = system.call("POST", "/v1/clustertemplates", {**MODEL, "name": unique("template"), **other}, user=user)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def cluster(system: System, user: str = "demo", version: str = "14", **other: object) -> str:
    """The uuid of a cluster, accepted, of a template of its own unless one is named."""
    if "cluster_template_id" not in other:
        other["cluster_template_id"] = template(system, user)["uuid"]
    answer = system.call("POST", "/v1/clusters", {"name": unique("cluster"), **other}, user=user, version=version)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["uuid"])


def shown(system: System, uuid: str, version: str = "14", path: str = "clusters") -> dict[str, Any]:
    """The row as one of its names shows it."""
    answer = system.call("GET", f"/v1/{path}/{uuid}", version=version)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def put(system: System, uuid: str, status: str) -> None:
    """Bring a bay into a state that only workers reach."""
    await system.sql("UPDATE operations SET state = 'done', finished_at = now() WHERE bay_id = $1::uuid", uuid)
    await system.sql("UPDATE bays SET status = $2 WHERE id = $1::uuid", uuid, status)


async def workers(system: System, uuid: str, count: int) -> list[str]:
    """Servers of a bay's workers, as the provisioner would have recorded them."""
    servers = [str(uuid4()) for _ in range(count)]
    for position, server in enumerate(servers):
        await system.sql(
            "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address) "
            "VALUES ($1::uuid, $2, 'worker', $3, $4, '127.64.0.9', '10.0.0.9')",
            uuid,
            server,
            position,
            f"minion-{position}",
        )
    return servers


async def request_of(system: System, uuid: str, kind: str = "resize") -> dict[str, Any]:
    """What the last operation of that kind was asked for."""
    (row,) = await system.sql(
        "SELECT request::text, state FROM operations WHERE bay_id = $1::uuid AND kind = $2 ORDER BY seq DESC LIMIT 1",
        uuid,
        kind,
    )
    found: dict[str, Any] = json.loads(row["request"])
    return found
