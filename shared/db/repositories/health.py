"""What a healer has found out about a bay; no operation follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.tables import bays


async def tell(conn: AsyncConnection, bay_id: UUID, status: str | None, reason: Mapping[str, str]) -> None:
    """Write down how the bay is; None: nobody knows. The caller holds the bay's lock."""
    values = {"health_status": status, "health_status_reason": dict(reason), "updated_at": func.now()}
    await conn.execute(update(bays).where(bays.c.id == bay_id).values(values))
