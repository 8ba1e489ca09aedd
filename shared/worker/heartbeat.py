"""A worker says that it lives, for `GET /v1/mservices` (contract §1.16)."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.repositories import services
from shared.domain.operation import Service

_log = structlog.get_logger()

EVERY: Final = 60.0
"""Seconds between two beats, before the time scale; a third of the silence after which we count as dead."""
_AGAIN: Final = 5.0


async def run(engine: AsyncEngine, service: Service, host: str, every: float) -> None:
    """Beat at once and then every `every` seconds, until cancelled. A database that is away is waited for."""
    while True:
        pause = every
        try:
            async with engine.begin() as conn:
                await services.beat(conn, host=host, binary=f"jeroboam-{service.value}")
        except Exception as error:
            _log.warning("heartbeat not written", error=f"{type(error).__name__}: {error}"[:200])
            pause = min(every, _AGAIN)
        await asyncio.sleep(pause)
