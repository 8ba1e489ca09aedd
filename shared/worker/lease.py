"""Running a step under its lease: renewed while it works, cancelled when it cannot be renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.repositories import claims
from shared.domain.bay import Operation
from shared.domain.errors import StaleLease
from shared.runtime.settings import Timing

_log = structlog.get_logger()

ResultT = TypeVar("ResultT")


async def under_lease(
    work: Coroutine[None, None, ResultT], *, engine: AsyncEngine, operation: Operation, timing: Timing
) -> ResultT:
    """Run `work` and renew the lease meanwhile.

    The step is cancelled as soon as the lease is known to be lost, or when it could not be renewed for
    `timing.cancel_after` seconds: by then the database may have given it away.

    Raises:
        StaleLease: the lease was lost.
    """
    step = asyncio.ensure_future(work)
    keeper = asyncio.create_task(_keep(lambda: _renew(engine, operation, timing), timing))
    try:
        await asyncio.wait({step, keeper}, return_when=asyncio.FIRST_COMPLETED)
        if step.done():
            return step.result()
        raise StaleLease(f"The lease on operation {operation.id} could not be kept.")
    finally:
        for task in (step, keeper):
            task.cancel()
        await asyncio.gather(step, keeper, return_exceptions=True)


async def _keep(renew: Callable[[], Awaitable[None]], timing: Timing) -> None:
    """Renew every heartbeat; end when the lease is lost or has not been renewed for too long."""
    loop = asyncio.get_running_loop()
    renewed = loop.time()
    while True:
        await asyncio.sleep(max(min(timing.heartbeat, renewed + timing.cancel_after - loop.time()), 0.0))
        asked = loop.time()  # the lease counts from its transaction's beginning, so from no earlier than this
        try:
            async with asyncio.timeout_at(renewed + timing.cancel_after):
                await renew()
            renewed = asked
        except StaleLease:
            return
        except Exception as error:
            _log.warning("lease not renewed", error=type(error).__name__)
            if loop.time() - renewed >= timing.cancel_after:
                return


async def _renew(engine: AsyncEngine, operation: Operation, timing: Timing) -> None:
    async with engine.begin() as conn:
        await claims.renew(conn, operation, lease=timing.lease)
