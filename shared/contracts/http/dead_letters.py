"""Bodies of /v1/dead_letters. Not in Magnum."""

from __future__ import annotations

from pydantic import BaseModel


class DeadLetterBrief(BaseModel):
    """An item of GET /v1/dead_letters: a message that could not be handled."""

    id: str
    service: str
    """Who set it aside."""
    queue: str
    """The service's queue that it came from."""
    name: str | None
    """Which message it is; null when it did not say."""
    version: int | None
    message_id: str | None
    """The message's own id; a letter that dies again is another letter about the same message."""
    reason: str
    created_at: str
    """When it was set aside."""
    resent_at: str | None
    """When it was sent again; null while nobody has."""


class DeadLetterFull(DeadLetterBrief):
    """A dead letter, whole."""

    body: str
    """As it came, cut to 8,192 characters. Our messages hold ids, a reason and an address to reply to."""
    headers: dict[str, str]
    obstacle: str | None
    """Why it cannot be sent again; null: it can."""


class DeadLetterList(BaseModel):
    """GET /v1/dead_letters, newest first."""

    dead_letters: list[DeadLetterBrief]
    next: str | None = None
    """URL of the next page; absent when this page is not full."""
