"""What happens to one message that arrived: the same on every bus.

`Courier.settle` answers with what the adapter must do: `Done` = acknowledge, `Later` = store a copy with these
headers to be delivered after a delay, and acknowledge only when the copy is safe.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from shared.bus.port import (
    DELAY_STEPS,
    MAX_ATTEMPTS,
    AfterHandler,
    DeadLetter,
    Handler,
    OnDead,
    RawEnvelope,
    Reject,
    Retry,
)
from shared.contracts import MAX_BODY_BYTES, Envelope, MalformedMessage, Message, decode
from shared.contracts.envelope import is_expired
from shared.contracts.registry import BY_NAME
from shared.runtime.telemetry import DEAD_LETTERS, MESSAGES

log = logging.getLogger(__name__)

ATTEMPT: Final = "jeroboam-attempt"
"""Header: how many times a handler was asked and failed."""
DEAD_REASON: Final = "jeroboam-dead-reason"
"""Header: the message is dead, only the writing of the dead letter is still to be done."""

REASON_LENGTH: Final = 500
DEAD_REASON_LENGTH: Final = 600


@dataclass(frozen=True, slots=True)
class Done:
    """Acknowledge."""


@dataclass(frozen=True, slots=True)
class Later:
    """Deliver again after `delay` seconds with `headers`."""

    delay: float
    headers: dict[str, str] = field(default_factory=dict)


class _Dead(Exception):
    """The message is to be set aside after so many attempts; `kind` is the metric's label."""

    def __init__(self, kind: str, reason: str, attempts: int) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.attempts = attempts


def label(name: str) -> str:
    """Name of a message as a metric's label: unknown ones share one, so that strangers cannot flood the figures."""
    return name if name in BY_NAME else "unknown"


def fit(raw: RawEnvelope) -> RawEnvelope:
    """Make an envelope fit for the dead-letter table: body cut to its limit, no NUL in texts (Postgres refuses it)."""
    return RawEnvelope(
        _printable(raw.id),
        _printable(raw.name),
        _printable(raw.version),
        raw.body[:MAX_BODY_BYTES],
        {_printable(key): _printable(value) for key, value in raw.headers.items()},
    )


def open_envelope(raw: RawEnvelope) -> Message | None:
    """Read the message; None when it expired. Raises MalformedMessage."""
    try:
        envelope = Envelope(UUID(raw.id), raw.name, int(raw.version), raw.body, raw.headers)
        expired = is_expired(raw.headers)
    except ValueError:
        raise MalformedMessage("envelope: id, version or expires_at is missing or unreadable") from None
    return None if expired else decode(envelope)


@dataclass(frozen=True)
class Courier:
    """Brings messages to handlers and decides what becomes of them."""

    on_dead: OnDead
    after_handler: AfterHandler | None = None
    delay_steps: Sequence[float] = DELAY_STEPS

    async def settle(self, queue: str, raw: RawEnvelope, handler: Handler) -> Done | Later:
        """Handle one message of the service queue `queue`."""
        attempts = attempts_of(raw)
        try:
            return await self._handle(raw, handler, attempts)
        except _Dead as verdict:
            return await self.bury(queue, raw, verdict.reason, attempts=verdict.attempts, kind=verdict.kind)

    async def bury(self, queue: str, raw: RawEnvelope, reason: str, *, attempts: int, kind: str) -> Done | Later:
        """Write a dead letter; when that fails (database away), keep the message for a later try."""
        clean = {key: value for key, value in raw.headers.items() if key not in (ATTEMPT, DEAD_REASON)}
        letter = DeadLetter(queue, fit(replace(raw, headers=clean)), _printable(reason), attempts)
        try:
            await self.on_dead(letter)
        except Exception:
            log.exception("dead letter of queue %s not written, kept for later", queue)
            return Later(
                self._step(1), {**raw.headers, ATTEMPT: str(attempts), DEAD_REASON: reason[:DEAD_REASON_LENGTH]}
            )
        DEAD_LETTERS.labels(label(raw.name), kind).inc()
        log.warning("dead letter from queue %s: %s %s: %s", queue, label(raw.name), raw.id[:50], reason)
        return Done()

    async def deliver_reply(self, raw: RawEnvelope, handler: Handler) -> None:
        """Hand over a reply; one that is expired, malformed or not handled is dropped, for its asker asks again."""
        try:
            message = open_envelope(raw)
            if message is not None:
                await handler(message)
        except Exception as error:
            log.warning("reply dropped: %s: %s", type(error).__name__, error)
            MESSAGES.labels(label(raw.name), "dropped").inc()
        else:
            MESSAGES.labels(label(raw.name), "expired" if message is None else "handled").inc()

    async def _handle(self, raw: RawEnvelope, handler: Handler, attempts: int) -> Done | Later:
        if DEAD_REASON in raw.headers:
            raise _Dead("delayed", raw.headers[DEAD_REASON], attempts)
        try:
            message = open_envelope(raw)
        except MalformedMessage as error:
            raise _Dead("malformed", error.reason, attempts) from error
        if message is None:
            MESSAGES.labels(label(raw.name), "expired").inc()
            return Done()
        try:
            await handler(message)
        except Reject as error:
            raise _Dead("rejected", f"rejected: {error}"[:REASON_LENGTH], attempts + 1) from error
        except Exception as error:
            return self._again(raw, error, attempts + 1)
        if self.after_handler is not None:
            self.after_handler(message)
        MESSAGES.labels(raw.name, "handled").inc()
        return Done()

    def _again(self, raw: RawEnvelope, error: Exception, attempts: int) -> Later:
        reason = f"{type(error).__name__}: {error}"[:REASON_LENGTH]
        if attempts >= MAX_ATTEMPTS:
            raise _Dead("exhausted", f"failed {attempts} times, last: {reason}", attempts)
        if isinstance(error, Retry):
            delay = self._at_least(error.delay)
        else:
            delay = self._step(attempts)
            log.warning("handler of %s %s failed (attempt %d): %s", raw.name, raw.id, attempts, reason, exc_info=error)
        MESSAGES.labels(raw.name, "retried").inc()
        return Later(delay, {**raw.headers, ATTEMPT: str(attempts)})

    def _step(self, attempts: int) -> float:
        return self.delay_steps[min(attempts, len(self.delay_steps)) - 1]

    def _at_least(self, delay: float) -> float:
        return next((step for step in self.delay_steps if step >= delay), self.delay_steps[-1])


def attempts_of(raw: RawEnvelope) -> int:
    """How many times a handler was asked about this message; 0 when the header is missing or nonsense."""
    text = raw.headers.get(ATTEMPT, "0")
    return int(text) if text.isdecimal() and len(text) < 4 else 0


def _printable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
