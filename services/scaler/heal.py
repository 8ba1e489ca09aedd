"""Asking for the healing of nodes that are not well: an operation like any other, by the door that users have.

Once a round, after the reports were judged. The decision is pure (shared.domain.healing); it is taken once more when
the bay is held, since anything may have begun meanwhile. Why nothing is healed is told in the bay's health.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scaler.factory import Deps
from shared.db.repositories import bays, heals, health, operations
from shared.domain.bay import Bay
from shared.domain.errors import Conflict, InvalidInput
from shared.domain.healing import Decision, Member, Sick, decide
from shared.domain.labels import rules_of
from shared.domain.operation import OperationKind
from shared.domain.queue import Door
from shared.domain.scaling_labels import AUTO_HEALING
from shared.drivers import registry
from shared.drivers.common.labels import truth

_log = structlog.get_logger()
BATCH: Final = 200
"""Bays with ill nodes that are looked at in one round."""


async def plan(deps: Deps) -> None:
    """Ask for what is due, at most one operation a bay."""
    async with deps.engine.connect() as conn:
        found = await heals.sick(conn, BATCH)
        if not found:
            return
        if await heals.cut_off(conn):
            _log.warning("nothing is healed: too many nodes of all bays are silent at once")
            return
    for one in found:
        decision = _decide(one)
        if decision.node is not None or decision.why != one.told:
            async with deps.engine.begin() as conn:
                await _settle(conn, one.bay_id)


def _decide(one: Sick) -> Decision:
    return decide(one.members, one.heals, one.now)


async def _settle(conn: AsyncConnection, bay_id: UUID) -> None:
    """Decide once more, with the bay held, and do it."""
    bay = await bays.lock(conn, bay_id)
    seen = await heals.sick(conn, 1, bay_id)
    if bay is None or not seen:
        return
    if not heals_itself(bay):
        await health.tell_healing(conn, bay_id, None)
        return
    (one,) = seen
    decision = _decide(one)
    await health.tell_healing(conn, bay_id, decision.why)
    if decision.node is not None:
        await _ask(conn, bay, decision.node, decision.place, one)


async def _ask(conn: AsyncConnection, bay: Bay, node: Member, place: str, seen: Sick) -> None:
    standing = sum(one.nodegroup == node.nodegroup for one in seen.members)
    try:
        operation = await operations.ask(
            conn,
            bay,
            kind=OperationKind.HEAL,
            request=request(node, place, standing),
            requested_by="service:scaler",
            timeout_minutes=bay.create_timeout,
            busy="refuse",
            door=Door.HEAL,
            service="scaler",
            reason=f"healing node {node.name}: {told(node)}",
        )
    except (Conflict, InvalidInput) as error:
        _log.info("healing not asked for", bay=str(bay.id), node=node.name, reason=error.message)
    else:
        _log.warning("healing asked for", bay=str(bay.id), node=node.name, operation=str(operation), why=told(node))


def request(node: Member, place: str, standing: int) -> Mapping[str, object]:
    """What the operation is told; a worker's is that of a resize to the same count that names it (0010)."""
    replaced: dict[str, object] = {"node_count": standing, "nodes_to_remove": [node.server_id]}
    return {
        "server_id": node.server_id,
        "node": node.name,
        "role": node.role,
        "place": place,
        "problem": node.problem,
        "nodegroup": node.nodegroup,
        **(replaced if node.role == "worker" else {}),
    }


def told(node: Member) -> str:
    """What is the matter with a node, for the bay's history."""
    if not node.silent:
        return node.problem
    return f"agent silent for {max(round(node.unheard / 60), 1)} min"


def heals_itself(bay: Bay) -> bool:
    """Whether the owner has not opted out, and the bay's driver can."""
    try:
        driver = registry.by_name(bay.driver)
        labels = bay.spec.get("labels")
        given = {name: str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {}
        return OperationKind.HEAL.value in driver.kinds and truth(rules_of(bay.driver), given, AUTO_HEALING) is True
    except InvalidInput:  # of a driver that is no more, or a label that is older than its meaning
        return False
