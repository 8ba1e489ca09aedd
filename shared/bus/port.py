"""What a bus promises, whichever carries it.

* A published message is confirmed: it survives a restart of the broker and waits in every bound queue.
* A message is acknowledged after its handler returned. A process that dies before that has it redelivered.
* Doubles are possible (a crash between effect and acknowledgement), loss is not; order is not promised.
* A handler that fails is asked again after 1 s, 10 s, 1 min and 10 min; after five attempts, or at once when the
  message can never be handled, the message becomes a dead letter, which is written before it is acknowledged.

Errors: `PublishFailed` and `BusUnavailable` go to callers; `Retry` and `Reject` are raised by handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from shared.contracts.base import Message
from shared.contracts.envelope import Envelope
from shared.domain.errors import JeroboamError

__all__ = [
    "DELAY_STEPS",
    "MAX_ATTEMPTS",
    "AfterHandler",
    "Bus",
    "BusUnavailable",
    "DeadLetter",
    "Envelope",
    "Handler",
    "OnDead",
    "PublishFailed",
    "RawEnvelope",
    "Reject",
    "Retry",
]

DELAY_STEPS: Final = (1.0, 10.0, 60.0, 600.0)
"""Seconds until the second, third, fourth and fifth attempt."""

MAX_ATTEMPTS: Final = 5
"""Times a handler is asked before the message is set aside."""


class BusUnavailable(JeroboamError):
    """The broker could not be reached in time."""


class PublishFailed(JeroboamError):
    """Some messages are not confirmed. `failed` says which and why; every other one of the call is confirmed.

    A message that timed out may have arrived nevertheless: publish it again, a double is harmless.
    """

    def __init__(self, failed: Mapping[UUID, str]) -> None:
        reasons = ", ".join(sorted(set(failed.values())))
        super().__init__(f"{len(failed)} message(s) not confirmed: {reasons}")
        self.failed = dict(failed)


class Retry(JeroboamError):
    """Raised by a handler: ask again after at least `delay` seconds (rounded up to a delay step)."""

    def __init__(self, delay: float, reason: str = "asked for later") -> None:
        super().__init__(reason)
        self.delay = delay


class Reject(JeroboamError):
    """Raised by a handler: this message can never be handled; set it aside now."""


@dataclass(frozen=True, slots=True)
class RawEnvelope:
    """What arrived, unchecked: any part may be missing (empty text) or nonsense.

    In a `DeadLetter` the body is cut to 64 KiB and the texts hold no NUL; the body's bytes are as they came.
    """

    id: str
    name: str
    version: str
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is set aside: from which queue (`certs`), what arrived, why, and after how many attempts."""

    queue: str
    envelope_raw: RawEnvelope
    reason: str
    attempts: int


Handler = Callable[[Message], Awaitable[None]]
OnDead = Callable[[DeadLetter], Awaitable[None]]
AfterHandler = Callable[[Message], None]


class Bus(Protocol):
    """A bus of one process."""

    async def start(self) -> None:
        """Connect, make what must exist, start the registered consumers.

        Waits through a broker that is still starting; raises BusUnavailable after 60 s.
        """

    async def close(self) -> None:
        """Stop fetching, wait a moment for running handlers, give the rest back, disconnect."""

    async def publish(self, envelopes: Sequence[Envelope], *, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Return when all are confirmed, in `timeout` seconds at most; raises PublishFailed."""

    async def consume(self, queue: str, handler: Handler, *, concurrency: int) -> None:
        """Hand the messages of a service's queue to `handler`, at most `concurrency` at a time.

        May be called before or after `start`; once per queue. Raises ValueError for a queue that the registry does
        not know.
        """

    async def open_reply_queue(self, handler: Handler) -> str:
        """Open this process's reply queue and return its address; it outlives a restart of the broker.

        Needs `start`. Replies are best effort: not retried and not set aside; raises BusUnavailable.
        """

    async def reply(self, address: str, envelope: Envelope) -> None:
        """Send a reply if its address still exists; never raises for a broker or an asker that is gone."""

    def healthy(self) -> bool:
        """Tell whether the broker answered within the last three heartbeats."""
