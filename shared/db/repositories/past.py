"""What came of a bay's earlier operations, as far as it matters to a later one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
