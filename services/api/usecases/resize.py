"""Another number of nodes is asked for, by PATCH or by actions/resize (contract §1.10.6, §1.10.7, §2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import resize_masters
from services.api.usecases.growth import Grows
from services.api.usecases.plan_bay import NO_ZERO, check_kind
from shared.contracts.http.base import bad
from shared.db.repositories import nodegroups, operations, past, stacks
from shared.db.repositories.nodegroups import GONE, MASTER, Nodegroup
from shared.domain.bay import Bay
from shared.domain.bay_state import BayStatus
from shared.domain.errors import InvalidInput, NotFound
from shared.domain.operation import OperationKind
from shared.domain.queue import DEFAULT_WORKERS, Door, projected
from shared.domain.scaling import most_leaving
from shared.drivers import registry

_SHOWN: Final = 10


async def ask(
    context: Context,
    facts: Facts,
    face: Face,
    conn: AsyncConnection,
    bay: Bay,
    *,
    node_count: int,
    door: Door,
    nodegroup: str = DEFAULT_WORKERS,
    named: Sequence[str] = (),
    rollback: bool = False,
    fits: bool,
) -> None:
    """Accept a resize of a bay that `conn` holds. The status is UPDATE_IN_PROGRESS from here on.

    Clients poll for the end of that, so it has to be there before the answer leaves (contract §1.22).

    Raises:
        InvalidInput: the state, the group, its range or the nodes that are named do not allow it.
        NotFound: no such nodegroup.
        Conflict: too many operations wait.
        Grows: all is well but for the cloud's quotas, and not `fits`: those were not looked at yet.
    """
    group = await _group(conn, bay, nodegroup)
    if group.role == MASTER:
        await resize_masters.ask(context, facts, face, conn, bay, count=node_count, door=door, named=named)
        return
    _check_count(facts, face, group, node_count)
    anew = await _check_named(conn, bay, group, named, node_count) if named else 0
    check_kind(registry.by_name(bay.driver), OperationKind.RESIZE)
    was = await _was(conn, bay, group)
    await operations.ask(
        conn,
        bay,
        kind=OperationKind.RESIZE,
        request={
            "node_count": node_count,
            "nodegroup": group.name,
            "nodes_to_remove": list(named),
            "rollback": rollback,
        },
        requested_by=facts.caller.user_id,
        timeout_minutes=bay.create_timeout,
        busy=context.settings.busy,
        door=door,
        word=face.one,
    )
    # Heat makes the nodes that take others' places while those still stand, so there has to be room for both.
    if (most := max(node_count, was + anew)) > was and not fits:
        raise Grows(bay, was, most, None if group.is_default else group)


async def _group(conn: AsyncConnection, bay: Bay, ident: str) -> Nodegroup:
    """The group that is meant."""
    group = await nodegroups.get(conn, bay.id, ident)
    if group is None:
        raise NotFound(f"Nodegroup {ident[:255]} could not be found.", field="nodegroup")
    if group.wanted == GONE:
        raise InvalidInput(f"Nodegroup {group.name} is being deleted.", field="nodegroup")
    return group


def _check_count(facts: Facts, face: Face, group: Nodegroup, node_count: int) -> None:
    if node_count == 0 and facts.version < face.zero_nodes_from:
        raise InvalidInput(NO_ZERO, field="node_count")
    if not group.allows(node_count):
        raise InvalidInput(
            f"Resizing {group.name} outside the allowed range: min_node_count = {group.min_node_count}, "
            f"max_node_count = {group.max_node_count}",
            field="node_count",
        )


async def _was(conn: AsyncConnection, bay: Bay, group: Nodegroup) -> int:
    """How many nodes the change follows on: what was last asked for, but after a failed change those that stand.

    After 2 → 5 has failed the row says 5: whoever then asks for 5 asks for three more, and not for none. The bay's
    status does not tell when something else has gone well since.
    """
    if projected(await operations.live(conn, bay.id), group.name) is not None:
        return group.node_count
    if bay.status is BayStatus.UPDATE_FAILED or await past.missed_count(conn, [bay.id], group.name):
        return len(await stacks.nodes_of(conn, bay.id, group.name))
    return group.node_count


async def _check_named(conn: AsyncConnection, bay: Bay, group: Nodegroup, named: Sequence[str], wanted: int) -> int:
    """Refuse nodes that cannot be the ones that leave; how many are made in their place (docs/decisions/0010).

    How many may leave follows from what the group will have once the queue is empty; where nothing in the queue says
    so, from what it has, which after a failed change is not what was last asked for.
    """
    if len(set(named)) < len(named):
        twice = sorted({server for server in named if list(named).count(server) > 1})
        raise bad("nodes_to_remove", ", ".join(twice[:_SHOWN]), "Each node should be named once.")
    members = {node.server_id for node in await stacks.nodes_of(conn, bay.id, group.name)}
    if strangers := [server for server in named if server not in members]:
        raise bad("nodes_to_remove", ", ".join(strangers[:_SHOWN]), "No such node is in the nodegroup.")
    will_be = projected(await operations.live(conn, bay.id), group.name)
    current = len(members) if will_be is None else will_be
    if len(named) > (surplus := most_leaving(current, wanted, len(named))):
        why = f"{len(named)} nodes are named and {surplus} may leave: there are {current}, and {wanted} are wanted."
        raise bad("nodes_to_remove", ", ".join(named[:_SHOWN]), why)
    return len(named) if wanted == current else 0
