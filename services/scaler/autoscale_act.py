"""Doing what autoscaling has decided: an ordinary resize by the ordinary door, the decision's row and a line of the
bay's history, which is an event that people can watch, in one transaction.

The look took its time, so everything that it began from is looked at again under the bay's lock; where anything is
another than then, nothing is done, and the next look decides anew.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scaler.factory import Deps
from shared.db.repositories import bays, nodegroups, operations, past, scaling
from shared.db.repositories.scaling import Subject
from shared.domain.autoscaling import Decision, Load
from shared.domain.bay import Bay, Wanted
from shared.domain.errors import ClientFault
from shared.domain.operation import OperationKind
from shared.domain.queue import DEFAULT_WORKERS, Door

_log = structlog.get_logger()

REQUESTER: Final = "service:scaler"
EVENT: Final = "autoscaling"
"""What the history calls it."""
_SHOWN: Final = 20


async def carry_out(deps: Deps, subject: Subject, count: int, decision: Decision, load: Load | None) -> bool:
    """Write the decision down and, where it is about another number, ask for that; False: the bay is not as it was."""
    try:
        async with deps.engine.begin() as conn:
            bay = await _unchanged(conn, subject)
            if bay is None:
                return False
            operation_id = await _ask(conn, bay, decision.desired) if decision.desired != count else None
            await scaling.add(
                conn,
                bay.id,
                node_count=count,
                desired=decision.desired,
                reason=decision.reason,
                seen=_seen(load),
                operation_id=operation_id,
            )
            await bays.note(conn, bay.id, EVENT, decision.reason, operation_id)
    except ClientFault as refused:
        _log.info("autoscaling was refused", bay=str(subject.bay.id), reason=refused.message)
        return False
    _log.info("autoscaling", bay=str(bay.id), was=count, desired=decision.desired, reason=decision.reason)
    return True


async def _unchanged(conn: AsyncConnection, subject: Subject) -> Bay | None:
    """The bay, locked, if all that the decision rests on still holds."""
    bay = await bays.lock(conn, subject.bay.id)
    if bay is None or bay.wanted is Wanted.GONE:
        return None
    if (bay.status, bay.node_count) != (subject.bay.status, subject.bay.node_count):
        return None
    if await operations.live(conn, bay.id) or (await scaling.policy_of(conn, bay.id) or {}) != subject.policy:
        return None
    if (bay.id in await past.missed_count(conn, [bay.id])) != subject.missed:
        return None  # a change has ended since, and what the nodes were counted by is not what counts now
    group = await nodegroups.get(conn, bay.id, DEFAULT_WORKERS)
    same = group is not None and (group.min_node_count, group.max_node_count) == subject.group
    return bay if same else None


async def _ask(conn: AsyncConnection, bay: Bay, node_count: int) -> UUID:
    """Which nodes leave is decided when it starts (`steps/plan.py`). Raises ClientFault."""
    return await operations.ask(
        conn,
        bay,
        kind=OperationKind.RESIZE,
        request={"node_count": node_count, "nodegroup": DEFAULT_WORKERS, "nodes_to_remove": [], "rollback": False},
        requested_by=REQUESTER,
        timeout_minutes=bay.create_timeout,
        busy="refuse",
        door=Door.RESIZE,
        service="scaler",
    )


def _seen(load: Load | None) -> dict[str, object]:
    if load is None:
        return {}
    named = {"waiting": load.waiting, "stuck": load.stuck, "too_large": load.too_large}
    figures = {"ready": load.ready, "idle": load.idle, "spare": load.spare, "more": load.more}
    shares = {"cpu": round(load.cpu, 3), "memory": round(load.memory, 3)}
    return {**figures, **shares, **{name: list(works[:_SHOWN]) for name, works in named.items() if works}}
