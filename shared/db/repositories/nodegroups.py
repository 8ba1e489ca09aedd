"""Nodegroups. The two default ones of a bay own their name and range; all else about them is the bay's.

Whoever changes a range or lets a bay grow holds the bay's lock (`bays.lock`), so that neither sees half of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Select, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays, nodegroups

MASTER: Final = "master"
WORKER: Final = "worker"

_MASTERS = nodegroups.c.role == MASTER


@dataclass(frozen=True)
class Nodegroup:
    """A group of a bay's nodes; the instants are as clients see them."""

    number: int
    """Magnum's numeric id, which gophercloud reads."""
    id: UUID
    bay_id: UUID
    project_id: str
    name: str
    role: str
    is_default: bool
    node_count: int
    min_node_count: int
    max_node_count: int | None
    """None = no maximum."""
    node_labels: Mapping[str, str]
    node_taints: Sequence[Mapping[str, str]]
    node_addresses: Sequence[str]
    status: str
    status_reason: str | None
    stack_id: str | None
    spec: Mapping[str, Any]
    """The bay's."""
    labels: Mapping[str, str]
    """The bay's."""
    created_at: str
    updated_at: str | None

    def allows(self, node_count: int) -> bool:
        """Whether the group may have that many nodes."""
        return self.min_node_count <= node_count and (self.max_node_count is None or node_count <= self.max_node_count)


async def insert_defaults(conn: AsyncConnection, bay_id: UUID) -> None:
    """Give a new bay its two groups; the masters' comes first, here as in every list."""
    for name, role, least in (("default-master", MASTER, 1), ("default-worker", WORKER, 0)):
        values = {"id": uuid4(), "bay_id": bay_id, "name": name, "role": role, "min_node_count": least}
        await conn.execute(insert(nodegroups).values(**values, is_default=True))


async def of_bay(conn: AsyncConnection, bay_id: UUID) -> list[Nodegroup]:
    """All groups of a bay, in order of creation; there are few of them, so nobody needs pages from here."""
    query = _select().where(nodegroups.c.bay_id == bay_id).order_by(nodegroups.c.seq)
    return [Nodegroup(*row) for row in await conn.execute(query)]


async def get(conn: AsyncConnection, bay_id: UUID, ident: str) -> Nodegroup | None:
    """The bay's group of that uuid, else of that name; None when there is none."""
    try:
        which = nodegroups.c.id == UUID(ident)
    except ValueError:
        which = nodegroups.c.name == ident
    row = (await conn.execute(_select().where(nodegroups.c.bay_id == bay_id, which))).first()
    return None if row is None else Nodegroup(*row)


async def update_range(conn: AsyncConnection, nodegroup_id: UUID, *, least: int, most: int | None) -> None:
    """Set the range of a group's node_count."""
    values = {"min_node_count": least, "max_node_count": most, "updated_at": func.now()}
    await conn.execute(update(nodegroups).where(nodegroups.c.id == nodegroup_id).values(values))


def _select() -> Select[Any]:
    changed = func.greatest(nodegroups.c.updated_at, bays.c.updated_at)  # the later one; null only when both are
    return select(
        nodegroups.c.seq,
        nodegroups.c.id,
        nodegroups.c.bay_id,
        bays.c.project_id,
        nodegroups.c.name,
        nodegroups.c.role,
        nodegroups.c.is_default,
        case((_MASTERS, bays.c.master_count), else_=bays.c.node_count),
        nodegroups.c.min_node_count,
        nodegroups.c.max_node_count,
        nodegroups.c.node_labels,
        nodegroups.c.node_taints,
        case((_MASTERS, bays.c.master_addresses), else_=bays.c.node_addresses),
        bays.c.status,
        bays.c.status_reason,
        bays.c.stack_id,
        bays.c.spec,
        bays.c.labels,
        func.moment(nodegroups.c.created_at),
        func.moment(changed),
    ).join_from(nodegroups, bays)
