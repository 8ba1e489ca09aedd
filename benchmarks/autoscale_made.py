"""Bays at rest for benchmarks: their rows, as the services would have written them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Table, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.engine import make_engine
from shared.db.tables import authorities, baymodels, bays, nodegroups, nodes, operations

_FIRST: Final = ipaddress.ip_address("127.101.0.1")
_LABELS: Final = {"auto_scaling_enabled": "true", "max_node_count": "20"}
_COMMON: Final = {"project_id": "p", "user_id": "u"}


@dataclass(frozen=True)
class Town:
    """One bay."""

    address: str
    nodes: Sequence[str]
    id: UUID = field(default_factory=uuid4)


def made(number: int, nodes: int) -> list[Town]:
    """So many, each on an address of its own."""
    names = [f"node-{at}" for at in range(nodes)]
    return [Town(str(_FIRST + at), names) for at in range(number)]


async def write(dsn: str, towns: Sequence[Town], authority: str) -> None:
    """Their rows; every bay has the same authority, which is certs' business otherwise."""
    engine = make_engine(dsn, pool_size=2)
    try:
        async with engine.begin() as conn:
            model = {"id": uuid4(), "name": "model", "coe": "kubernetes", "image_id": "i", **_COMMON}
            await _rows(conn, baymodels, [model])
            await _rows(conn, bays, [_bay(town, model["id"]) for town in towns])
            await _rows(conn, nodegroups, [row for town in towns for row in _groups(town)])
            await _rows(conn, nodes, [row for town in towns for row in _nodes(town)])
            await _rows(conn, operations, [_created(town) for town in towns])
            await _rows(conn, authorities, [_authority(town, authority) for town in towns])
        async with engine.connect() as conn:
            await conn.execute(text("ANALYZE"))
    finally:
        await engine.dispose()


async def _rows(conn: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    await conn.execute(insert(table), rows)


def _bay(town: Town, model: object) -> dict[str, Any]:
    name = f"bay-{town.id.hex[:8]}"
    attributes = {"coe": "kubernetes", "labels": _LABELS, "flavor_id": "m1.small", "floating_ip_enabled": True}
    return {
        **_COMMON,
        "id": town.id,
        "name": name,
        "baymodel_id": model,
        "driver": "k8s_ubuntu",
        "status": "CREATE_COMPLETE",
        "stack_name": name,
        "node_count": len(town.nodes),
        "master_count": 1,
        "spec": attributes,
        "labels": _LABELS,
        "api_address": f"https://{town.address}:6443",
    }


def _groups(town: Town) -> list[dict[str, Any]]:
    return [
        {"id": uuid4(), "bay_id": town.id, "name": f"default-{role}", "role": role, "is_default": True}
        for role in ("master", "worker")
    ]


def _nodes(town: Town) -> list[dict[str, Any]]:
    servers = [("master", 0, "master-0"), *(("worker", at, name) for at, name in enumerate(town.nodes))]
    return [
        {
            "bay_id": town.id,
            "server_id": f"{town.id.hex}-{name}",
            "role": role,
            "position": at,
            "name": name,
            "address": town.address,
            "private_address": f"10.0.0.{at + (100 if role == 'worker' else 4)}",
        }
        for role, at, name in servers
    ]


def _created(town: Town) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "bay_id": town.id,
        "kind": "create",
        "state": "done",
        "service": "provisioner",
        "step": "create.collect",
        "request": {"node_count": len(town.nodes)},
        "requested_by": "u",
    }


def _authority(town: Town, pem: str) -> dict[str, Any]:
    ends = datetime.now(UTC) + timedelta(days=100)
    return {"id": uuid4(), "bay_id": town.id, "kind": "kubernetes", "certificate": pem, "not_after": ends}
