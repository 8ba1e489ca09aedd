"""How much a project has, counted so that two requests at once cannot both take the last place."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays

_LOCK = "jeroboam:bays:"


async def hold_project(conn: AsyncConnection, project_id: str) -> None:
    """Let nobody else count this project's bays through here until the transaction ends."""
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_LOCK + project_id, 0))))


async def count_bays(conn: AsyncConnection, project_id: str) -> int:
    """The project's bays; one counts until its row is gone."""
    counted = select(func.count()).select_from(bays).where(bays.c.project_id == project_id)
    return await conn.scalar(counted) or 0
