"""Bays by the name of their stack, which is what the names of their server groups begin with."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays, stack_renders, tombstones


async def buried(conn: AsyncConnection, stack_names: Collection[str]) -> set[str]:
    """Those of the names whose bay was here and is gone."""
    query = select(tombstones.c.stack_name).where(tombstones.c.stack_name.in_(stack_names))
    return set((await conn.scalars(query)).all())


async def parameters(conn: AsyncConnection, stack_names: Collection[str]) -> dict[str, Mapping[str, str]]:
    """What the stacks of bays that are here were rendered with, by name; a stack that was not rendered yet is left out.

    Secrets are not in it.
    """
    table = stack_renders.c
    render = and_(table.bay_id == bays.c.id, table.generation == bays.c.generation, table.pool == 0)
    query = (
        select(bays.c.stack_name, stack_renders.c.parameters)
        .join(stack_renders, render)
        .where(bays.c.stack_name.in_(stack_names))
    )
    return {row.stack_name: row.parameters for row in await conn.execute(query)}
