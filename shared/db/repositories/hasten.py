"""Making what waits due at once, because somebody hinted that there is something to see.

The one write to a waiting operation that no lease guards, beside the claim. It moves no state: it can only bring about
a look that would have come later. It leaves alone what somebody works on right now, and every wait whose time itself
matters, such as a pause between two tries (`Wait.until_told`).
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import and_, case, cast, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories.claims import UNTIL_TOLD
from shared.db.tables import bays, operations
from shared.domain.operation import OperationState, Service

NOTIFIED = "notified"
"""In an operation's memo: Heat told us of its stack, so it will tell of its end as well."""


async def heard(
    conn: AsyncConnection, service: Service, *, first: UUID, last: UUID, project_id: str, due: bool
) -> set[UUID]:
    """Note in the active operations of `service`, of the project's bays from `first` to `last`, that Heat told of them.

    With `due`, those whose wait may be cut short become due now. Returns all of them.
    """
    of_project = select(bays.c.id).where(bays.c.id.between(first, last), bays.c.project_id == project_id)
    told = operations.c.memo[UNTIL_TOLD].as_boolean()
    at_once = func.least(operations.c.next_run_at, func.now())
    found = await conn.execute(
        update(operations)
        .where(
            operations.c.state == OperationState.ACTIVE.value,
            operations.c.service == service.value,
            operations.c.bay_id.in_(of_project),
        )
        .values(
            memo=operations.c.memo.op("||")(cast({NOTIFIED: True}, operations.c.memo.type)),
            next_run_at=case(
                (and_(literal(due), operations.c.lease_token.is_(None), told), at_once),
                else_=operations.c.next_run_at,
            ),
        )
        .returning(operations.c.id)
    )
    return set(found.scalars())
