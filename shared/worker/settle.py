"""Writing down what came of a step: one transaction, guarded by the lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.repositories import bays, claims
from shared.domain.advice import LONGEST, failure
from shared.domain.bay import Operation
from shared.domain.errors import CloudError
from shared.domain.operation import FLOWS, OperationKind, OperationState, Service
from shared.domain.retry import FAILURES_ALLOWED, STALL_SECONDS, SURPRISES_ALLOWED, backoff
from shared.worker.outcome import Back, Broke, Done, Outcome, Wait

_log = structlog.get_logger()
_OBSTACLES: Final = "obstacles"
"""Where a forced deletion keeps what it passed over."""


@dataclass(frozen=True)
class Trouble:
    """The cloud refused, failed or did not answer."""

    error: CloudError


@dataclass(frozen=True)
class Surprise:
    """The step raised what nobody expected. Its text may hold anything, so only its type is shown to people."""

    error: Exception


async def settle(
    conn: AsyncConnection, operation: Operation, verdict: Outcome | Trouble | Surprise, service: Service
) -> None:
    """Move the operation by `verdict`. The caller holds the bay's lock.

    Raises:
        StaleLease: the operation is no longer ours; the transaction must be rolled back.
    """
    match verdict:
        case Done():
            await _done(conn, operation, verdict, service)
        case Wait() | Back() if (why := _over(operation, verdict)) is not None:
            await fail(conn, operation, f"{_sentence(operation)}: {why}. {_note(verdict)}".strip(), service)
        case Wait():
            if verdict.apply is not None:
                await verdict.apply(conn)
            delay = timedelta(seconds=verdict.seconds)
            await claims.wait(
                conn, operation, delay, note=verdict.note, memo=verdict.memo, until_told=verdict.until_told
            )
        case Back():
            step = FLOWS[operation.kind].step(verdict.step)
            delay = timedelta(seconds=verdict.seconds)
            note = verdict.note
            await claims.go_on(conn, operation, step, memo=verdict.memo, service=service, delay=delay, note=note)
        case Broke():
            if verdict.apply is not None:
                await verdict.apply(conn)
            await fail(conn, operation, verdict.reason, service, verdict.faults)
        case Trouble():
            await _trouble(conn, operation, verdict.error, service)
        case Surprise():
            await _surprise(conn, operation, verdict.error, service)
        case _:
            assert_never(verdict)


async def supersede(conn: AsyncConnection, operation: Operation, service: Service) -> None:
    """End the operation because a delete is waiting behind it, and start that."""
    await claims.finish(conn, operation, OperationState.SUPERSEDED, error="A delete overtook it.", service=service)


async def fail(
    conn: AsyncConnection,
    operation: Operation,
    reason: str,
    service: Service,
    faults: Mapping[str, str] | None = None,
) -> None:
    """End the operation with a reason that people read as the bay's status_reason.

    A deletion that an administrator forced does not end: the obstacle is recorded, and the next step does what it can.
    """
    if operation.kind is OperationKind.DELETE and await bays.is_forced(conn, operation.bay_id):
        await _pass_over(conn, operation, reason, service)
        return
    await claims.finish(conn, operation, OperationState.FAILED, error=reason, service=service, faults=faults)


async def _pass_over(conn: AsyncConnection, operation: Operation, reason: str, service: Service) -> None:
    """The obstacle goes to log, history and the bay's status_reason; with the last step the row goes all the same."""
    obstacles = _obstacles(operation)
    if reason not in obstacles:
        obstacles.append(reason)
        _log.warning("obstacle passed over", bay=str(operation.bay_id), step=operation.step, reason=reason)
        await bays.tell_obstacle(conn, operation.bay_id, reason, operation.id)
    following = FLOWS[operation.kind].next_after(operation.step)
    if following is None:
        await claims.finish(conn, operation, OperationState.DONE, error=_left_behind(obstacles), service=service)
    else:
        memo = {_OBSTACLES: obstacles}
        await claims.go_on(conn, operation, following, memo=memo, service=service, note=reason)


def _obstacles(operation: Operation) -> list[str]:
    kept = operation.memo.get(_OBSTACLES)
    return [str(one) for one in kept] if isinstance(kept, list) else []


def _left_behind(obstacles: Sequence[str]) -> str | None:
    """What the last row of a bay's history says after a forced deletion; None where nothing stood in the way."""
    if not obstacles:
        return None
    told = " ".join(dict.fromkeys(obstacles))
    return f"Deleted by force. What stood in the way: {told}"[:LONGEST]


async def _done(conn: AsyncConnection, operation: Operation, verdict: Done, service: Service) -> None:
    if verdict.apply is not None:
        await verdict.apply(conn)
    following = FLOWS[operation.kind].next_after(operation.step)
    if following is None:
        error = _left_behind(_obstacles(operation))
        await claims.finish(conn, operation, OperationState.DONE, error=error, service=service, note=verdict.note)
    else:
        await claims.go_on(conn, operation, following, memo=verdict.memo, service=service, note=verdict.note)


async def _trouble(conn: AsyncConnection, operation: Operation, error: CloudError, service: Service) -> None:
    """Retry what may go through later until the deadline; what never will fails at once, with the cloud's words.

    An operation without a deadline gives up after `FAILURES_ALLOWED`, which is about as long as its stall limit.
    """
    sentence = _sentence(operation)
    endless = operation.deadline is None and operation.failures >= FAILURES_ALLOWED
    if not error.retryable:
        await fail(conn, operation, failure(sentence, (), fallback=error.message), service)
    elif operation.overdue or endless:
        said = f"the time is up, and the last answer was: {error.message}"
        await fail(conn, operation, failure(sentence, (), fallback=said), service)
    else:
        failures = operation.failures + (1 if error.counts else 0)
        delay = backoff(max(failures, 1), wish=error.retry_after)
        note = f"{error.message} Trying again in {delay.total_seconds():.0f} s."
        await claims.retry(conn, operation, delay, note=note, failures=failures, surprises=operation.surprises)


async def _surprise(conn: AsyncConnection, operation: Operation, error: Exception, service: Service) -> None:
    sentence = _sentence(operation)
    surprises = operation.surprises + 1
    what = f"{sentence}: an unexpected {type(error).__name__} in step {operation.step}"
    if surprises >= SURPRISES_ALLOWED:
        reason = f"{what}, {surprises} times. The logs of the {service} worker tell more."
        await fail(conn, operation, reason, service)
    else:
        delay = backoff(surprises)
        await claims.retry(conn, operation, delay, note=f"{what}.", failures=operation.failures, surprises=surprises)


def _sentence(operation: Operation) -> str:
    return FLOWS[operation.kind].step(operation.step).sentence


def _over(operation: Operation, verdict: Wait | Back) -> str | None:
    """Why there is no more waiting. An operation without a deadline ends when nothing has changed for long, since it
    began or in what its steps look at, which is told in their memo (`changed_at`, seconds since the epoch)."""
    if operation.deadline is not None:
        return "the time is up" if operation.overdue else None
    changed = {**operation.memo, **verdict.memo}.get("changed_at")
    moment = max(operation.started_at.timestamp(), float(changed) if isinstance(changed, int | float) else 0.0)
    stalled = datetime.now(UTC).timestamp() - moment > STALL_SECONDS
    return f"nothing has changed for {STALL_SECONDS / 60:.0f} minutes" if stalled else None


def _note(verdict: Wait | Back) -> str:
    return verdict.note or ""
