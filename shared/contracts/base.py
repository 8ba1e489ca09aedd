"""The base of every message class.

Rules of a released message: fields are only ever added, and a changed schema is a new version in a new class.
A message says "look at this operation"; facts live in the database, so losing or doubling one is harmless.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A message. Subclasses are frozen, refuse unknown fields, and their docstring is the catalogue's text."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    name: ClassVar[str]
    """Wire name, `noun.verb` in lower case; also the routing key."""
    version: ClassVar[int]
    """Version of the schema, from 1."""
    owner: ClassVar[str]
    """The one service that publishes it."""
    ttl: ClassVar[timedelta | None] = None
    """How long after publishing somebody still waits for it; None = for ever."""
    reply: ClassVar[bool] = False
    """True when it goes to the reply queue named in a request instead of the services' queues."""
