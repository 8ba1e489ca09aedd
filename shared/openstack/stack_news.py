"""What Heat's notifications say of stacks.

It is a hint and never a fact: anybody who may make a stack can have one published under any tag, one can be lost,
doubled or late, and Heat publishes a stack's end a moment *before* it writes the end to its database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

_STACKS: Final = "orchestration.stack."


@dataclass(frozen=True, slots=True)
class StackNews:
    """What a notification says of a stack."""

    stack_id: str
    stack_name: str
    project_id: str
    state: str
    """Action and phase, such as CREATE_COMPLETE."""
    event: str
    """Such as orchestration.stack.create.end."""
    tags: tuple[str, ...] | None
    """None where this Heat does not tell them (before Newton)."""

    @property
    def ended(self) -> bool:
        """Whether Heat says that it is through with what it did to the stack."""
        return self.event.endswith((".end", ".error")) or self.state.endswith(("_COMPLETE", "_FAILED"))


def read(body: bytes) -> StackNews | None:
    """The news in a message, with oslo.messaging's envelope or without; None: it is about something else than a stack.

    Raises:
        ValueError: it is no notification.
    """
    message = _object(orjson.loads(body))
    if "oslo.message" in message:
        message = _object(orjson.loads(_text(message, "oslo.message")))
    event = _text(message, "event_type")
    if not event.startswith(_STACKS):
        return None
    payload = _object(message.get("payload"))
    tags = payload.get("tags")
    return StackNews(
        stack_id=_text(payload, "stack_identity"),
        stack_name=_text(payload, "stack_name"),
        project_id=_text(payload, "tenant_id"),
        state=_text(payload, "state"),
        event=event,
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else None,
    )


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object where there should be one")  # noqa: TRY004 - the message's fault
    return value


def _text(of: dict[str, object], name: str) -> str:
    value = of.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"no text {name}")
    return value
