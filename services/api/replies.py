"""Who waits for which signature: the reply queue of this process wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from shared.contracts.base import Message
from shared.contracts.certificate import CertificateSigned


class Replies:
    """A table of waiters by sign request. A reply that nobody waits for is dropped: the row is the truth."""

    def __init__(self) -> None:
        self.address = ""
        """Of the reply queue, once it is open."""
        self._waiting: dict[UUID, asyncio.Event] = {}

    async def arrived(self, message: Message) -> None:
        """A reply came."""
        if isinstance(message, CertificateSigned) and (waiter := self._waiting.get(message.sign_request_id)):
            waiter.set()

    @contextmanager
    def waiting_for(self, request_id: UUID) -> Iterator[asyncio.Event]:
        """The event that the reply sets."""
        event = self._waiting[request_id] = asyncio.Event()
        try:
            yield event
        finally:
            del self._waiting[request_id]
