"""How a bay is scaled by itself: its policy, what holds of it, and what was decided. Not in Magnum."""

from __future__ import annotations

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import Face
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import lookup
from shared.contracts.http.scaling import ScalingPolicy
from shared.db.repositories import bays, nodegroups, scaling
from shared.db.repositories.nodegroups import Nodegroup
from shared.domain import scaling_policy
from shared.domain.bay import Bay, Wanted
from shared.domain.errors import Conflict, InvalidInput
from shared.domain.queue import DEFAULT_WORKERS
from shared.domain.scaling_policy import ENABLED, LEAST, MOST, Effective

SHOWN: Final = 100
"""Decisions that are shown."""

_GET, _UPDATE, _DELETE = (f"scaling_policy:{action}" for action in ("get", "update", "delete"))
_DECISIONS: Final = "scaling_decision:get_all"


async def show(context: Context, facts: Facts, face: Face, ident: str) -> dict[str, object]:
    """The policy and what holds.

    Raises:
        NotFound, Conflict: there is no such bay, or several.
        Forbidden: the policy says no.
    """
    bay = await _seen(context, facts, face, ident, _GET)
    async with context.engine.connect() as conn:
        return await _shown(conn, face, bay)


async def put(context: Context, facts: Facts, face: Face, ident: str, body: ScalingPolicy) -> dict[str, object]:
    """Put a policy in the place of the one before; what holds then.

    The bay is held meanwhile, so that nobody changes the nodegroup's range between our look at it and our write, and
    who is about to act on the old policy sees the new one.

    Raises:
        NotFound: there is no such bay.
        Conflict: several have the name, or the nodegroup's own range is narrower.
        InvalidInput: the values contradict one another or the bay's labels, or the bay is being deleted.
        Forbidden: the policy says no.
    """
    async with context.engine.begin() as conn:
        bay = await _held(context, facts, conn, face, ident, _UPDATE)
        if bay.wanted is Wanted.GONE:
            raise InvalidInput(f'Updating a {face.one} when status is "{bay.status.value}" is not supported.')
        stored = body.stored()
        _check_range(await _group(conn, face, bay), stored)
        scaling_policy.check(await _effective(conn, face, bay, stored))
        await scaling.store_policy(conn, bay.id, stored)
        return await _shown(conn, face, bay)


async def drop(context: Context, facts: Facts, face: Face, ident: str) -> None:
    """Take the policy away; the labels alone hold again. Taking none away is no error.

    Raises:
        NotFound, Conflict: there is no such bay, or several.
        Forbidden: the policy says no.
    """
    async with context.engine.begin() as conn:
        bay = await _held(context, facts, conn, face, ident, _DELETE)
        await scaling.drop_policy(conn, bay.id)


async def decisions(context: Context, facts: Facts, face: Face, ident: str) -> list[dict[str, object]]:
    """What was decided about the bay's size, newest first; raises as `show`."""
    bay = await _seen(context, facts, face, ident, _DECISIONS)
    async with context.engine.connect() as conn:
        found = await scaling.decisions_of(conn, bay.id, limit=SHOWN)
    return [
        {
            "id": one.seq,
            "nodegroup": one.nodegroup,
            "node_count": one.node_count,
            "desired": one.desired,
            "reason": one.reason,
            "seen": dict(one.seen),
            "operation_id": one.operation_id,
            "at": one.at,
        }
        for one in found
    ]


async def _seen(context: Context, facts: Facts, face: Face, ident: str, rule: str) -> Bay:
    scope = context.policy.scope(facts.caller, face.rule("get_one_all_projects"))
    found = await lookup.find(context.reader, face, scope, ident)
    async with context.engine.connect() as conn:
        bay = await bays.get(conn, found.id)
    if bay is None:
        raise face.missing(ident)
    context.policy.enforce(facts.caller, rule, project_id=bay.project_id, user_id=bay.user_id)
    return bay


async def _held(context: Context, facts: Facts, conn: AsyncConnection, face: Face, ident: str, rule: str) -> Bay:
    bay = await lookup.hold(context, conn, face, facts.caller, ident)
    context.policy.enforce(facts.caller, rule, project_id=bay.project_id, user_id=bay.user_id)
    return bay


async def _group(conn: AsyncConnection, face: Face, bay: Bay) -> Nodegroup:
    group = await nodegroups.get(conn, bay.id, DEFAULT_WORKERS)
    if group is None:
        raise face.missing(bay.id)
    return group


async def _effective(conn: AsyncConnection, face: Face, bay: Bay, stored: dict[str, object]) -> Effective:
    group = await _group(conn, face, bay)
    born = await scaling.born_with(conn, bay.id)
    return scaling_policy.effective(
        scaling_policy.labels_of(bay.spec),
        stored,
        born=bay.node_count if born is None else born,
        count=bay.node_count,
        group=(group.min_node_count, group.max_node_count),
    )


async def _shown(conn: AsyncConnection, face: Face, bay: Bay) -> dict[str, object]:
    stored = await scaling.policy_of(conn, bay.id) or {}
    values = await _effective(conn, face, bay, stored)
    return {
        "uuid": str(bay.id),
        "nodegroup": DEFAULT_WORKERS,
        "policy": stored,
        "effective": {
            name: {"value": bool(one.value) if name == ENABLED else one.value, "source": one.source.value}
            for name, one in values.items()
        },
    }


def _check_range(group: Nodegroup, stored: dict[str, object]) -> None:
    """Raises Conflict for a range that the nodegroup's own does not hold."""
    for name in (LEAST, MOST):
        given = stored.get(name)
        if not isinstance(given, int):
            continue
        if given < group.min_node_count:
            why = f"is less than the nodegroup {group.name} must have ({group.min_node_count})"
        elif group.max_node_count is not None and given > group.max_node_count:
            why = f"is more than the nodegroup {group.name} may have ({group.max_node_count})"
        else:
            continue
        raise Conflict(f"{name} ({given}) {why}; change the nodegroup's range first.", field=name)
