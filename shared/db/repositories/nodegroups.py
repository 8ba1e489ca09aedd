"""Nodegroups. The two default ones of a bay own their name and range; all else about them is the bay's.

The others have attributes of their own, the addresses of their nodes, and the status of their last operation. Whoever
changes a range or lets a bay grow holds the bay's lock (`bays.lock`), so that neither sees half of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    ScalarSelect,
    Select,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays, node_pools, nodegroups, nodes, operations
from shared.domain.bay_state import BayStatus
from shared.domain.nodegroup import group_status
from shared.domain.operation import OperationKind, OperationState
from shared.domain.queue import DEFAULT_WORKERS, REPLACED
from shared.domain.upgrade import OLD_MASTERS

MASTER: Final = "master"
WORKER: Final = "worker"
PRESENT: Final = "present"
GONE: Final = "gone"

_MASTERS = nodegroups.c.role == MASTER
_OF_A_GROUP = [
    one.value for one in (OperationKind.CREATE, OperationKind.RESIZE, OperationKind.HEAL, OperationKind.UPGRADE)
]
"""Kinds of operations that are about one group of workers."""


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
    """The bay's, or the group's own."""
    created_at: str
    updated_at: str | None
    flavor_id: str | None = None
    """Of a default group the bay's, by its role."""
    image_id: str | None = None
    docker_volume_size: int | None = None
    labels_added: Mapping[str, str] = field(default_factory=dict)
    labels_overridden: Mapping[str, str] = field(default_factory=dict)
    labels_skipped: Mapping[str, str] = field(default_factory=dict)
    merge_labels: bool = False
    wanted: str = PRESENT
    """"gone" once its owner has deleted it."""

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
    return await _found(conn, query)


async def by_name(conn: AsyncConnection, bay_id: UUID, name: str) -> Nodegroup | None:
    """The bay's group of that name, whatever it reads like; None when there is none."""
    found = await _found(conn, _select().where(nodegroups.c.bay_id == bay_id, nodegroups.c.name == name))
    return found[0] if found else None


async def get(conn: AsyncConnection, bay_id: UUID, ident: str) -> Nodegroup | None:
    """The bay's group that a client means: of that uuid, where it reads as one, else of that name; None: there is none.

    Who knows the name asks `by_name`.
    """
    try:
        which = nodegroups.c.id == UUID(ident)
    except ValueError:
        which = nodegroups.c.name == ident
    found = await _found(conn, _select().where(nodegroups.c.bay_id == bay_id, which))
    return found[0] if found else None


async def insert_group(conn: AsyncConnection, bay_id: UUID, **columns: object) -> UUID:
    """Write a further group; its id. The caller holds the bay's lock and gives it a pool and an operation."""
    found = uuid4()
    await conn.execute(insert(nodegroups).values(id=found, bay_id=bay_id, **columns))
    return found


async def want_gone(conn: AsyncConnection, nodegroup_id: UUID) -> None:
    """Its owner has deleted it: it goes with its last node, and nothing makes it grow again."""
    mine = nodegroups.c.id == nodegroup_id
    await conn.execute(update(nodegroups).where(mine).values(wanted=GONE, min_node_count=0, updated_at=func.now()))


async def set_count(conn: AsyncConnection, bay_id: UUID, name: str, node_count: int) -> None:
    """What was last asked for of a further group; of the default one it is in its bay's row."""
    mine = (nodegroups.c.bay_id == bay_id, nodegroups.c.name == name)
    await conn.execute(update(nodegroups).where(*mine).values(node_count=node_count, updated_at=func.now()))


async def set_made_of(conn: AsyncConnection, bay_id: UUID, name: str, columns: Mapping[str, object]) -> None:
    """What a further group's next nodes are made of: after an upgrade all, after a patch those to come."""
    mine = (nodegroups.c.bay_id == bay_id, nodegroups.c.name == name)
    await conn.execute(update(nodegroups).where(*mine).values(updated_at=func.now(), **columns))


async def remove_gone(conn: AsyncConnection, bay_id: UUID, name: str) -> None:
    """Forget a group that its owner deleted, with its pools, now that it has no node; another one is left alone."""
    mine = (nodegroups.c.bay_id == bay_id, nodegroups.c.name == name, nodegroups.c.wanted == GONE)
    await conn.execute(delete(nodegroups).where(*mine))


async def update_range(conn: AsyncConnection, nodegroup_id: UUID, *, least: int, most: int | None) -> None:
    """Set the range of a group's node_count."""
    values = {"min_node_count": least, "max_node_count": most, "updated_at": func.now()}
    await conn.execute(update(nodegroups).where(nodegroups.c.id == nodegroup_id).values(values))


async def _found(conn: AsyncConnection, query: Select[Any]) -> list[Nodegroup]:
    return [_nodegroup(dict(row._mapping)) for row in await conn.execute(query)]


def _nodegroup(values: dict[str, Any]) -> Nodegroup:
    """With the status of a further group, which follows from its last operation; of the default workers', where that
    failed and something else went well since (docs/decisions/0021)."""
    state, error, asked = (values.pop(name) for name in ("newest_state", "newest_error", "asked"))
    newest = None if state is None else OperationState(state)
    if values["is_default"] and values["status"] == BayStatus.UPDATE_COMPLETE and newest is OperationState.FAILED:
        values |= {"status": BayStatus.UPDATE_FAILED.value, "status_reason": error}
    if not values["is_default"]:
        status = group_status(values["status"], gone=values["wanted"] == GONE, newest=newest, asked=asked or 0)
        values |= {"status_reason": values["status_reason"] if status == values["status"] else error, "status": status}
    return Nodegroup(**values)


def _select() -> Select[Any]:
    changed = func.greatest(nodegroups.c.updated_at, bays.c.updated_at)  # the later one; null only when both are
    own, newest = nodegroups.c, _newest()
    pooled = exists().where(node_pools.c.bay_id == bays.c.id)  # else all workers are of the default group
    flavor = case((_MASTERS, bays.c.spec["master_flavor_id"].astext), else_=bays.c.spec["flavor_id"].astext)
    return select(
        own.seq.label("number"),
        own.id,
        own.bay_id,
        bays.c.project_id,
        own.name,
        own.role,
        own.is_default,
        case((_MASTERS, bays.c.master_count), (own.is_default, bays.c.node_count), else_=own.node_count).label(
            "node_count"
        ),
        own.min_node_count,
        own.max_node_count,
        own.node_labels,
        own.node_taints,
        case((_MASTERS, bays.c.master_addresses), (~pooled, bays.c.node_addresses), else_=_addresses()).label(
            "node_addresses"
        ),
        bays.c.status,
        bays.c.status_reason,
        case((own.is_default, bays.c.stack_id), else_=_stack()).label("stack_id"),
        bays.c.spec,
        case((own.is_default, bays.c.labels), else_=own.labels).label("labels"),
        func.moment(own.created_at).label("created_at"),
        func.moment(case((own.is_default, changed), else_=own.updated_at)).label("updated_at"),
        case((own.is_default, flavor), else_=own.flavor_id).label("flavor_id"),
        case((own.is_default, _of_default("image_id")), else_=own.image_id).label("image_id"),
        case((own.is_default, cast(_of_default("docker_volume_size"), Integer)), else_=own.docker_volume_size).label(
            "docker_volume_size"
        ),
        own.labels_added,
        own.labels_overridden,
        own.labels_skipped,
        own.merge_labels,
        own.wanted,
        newest.c.state.label("newest_state"),
        newest.c.error.label("newest_error"),
        newest.c.asked,
    ).select_from(nodegroups.join(bays).outerjoin(newest, true()))


def _of_default(name: str) -> ColumnElement[Any]:
    """What the nodes of a default group have: masters keep what they had before an upgrade of the workers."""
    spec = bays.c.spec
    kept = func.jsonb_exists(spec, OLD_MASTERS)
    return case((_MASTERS & kept, spec[OLD_MASTERS][name].astext), else_=spec[name].astext)


def _newest() -> FromClause:
    """The last operation of a group of workers, and how many there are. One that a later made pointless is none."""
    about = operations.c
    named = func.coalesce(func.nullif(about.request["nodegroup"].astext, ""), DEFAULT_WORKERS)
    return (
        select(about.state, about.error, func.count().over().label("asked"))
        .where(
            nodegroups.c.role != MASTER,  # people give further groups roles of their own
            about.bay_id == nodegroups.c.bay_id,
            about.created_at >= nodegroups.c.created_at,  # one of that name may have been there before
            about.kind.in_(_OF_A_GROUP),
            named == nodegroups.c.name,
            about.error.is_distinct_from(REPLACED),
        )
        .order_by(about.seq.desc())
        .limit(1)
        .lateral("newest")
    )


def _addresses() -> ScalarSelect[Any]:
    """Of the workers that stand in the group's pools, or in none, which is the default group's."""
    table, pool = nodes.c, node_pools.c
    here = case((pool.number.is_(None), nodegroups.c.is_default), else_=pool.nodegroup_id == nodegroups.c.id)
    ordered = aggregate_order_by(table.address, table.pool, table.position)
    return (
        select(func.coalesce(func.jsonb_agg(ordered), cast([], JSONB)))
        .select_from(nodes.outerjoin(node_pools, (pool.bay_id == table.bay_id) & (pool.number == table.pool)))
        .where(table.bay_id == nodegroups.c.bay_id, table.role == WORKER, here)
        .correlate(nodegroups)
        .scalar_subquery()
    )


def _stack() -> ScalarSelect[Any]:
    """The first stack of the group's newest pool that has any."""
    mine = (node_pools.c.nodegroup_id == nodegroups.c.id, node_pools.c.stack_id.is_not(None))
    query = select(node_pools.c.stack_id).where(*mine).order_by(node_pools.c.number.desc()).limit(1)
    return query.correlate(nodegroups).scalar_subquery()
