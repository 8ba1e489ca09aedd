"""Claim → load → process → apply, for one operation at a time.

No transaction is open while a step works (rule 3). Between the phases stand fail-points, named after the step, so that
a new step gets its kill points without anybody thinking of it: `<step>:before_call` (claimed, nothing done yet),
`<step>:after_effect` (the cloud has done it, nothing written), `<step>:after_commit` (written, not acknowledged).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.repositories import bays, claims
from shared.domain.bay import Bay, Operation, Wanted
from shared.domain.errors import CloudError, StaleLease
from shared.domain.operation import FLOWS, OperationKind, Service
from shared.domain.retry import CRASHES_ALLOWED
from shared.runtime import failpoint
from shared.runtime.settings import Timing
from shared.runtime.telemetry import STEP_SECONDS, STEPS
from shared.worker.lease import under_lease
from shared.worker.outcome import Broke, DepsT, Outcome, StepContext, StepFunction, Superseded
from shared.worker.settle import Surprise, Trouble, settle, supersede

_log = structlog.get_logger()


@dataclass(frozen=True)
class Dispatcher(Generic[DepsT]):
    """Runs the steps of one service. Every method may be called by many tasks at once."""

    service: Service
    engine: AsyncEngine
    timing: Timing
    steps: Mapping[str, StepFunction[DepsT]]
    deps: DepsT
    committed: Callable[[], None]
    """Called after each commit: the outbox may have something, and something may be due sooner."""

    def __post_init__(self) -> None:
        """Refuse to start without a function for every step of ours in the flows, or with one that no flow has."""
        wanted = {s.name for flow in FLOWS.values() for s in flow.steps if s.service is self.service}
        if wanted != set(self.steps):
            raise ValueError(f"{self.service}: steps without function or flow: {wanted ^ set(self.steps)}")

    async def look_at(self, operation_id: UUID) -> None:
        """Run what is due of that operation, if anything is: what a message asks for."""
        if (operation := await self.claim(operation_id)) is not None:
            await self.run(operation)

    async def run(self, operation: Operation) -> None:
        """Run a claimed operation's step, and the steps that follow at once, so a flow needs no message to itself."""
        following: Operation | None = operation
        while following is not None:
            await self._run(following)
            following = await self.claim(operation.id)

    async def claim(self, operation_id: UUID | None = None) -> Operation | None:
        """Take that operation, or the one that has been due longest; None when nothing is due."""
        async with self.engine.begin() as conn:
            return await claims.claim(
                conn,
                self.service,
                lease=self.timing.lease,
                quarantine=self.timing.quarantine,
                operation_id=operation_id,
            )

    async def seconds_to_next(self) -> float | None:
        """Seconds until something is due, 0 or less when it is overdue, None when nothing waits."""
        async with self.engine.connect() as conn:
            return await claims.next_due(conn, self.service, self.timing.quarantine)

    async def _run(self, operation: Operation) -> None:
        started = time.perf_counter()
        log = _log.bind(operation=str(operation.id), bay=str(operation.bay_id), step=operation.step)
        try:
            verdict = await self._process(operation)
            failpoint.hit(f"{operation.step}:after_effect")
            # Shielded: a cancelled commit would leave us not knowing what was written (libraries §6).
            await asyncio.shield(self._apply(operation, verdict))
            log.info("step", outcome=type(verdict).__name__, seconds=round(time.perf_counter() - started, 3))
            STEPS.labels(operation.step, type(verdict).__name__.lower()).inc()
        except StaleLease as error:
            log.warning("result dropped", reason=str(error))
            STEPS.labels(operation.step, "dropped").inc()
            return
        finally:
            STEP_SECONDS.labels(operation.step).observe(time.perf_counter() - started)
        self.committed()
        failpoint.hit(f"{operation.step}:after_commit")

    async def _process(self, operation: Operation) -> Outcome | Trouble | Surprise | Superseded:
        bay = await self._load(operation)
        if _is_to_go(operation, bay):
            return Superseded("A delete overtook it.")
        if operation.attempt > CRASHES_ALLOWED:
            sentence = FLOWS[operation.kind].step(operation.step).sentence
            return Broke(f"{sentence}: the worker stopped {CRASHES_ALLOWED} times in step {operation.step}.")
        failpoint.hit(f"{operation.step}:before_call")
        context = StepContext(operation, bay, self.deps, lambda: self._guard(operation))
        try:
            return await under_lease(
                _call(self.steps[operation.step], context), engine=self.engine, operation=operation, timing=self.timing
            )
        except Superseded as superseded:
            return superseded
        except StaleLease:
            raise
        except CloudError as error:
            return Trouble(error)
        except Exception as error:
            _log.exception("step raised", step=operation.step, operation=str(operation.id))
            return Surprise(error)

    async def _load(self, operation: Operation) -> Bay:
        async with self.engine.begin() as conn:
            bay = await bays.get(conn, operation.bay_id)
        if bay is None:
            raise StaleLease(f"Bay {operation.bay_id} is gone.")
        return bay

    async def _guard(self, operation: Operation) -> None:
        async with self.engine.begin() as conn:
            bay = await bays.get(conn, operation.bay_id)
            await claims.renew(conn, operation, lease=self.timing.lease)
        if bay is None:
            raise StaleLease(f"Bay {operation.bay_id} is gone.")
        if _is_to_go(operation, bay):
            raise Superseded("A delete overtook it.")

    async def _apply(self, operation: Operation, verdict: Outcome | Trouble | Surprise | Superseded) -> None:
        """Write the verdict, the bay's lock first. A bay that is to go by now gets no result of another operation."""
        async with self.engine.begin() as conn:
            bay = await bays.lock(conn, operation.bay_id)
            if bay is None:
                raise StaleLease(f"Bay {operation.bay_id} is gone.")
            if isinstance(verdict, Superseded) or _is_to_go(operation, bay):
                await supersede(conn, operation, self.service)
            else:
                await settle(conn, operation, verdict, self.service)


async def _call(function: StepFunction[Any], context: StepContext[Any]) -> Outcome:
    return await function(context)


def _is_to_go(operation: Operation, bay: Bay) -> bool:
    return bay.wanted is Wanted.GONE and operation.kind is not OperationKind.DELETE
