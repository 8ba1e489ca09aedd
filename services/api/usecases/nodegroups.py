"""Nodegroups of a cluster (contract §1.13): made, changed and removed. The two default ones stay.

Making a group is to write it and to have it resized from no node to as many as are wanted; removing it is to have it
resized to none, with which it goes. So such requests wait behind one another like all others, and several at once are
all accepted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import CLUSTER
from services.api.factory import Context
from services.api.paging import next_url, read_page
from services.api.request import Facts
from services.api.usecases import lookup, one_cluster
from services.api.usecases.nodegroup_new import facts_of_group, place_of, plan
from services.api.usecases.nodegroup_patch import OF_NODES, check_range, wanted_of
from services.api.usecases.nodegroup_shown import LABELS_FROM, brief, full
from services.api.usecases.patches import PatchItem
from services.api.usecases.plan_bay import NO_ZERO, check_kind
from shared.contracts.http.base import bad
from shared.contracts.http.nodegroups import NodegroupCreate
from shared.db.repositories import nodegroups, operations, pools
from shared.db.repositories.documents import Document, Shelf
from shared.db.repositories.nodegroups import GONE, MASTER, Nodegroup
from shared.domain.bay import Bay
from shared.domain.errors import Conflict, InvalidInput, NotFound
from shared.domain.operation import OperationKind
from shared.domain.queue import Door, nodegroup_of
from shared.drivers import registry

_SORT: Final[dict[str, Callable[[Nodegroup], Any]]] = {
    "id": lambda group: group.number,
    "uuid": lambda group: group.id,
    "name": lambda group: group.name,
    "role": lambda group: group.role,
    "is_default": lambda group: group.is_default,
    "node_count": lambda group: group.node_count,
    "min_node_count": lambda group: group.min_node_count,
    "max_node_count": lambda group: group.max_node_count,
    "status": lambda group: group.status,
    "stack_id": lambda group: group.stack_id,
    "created_at": lambda group: group.created_at,
    "updated_at": lambda group: group.updated_at,
}
_SHELF: Final = Shelf("nodegroups", "", dict.fromkeys(_SORT, ""))
"""For the sort keys alone: a cluster's groups are few, and are sorted here."""
_OF_NEW_NODES: Final = (
    "Nodes that stand keep their {0}, and so do those that replace them; nodes added from now on get the new ones. "
    "An upgrade of the nodegroup to its own template gives them to all."
)
_TOO_OLD: Final = (
    "This cluster was made by an earlier release, whose clusters cannot have further nodegroups: its stack does not "
    "tell what their nodes need. Make a new cluster, and add the nodegroup to that."
)


async def list_page(context: Context, facts: Facts, cluster: str, asked: Mapping[str, str]) -> dict[str, object]:
    """A page of the cluster's groups, of one role only when `role` is asked for.

    Raises:
        NotFound: no such cluster, or the marker is no group of it.
    """
    bay = await one_cluster.seen(context, facts.caller, cluster, "nodegroup:get_all")
    page = read_page(asked, _SHELF, most=context.settings.max_limit)
    async with context.engine.connect() as conn:
        groups = await nodegroups.of_bay(conn, bay.id)
    key, role = _SORT[page.sort_key], asked.get("role")
    groups.sort(key=lambda group: ((value := key(group)) is not None, value, group.number), reverse=page.descending)
    begin = 0 if page.marker is None else _place(groups, page.marker) + 1
    shown = [group for group in groups[begin:] if role in (None, group.role)][: page.limit]
    path = f"/v1/clusters/{bay.id}/nodegroups"
    following = next_url(facts.base_url, path, page, [Document(group.id, "") for group in shown])
    if following is not None:
        following += "" if role is None else f"&role={quote(role)}"
    listed: dict[str, object] = {"nodegroups": [brief(group) for group in shown]}
    return listed if following is None else listed | {"next": following}


async def show(context: Context, facts: Facts, cluster: str, ident: str) -> dict[str, object]:
    """One group, whole.

    Raises:
        NotFound: no such cluster, or no such group of it.
    """
    bay = await one_cluster.seen(context, facts.caller, cluster, "nodegroup:get")
    async with context.engine.connect() as conn:
        found = await nodegroups.get(conn, bay.id, ident)
    if found is None:
        raise missing(ident)
    return full(found, facts)


class Made(NamedTuple):
    """A group that was accepted: as clients see it, and what its owner should know."""

    group: dict[str, object]
    warnings: list[str]


async def create(context: Context, facts: Facts, cluster: str, body: NodegroupCreate) -> Made:
    """Check a group, in Magnum's order and then against the cloud, and accept it.

    Raises:
        NotFound: no such cluster.
        Conflict: the cluster has no API yet, or a group of that name, or is of a release without such groups; or the
            numbers contradict each other; or as many operations wait as may.
        InvalidInput: a group of masters; a name that reads as a UUID; node labels or taints below 1.14; what the cloud
            or the driver has not.
        Forbidden: it does not fit into the project's quotas.
        CloudError: the cloud does not tell; nothing was accepted.
    """
    least = _least(facts, body)
    if facts.version < LABELS_FROM and (unknown := [name for name in OF_NODES if getattr(body, name) is not None]):
        raise InvalidInput(f"Unknown attribute for argument nodegroup: {', '.join(unknown)}", field=unknown[0])
    bay = await one_cluster.seen(context, facts.caller, cluster, "nodegroup:create")
    if not bay.api_address:
        raise Conflict("Cluster API address is not available yet")
    async with context.engine.connect() as conn:
        groups = await nodegroups.of_bay(conn, bay.id)
        possible = await pools.possible(conn, bay.id, bay.generation)
    _check_name(bay, groups, body.name)
    check_range(body.name, body.node_count, least, body.max_node_count or None)
    if body.role == MASTER:
        raise InvalidInput("Creating master nodegroups is currently not supported.", field="role")
    check_kind(registry.by_name(bay.driver), OperationKind.RESIZE)
    if not possible:
        raise Conflict(_TOO_OLD)
    operations.check_state(bay, Door.RESIZE, context.settings.busy, CLUSTER.one)
    planned = await plan(context, facts, bay, groups[0].labels, body)
    made = await _write(context, facts, bay.id, {**planned.columns, "min_node_count": least}, planned.warnings)
    context.committed()
    return Made(full(made, facts), planned.warnings)


async def _write(
    context: Context, facts: Facts, bay_id: UUID, columns: Mapping[str, object], warnings: list[str]
) -> Nodegroup:
    """The one transaction: group, pool, operation with steps, message."""
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, str(bay_id))
        name = str(columns["name"])
        _check_name(bay, await nodegroups.of_bay(conn, bay.id), name)  # again: others may have been faster
        group_id = await nodegroups.insert_group(conn, bay.id, **columns)
        await pools.make(conn, bay.id, group_id, bay.generation)
        await _ask(context, facts, conn, bay, name, int(str(columns["node_count"])), warnings)
        made = await nodegroups.get(conn, bay.id, str(group_id))
    assert made is not None  # noqa: S101 - written above, in the same transaction
    return made


async def _ask(
    context: Context,
    facts: Facts,
    conn: AsyncConnection,
    bay: Bay,
    name: str,
    node_count: int,
    warnings: Sequence[str] = (),
) -> None:
    """Have a group resized; after a failed change too, since that may be what is to be repaired."""
    await operations.ask(
        conn,
        bay,
        kind=OperationKind.RESIZE,
        request={"node_count": node_count, "nodegroup": name, "nodes_to_remove": [], "rollback": False},
        requested_by=facts.caller.user_id,
        timeout_minutes=bay.create_timeout,
        busy=context.settings.busy,
        door=Door.RESIZE,
        word=CLUSTER.one,
        warnings=warnings,
    )


def _check_name(bay: Bay, groups: list[Nodegroup], name: str) -> None:
    if lookup.as_uuid(name) is not None:
        raise bad("name", name, "It reads as a UUID, by which nodegroups are found too. Choose another name.")
    if name in {group.name for group in groups}:
        raise Conflict(f"A node group with name {name} already exists in the cluster {bay.name}", field="name")


async def change(context: Context, facts: Facts, cluster: str, ident: str, items: list[PatchItem]) -> Made:
    """Change a group's range, and what its next nodes are made with, at once; the group as it is then.

    The bay is held meanwhile: 1. nobody resizes it between our look at node_count and our write; 2. who waits to resize
    it reads the new range.

    Raises:
        NotFound: no such cluster, or no such group of it.
        InvalidInput: the patch touches anything else.
        Conflict: node_count would be out of the range, or the range is none; or nodes may be being made.
    """
    warnings: list[str] = []
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, cluster)
        context.policy.enforce(facts.caller, "nodegroup:update", project_id=bay.project_id, user_id=bay.user_id)
        group = await nodegroups.get(conn, bay.id, ident)
        if group is None:
            raise missing(ident)
        wanted = wanted_of(group, items, facts.version)
        if (wanted.least, wanted.most) != (group.min_node_count, group.max_node_count):
            check_range(group.name, group.node_count, wanted.least, wanted.most)
            await nodegroups.update_range(conn, group.id, least=wanted.least, most=wanted.most)
        if wanted.of_nodes:
            await _make_otherwise(context, facts, conn, bay, group, wanted.of_nodes)
            warnings.append(_OF_NEW_NODES.format(" and ".join(wanted.of_nodes)))
        group = await nodegroups.get(conn, bay.id, ident)
    assert group is not None  # noqa: S101 - its bay is locked
    return Made(full(group, facts), warnings)


async def _make_otherwise(
    context: Context,
    facts: Facts,
    conn: AsyncConnection,
    bay: Bay,
    group: Nodegroup,
    of_nodes: Mapping[str, object],
) -> None:
    """Have the group's next nodes made so. A pool keeps what it was born with (rule 6), so they get one of their own,
    unless nothing was made of the newest yet.

    An operation that goes on looks for the newest pool at every step, so none may be under way.
    """
    if group.wanted == GONE:
        raise InvalidInput(f"Nodegroup {group.name} is being deleted.", field="nodegroup")
    if await operations.live(conn, bay.id):
        names = " and ".join(of_nodes)
        raise Conflict(f"Nodes may be being made in this cluster: change {names} when nothing is under way.")
    changed = dataclasses.replace(group, **of_nodes)  # type: ignore[arg-type] # columns of the row
    registry.by_name(bay.driver).validate(facts_of_group(bay, changed, group.node_count, place_of(context, facts)))
    await nodegroups.set_made_of(conn, bay.id, group.name, of_nodes)
    if await pools.newest_is_made_of(conn, bay.id, group.name):
        await pools.make(conn, bay.id, group.id, bay.generation)


async def delete(context: Context, facts: Facts, cluster: str, ident: str) -> None:
    """Ask for the end of a group; asking again while it goes on changes nothing.

    Raises:
        NotFound: no such cluster, or no such group of it.
        InvalidInput: a default group, or the cluster's state does not take it.
        Conflict: as many operations wait as may.
    """
    bay = await one_cluster.seen(context, facts.caller, cluster, "nodegroup:delete")
    async with context.engine.begin() as conn:
        bay = await lookup.hold(context, conn, CLUSTER, facts.caller, str(bay.id))
        found = await nodegroups.get(conn, bay.id, ident)
        if found is None:
            raise missing(ident)
        if found.is_default:
            raise InvalidInput("Deleting a default nodegroup is not supported.")
        about = {nodegroup_of(one.request) for one in await operations.live(conn, bay.id)}
        if found.wanted != GONE or found.name not in about:
            await nodegroups.want_gone(conn, found.id)
            await _ask(context, facts, conn, bay, found.name, 0)
    context.committed()


def missing(ident: object) -> NotFound:
    """The error for none."""
    return NotFound(f"Nodegroup {str(ident)[:255]} could not be found.")


def _place(groups: list[Nodegroup], marker: UUID) -> int:
    for place, group in enumerate(groups):
        if group.id == marker:
            return place
    raise missing(marker)


def _least(facts: Facts, body: NodegroupCreate) -> int:
    """The lower end of a new group's range; below 1.10 no group may be without nodes."""
    if facts.version >= CLUSTER.zero_nodes_from:
        return body.min_node_count or 0
    if 0 in (body.node_count, body.min_node_count):
        raise InvalidInput(NO_ZERO, field="node_count")
    return body.min_node_count or 1
