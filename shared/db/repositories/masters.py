"""A bay's masters while their number changes: who they are, what they say, which of them leaves.

The operation's memo says who leaves and which master takes it out of the bay's store (`LEAVING`, `LEAVER`); the nodes
are told by what they ask (`leaving_for`) and answer in their reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays, node_credentials, node_reports, nodes, operations
from shared.domain.bay import Node
from shared.domain.healing import GRACE
from shared.domain.operation import OperationKind, OperationState

LEAVING: Final = "leaving"
"""In the memo: the Nova id of the master that leaves."""
LEAVER: Final = "leaver"
"""In the memo: the Nova id of the master that takes it out, itself or another when it does not answer."""

_MASTER: Final = "master"


@dataclass(frozen=True)
class Master:
    """A master with the last thing that it said; ages are by Postgres's clock."""

    server_id: str
    name: str
    position: int
    private_address: str
    healthy: bool
    """False, too, for one that has never reported."""
    silent: bool
    """Whether it should have reported long since."""
    problem: str | None
    parted: str | None
    """The address of the master that it has taken out of the bay's store."""


@dataclass(frozen=True)
class Wish:
    """What a master is told of the masters."""

    addresses: tuple[str, ...] = ()
    """The private addresses of those that stay, in their order; empty when they are not to be told."""
    leaving: str | None = None
    """The private address of the one that the node that asks is to take out of the bay's store."""


async def of_bay(conn: AsyncConnection, bay_id: UUID) -> list[Master]:
    """The recorded masters in their order."""
    said = node_reports.c
    late = said.reported_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, said.next_within + GRACE)
    query = (
        select(
            nodes.c.server_id,
            nodes.c.name,
            nodes.c.position,
            nodes.c.private_address,
            func.coalesce(said.healthy, False),
            func.coalesce(late, True),
            said.problem,
            said.parted,
        )
        .outerjoin(node_reports, (said.bay_id == nodes.c.bay_id) & (said.server_id == nodes.c.server_id))
        .where(nodes.c.bay_id == bay_id, nodes.c.role == _MASTER)
        .order_by(nodes.c.position)
    )
    return [Master(*row) for row in await conn.execute(query)]


async def leaving_for(conn: AsyncConnection, bay_id: UUID, server_id: str) -> Wish:
    """What the node that asks is told; nothing to workers, and to masters that are not recorded yet."""
    rows = await conn.execute(
        select(nodes.c.server_id, nodes.c.private_address)
        .where(nodes.c.bay_id == bay_id, nodes.c.role == _MASTER)
        .order_by(nodes.c.position)
    )
    addresses = {row.server_id: row.private_address for row in rows}
    if server_id not in addresses:
        return Wish()
    memo = await conn.scalar(
        select(operations.c.memo).where(
            operations.c.bay_id == bay_id,
            operations.c.kind == OperationKind.RESIZE_MASTERS.value,
            operations.c.state == OperationState.ACTIVE.value,
        )
    )
    leaving = str((memo or {}).get(LEAVING) or "")
    stay = tuple(address for server, address in addresses.items() if server != leaving)
    told = leaving in addresses and (memo or {}).get(LEAVER) == server_id
    return Wish(stay, addresses[leaving] if told else None)


async def replace(
    conn: AsyncConnection, bay_id: UUID, found: Sequence[Node], addresses: Sequence[str], api: str
) -> None:
    """Make the masters' rows equal to what the stack shows; the workers' stay. No letter waits for who has left."""
    ids = [node.server_id for node in found]
    gone = select(nodes.c.server_id).where(
        nodes.c.bay_id == bay_id, nodes.c.role == _MASTER, nodes.c.server_id.not_in(ids)
    )
    left = list(await conn.scalars(gone))
    for table in (nodes, node_credentials):
        await conn.execute(delete(table).where(table.c.bay_id == bay_id, table.c.server_id.in_(left)))
    for node in found:
        own = {name: value for name, value in vars(node).items() if name != "nodegroup"}
        statement = pg_insert(nodes).values(bay_id=bay_id, **own)
        await conn.execute(statement.on_conflict_do_update(index_elements=["bay_id", "server_id"], set_=own))
    values = {"master_addresses": list(addresses), "api_address": api}
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(**values))


async def want(conn: AsyncConnection, bay_id: UUID, count: int) -> None:
    """What the owner asked for."""
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(master_count=count))


async def settle_count(conn: AsyncConnection, bay_id: UUID) -> None:
    """Make the bay's count that of the masters that are recorded, unless a later wish waits."""
    later = exists().where(
        operations.c.bay_id == bay_id,
        operations.c.kind == OperationKind.RESIZE_MASTERS.value,
        operations.c.state == OperationState.QUEUED.value,
    )
    standing = (
        select(func.count()).select_from(nodes).where(nodes.c.bay_id == bay_id, nodes.c.role == _MASTER)
    ).scalar_subquery()
    await conn.execute(update(bays).where(bays.c.id == bay_id, standing > 0, ~later).values(master_count=standing))
