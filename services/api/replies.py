"""Who waits for which signature: the reply queue of this process wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from shared.contracts.base import Message
from shared.contracts.certificate import CertificateSigned
from shared.contracts.node import NodeAttestDecided


class Replies:
    """Waiters by sign request or attestation. A reply that nobody waits for is dropped: the row is the truth.

    Several may wait for one: a node that lost its connection asks the same again.
    """

    def __init__(self) -> None:
        self.address = ""
        """Of the reply queue, once it is open."""
        self._waiting: dict[UUID, list[asyncio.Event]] = {}

    async def arrived(self, message: Message) -> None:
        """A reply came."""
        if isinstance(message, CertificateSigned):
            self._wake(message.sign_request_id)
        elif isinstance(message, NodeAttestDecided):
            self._wake(message.attestation_id)

    def _wake(self, row_id: UUID) -> None:
        for waiter in self._waiting.get(row_id, ()):
            waiter.set()

    @contextmanager
    def waiting_for(self, row_id: UUID) -> Iterator[asyncio.Event]:
        """The event that the reply sets."""
        event = asyncio.Event()
        self._waiting.setdefault(row_id, []).append(event)
        try:
            yield event
        finally:
            self._waiting[row_id].remove(event)
            if not self._waiting[row_id]:
                del self._waiting[row_id]
