"""What travels: an id, which message it is, its body and its headers.

The envelope is the same on both buses and in the outbox. Its id is the outbox row's id, so that a message
which is published twice is recognised as the same one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

MAX_BODY_BYTES: Final = 64 * 1024
"""Largest body in bytes. Messages only point at rows; a bigger one is a mistake or an attack."""

EXPIRES_AT: Final = "expires_at"
"""Header with the time (ISO 8601 with offset) from which nobody waits for the message any more."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on the wire. The body (a JSON object) is kept out of the repr."""

    id: UUID
    name: str
    version: int
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict)


def is_expired(headers: dict[str, str], now: datetime | None = None) -> bool:
    """Tell whether the `expires_at` header has passed; a message without it never expires.

    Raises ValueError when the header is not a time with an offset.
    """
    text = headers.get(EXPIRES_AT)
    if text is None:
        return False
    expires_at = datetime.fromisoformat(text)
    if expires_at.tzinfo is None:
        raise ValueError(f"{EXPIRES_AT} has no offset from UTC")
    return expires_at <= (now or datetime.now(UTC))
