"""Pools: nodes of a bay that have stacks of their own beside the bay's first (shared.domain.shards).

A further nodegroup has one, and so has every group after an upgrade; one whose next nodes are to have other labels gets
another. The newest pool of a group is where it grows. Pool 0, the workers of the bay's first stack and its shards, is
the default group's and has no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays, node_pools, nodegroups, stack_renders


@dataclass(frozen=True)
class Pool:
    """A row of `node_pools`."""

    number: int
    nodegroup: str
    """The name of the group whose nodes it has."""
    generation: int
    """Of the bay, when it was made: what its stacks were rendered to is kept by this and its number."""


async def possible(conn: AsyncConnection, bay_id: UUID, generation: int) -> bool:
    """Whether the bay's nodes may have stacks beside the first; not in bays of releases that made only that one.

    So it is also of a bay that was not rendered yet: that will be by this release.
    """
    table = stack_renders.c
    query = select(table.has_shards).where(table.bay_id == bay_id, table.generation == generation, table.pool == 0)
    return await conn.scalar(query) is not False


async def make(conn: AsyncConnection, bay_id: UUID, nodegroup_id: UUID, generation: int) -> int:
    """Give a nodegroup a pool; its number. The caller holds the bay's lock."""
    number = await conn.scalar(
        update(bays).where(bays.c.id == bay_id).values(pools_made=bays.c.pools_made + 1).returning(bays.c.pools_made)
    )
    if number is None:
        raise ValueError(f"bay {bay_id} is gone")
    values = {"bay_id": bay_id, "number": number, "nodegroup_id": nodegroup_id, "generation": generation}
    await conn.execute(insert(node_pools).values(values))
    return int(number)


async def newest_is_made_of(conn: AsyncConnection, bay_id: UUID, nodegroup: str) -> bool:
    """Whether it is settled already what the nodes of the group's newest pool are made of."""
    found = await of_bay(conn, bay_id, nodegroup)
    if not found:
        return True  # it grows in pool 0
    table, newest = stack_renders.c, found[-1]
    query = select(table.pool).where(
        table.bay_id == bay_id, table.generation == newest.generation, table.pool == newest.number
    )
    return await conn.scalar(query) is not None


async def of_bay(conn: AsyncConnection, bay_id: UUID, nodegroup: str | None = None) -> list[Pool]:
    """The bay's pools but pool 0, or those of one group, the oldest first."""
    query = (
        select(node_pools.c.number, nodegroups.c.name, node_pools.c.generation)
        .join(nodegroups, nodegroups.c.id == node_pools.c.nodegroup_id)
        .where(node_pools.c.bay_id == bay_id)
        .order_by(node_pools.c.number)
    )
    if nodegroup is not None:
        query = query.where(nodegroups.c.name == nodegroup)
    return [Pool(*row) for row in await conn.execute(query)]


async def set_stack(conn: AsyncConnection, bay_id: UUID, number: int, stack_id: str | None) -> None:
    """The id of the pool's first stack, which clients see as its group's; None while it has no node."""
    table = node_pools.c
    mine = (table.bay_id == bay_id, table.number == number, table.stack_id.is_distinct_from(stack_id))
    await conn.execute(update(node_pools).where(*mine).values(stack_id=stack_id))


async def remove(conn: AsyncConnection, bay_id: UUID, number: int) -> None:
    """Forget a pool whose stacks are gone."""
    await conn.execute(delete(node_pools).where(node_pools.c.bay_id == bay_id, node_pools.c.number == number))
