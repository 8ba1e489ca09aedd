"""Message object ↔ envelope, with the checks on both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid4

from pydantic import ValidationError

from shared.contracts.base import Message
from shared.contracts.envelope import EXPIRES_AT, MAX_BODY_BYTES, Envelope
from shared.contracts.registry import BY_NAME, message_class
from shared.domain.errors import JeroboamError


class MalformedMessage(JeroboamError):
    """A message is not what its name and version promise. `reason` says why and never repeats the values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode(message: Message, *, id: UUID | None = None, headers: Mapping[str, str] | None = None) -> Envelope:  # noqa: A002
    """Put a message into an envelope; `id` is the outbox row's when there is one.

    A message class with a time to live gets its `expires_at` header here. Raises MalformedMessage when the
    class is not registered or the body is larger than 64 KiB.
    """
    if message_class(message.name, message.version) is not type(message):
        raise MalformedMessage(f"{type(message).__name__} is not a registered message")
    body = message.model_dump_json().encode()
    if len(body) > MAX_BODY_BYTES:
        raise MalformedMessage(f"body has {len(body)} bytes, allowed are {MAX_BODY_BYTES}")
    all_headers = dict(headers or {})
    if message.ttl is not None:
        all_headers.setdefault(EXPIRES_AT, (datetime.now(UTC) + message.ttl).isoformat())
    return Envelope(id or uuid4(), message.name, message.version, body, all_headers)


def decode(envelope: Envelope) -> Message:
    """Read the message in an envelope.

    Raises MalformedMessage for an unknown name or version, an oversized body, a body that is not the JSON
    object which the class describes.
    """
    if len(envelope.body) > MAX_BODY_BYTES:
        raise MalformedMessage(f"body has {len(envelope.body)} bytes, allowed are {MAX_BODY_BYTES}")
    cls = message_class(envelope.name, envelope.version)
    if cls is None and envelope.name in BY_NAME:
        raise MalformedMessage(f"unknown version {envelope.version} of message {envelope.name}")
    if cls is None:
        raise MalformedMessage(f"unknown message {envelope.name[:100]!r}")
    try:
        return cls.model_validate_json(envelope.body)
    except ValidationError as error:
        raise MalformedMessage(f"{cls.name} v{cls.version}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    """Say which fields are wrong and why, without the values."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part)[:50] for part in problem['loc']) or 'body'}: {problem['msg'][:200]}"
        for problem in problems[:5]
    )
