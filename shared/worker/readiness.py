"""Readiness: a file that is there while the process can do its work, for health checks and for those who wait."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.port import Bus
from shared.db.health import answers

_log = structlog.get_logger()


class Readiness:
    """Keeps the ready file in step with whether database and bus answer, looked at every `period` seconds."""

    def __init__(self, file: Path | None, engine: AsyncEngine, bus: Bus, period: float) -> None:
        self._file = file
        self._engine = engine
        self._bus = bus
        self._period = period
        self._ready = False

    async def run(self) -> None:
        """Look until cancelled; changes are logged with their cause."""
        self.withdraw()  # what a killed predecessor left says nothing about us
        while True:
            trouble = await self._trouble()
            if trouble is None and not self._ready:
                self._announce()
            elif trouble is not None and self._ready:
                self.withdraw()
                _log.warning("not ready", reason=trouble)
            await asyncio.sleep(self._period if self._ready else min(self._period, 0.2))

    def withdraw(self) -> None:
        """Take the file away."""
        self._ready = False
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _announce(self) -> None:
        self._ready = True
        if self._file is not None:
            self._file.write_text(str(os.getpid()))
        _log.info("ready")

    async def _trouble(self) -> str | None:
        if not self._bus.healthy():
            return "the bus does not answer"
        return None if await answers(self._engine, within=5.0) else "the database does not answer"
