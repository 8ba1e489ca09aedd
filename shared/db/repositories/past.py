"""What came of a bay's earlier operations, as far as it matters to a later one."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import operations
from shared.domain.operation import OperationKind, OperationState

_CHANGING = tuple(
    one.value for one in (OperationKind.RESIZE, OperationKind.RESIZE_MASTERS, OperationKind.HEAL, OperationKind.UPGRADE)
)


async def state_of(conn: AsyncConnection, operation_id: UUID) -> OperationState | None:
    """How an operation stands; None: there is none of that id."""
    state = await conn.scalar(select(operations.c.state).where(operations.c.id == operation_id))
    return None if state is None else OperationState(state)


async def left_whole(conn: AsyncConnection, bay_id: UUID, but: UUID) -> bool:
    """Whether the last operation before `but` that changed the bay's stacks came to its end, or there was none: then
    our record is of all of them."""
    state = await conn.scalar(
        select(operations.c.state)
        .where(
            operations.c.bay_id == bay_id,
            operations.c.id != but,
            operations.c.kind.in_(_CHANGING),
            operations.c.state.in_((OperationState.DONE.value, OperationState.FAILED.value)),
        )
        .order_by(operations.c.seq.desc())
        .limit(1)
    )
    return state != OperationState.FAILED.value


async def chosen_in_vain(conn: AsyncConnection, bay_id: UUID) -> set[str]:
    """The servers that were to leave in resizes and upgrades of the bay that failed: some may stand still, some are
    gone."""
    rows = await conn.execute(
        select(operations.c.memo["remove"]).where(
            operations.c.bay_id == bay_id,
            operations.c.kind.in_((OperationKind.RESIZE.value, OperationKind.UPGRADE.value)),
            operations.c.state == OperationState.FAILED.value,
        )
    )
    return {str(server) for (chosen,) in rows if isinstance(chosen, list) for server in chosen}
