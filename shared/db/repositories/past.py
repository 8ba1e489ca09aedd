"""What came of a bay's earlier operations, as far as it matters to a later one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import operations
from shared.domain.heal_memo import RECOVERED
from shared.domain.operation import OperationKind, OperationState
from shared.domain.queue import DEFAULT_WORKERS

_CHANGING = tuple(
    one.value for one in (OperationKind.RESIZE, OperationKind.RESIZE_MASTERS, OperationKind.HEAL, OperationKind.UPGRADE)
)


async def state_of(conn: AsyncConnection, operation_id: UUID) -> OperationState | None:
    """How an operation stands; None: there is none of that id."""
    state = await conn.scalar(select(operations.c.state).where(operations.c.id == operation_id))
    return None if state is None else OperationState(state)


async def left_whole(conn: AsyncConnection, bay_id: UUID, but: UUID) -> bool:
    """Whether the last operation before `but` that changed the bay's stacks came to its end, or there was none: then
    our record is of all of them.

    One that went well and looked at no worker says nothing of that: a change of the masters, a healing by restart.
    """
    looked = and_(operations.c.kind != OperationKind.RESIZE_MASTERS.value, ~_recovered())
    state = await conn.scalar(
        select(operations.c.state)
        .where(
            operations.c.bay_id == bay_id,
            operations.c.id != but,
            operations.c.kind.in_(_CHANGING),
            or_(
                operations.c.state == OperationState.FAILED.value,
                and_(operations.c.state == OperationState.DONE.value, looked),
            ),
        )
        .order_by(operations.c.seq.desc())
        .limit(1)
    )
    return state != OperationState.FAILED.value


def _recovered() -> ColumnElement[bool]:
    """Of a healing, that the restart was enough."""
    return func.coalesce(operations.c.memo[RECOVERED].astext, "") == "true"


async def missed_count(conn: AsyncConnection, bay_ids: Sequence[UUID], nodegroup: str = DEFAULT_WORKERS) -> set[UUID]:
    """The bays in which the group's own last change failed, so that it has as many nodes as stand, and not as many as
    were last asked for; whatever went well elsewhere in the bay since.

    Only a creation or a resize that went well makes that right: a healing keeps what stands.
    """
    table = operations.c
    counts = table.kind.in_((OperationKind.CREATE.value, OperationKind.RESIZE.value))
    replaces = table.kind.in_((OperationKind.HEAL.value, OperationKind.UPGRADE.value))
    failed, done = (table.state == one.value for one in (OperationState.FAILED, OperationState.DONE))
    rows = await conn.execute(
        select(table.bay_id, table.state)
        .ext(distinct_on(table.bay_id))
        .where(
            table.bay_id.in_(bay_ids),
            func.coalesce(func.nullif(table.request["nodegroup"].astext, ""), DEFAULT_WORKERS) == nodegroup,
            or_(and_(failed, or_(counts, replaces)), and_(done, counts)),
        )
        .order_by(table.bay_id, table.seq.desc())
    )
    return {row.bay_id for row in rows if row.state == OperationState.FAILED.value}


async def chosen_in_vain(conn: AsyncConnection, bay_id: UUID) -> set[str]:
    """The servers that were to leave in resizes, healings and upgrades of the bay that failed: some may stand still,
    some are gone."""
    rows = await conn.execute(
        select(operations.c.memo["remove"]).where(
            operations.c.bay_id == bay_id,
            operations.c.kind.in_(
                [one.value for one in (OperationKind.RESIZE, OperationKind.HEAL, OperationKind.UPGRADE)]
            ),
            operations.c.state == OperationState.FAILED.value,
        )
    )
    return {str(server) for (chosen,) in rows if isinstance(chosen, list) for server in chosen}


@dataclass(frozen=True)
class Upgrade:
    """An upgrade of a nodegroup that has ended."""

    state: OperationState
    request: Mapping[str, object]
    memo: Mapping[str, object]


async def upgrade_before(conn: AsyncConnection, bay_id: UUID, but: UUID | None, nodegroup: str) -> Upgrade | None:
    """The last upgrade of the group that has ended; None: there was none."""
    table = operations.c
    row = (
        await conn.execute(
            select(table.state, table.request, table.memo)
            .where(
                table.bay_id == bay_id,
                table.id.is_distinct_from(but),
                table.kind == OperationKind.UPGRADE.value,
                table.request["nodegroup"].astext == nodegroup,
                table.state.in_((OperationState.DONE.value, OperationState.FAILED.value)),
            )
            .order_by(table.seq.desc())
            .limit(1)
        )
    ).first()
    return None if row is None else Upgrade(OperationState(row.state), row.request, row.memo)
