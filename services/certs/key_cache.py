"""Opened authorities in memory: at most so many, at most so long. Keys are nowhere else in clear."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from uuid import UUID

from services.certs.authority import Authority


class KeyCache:
    """Least recently used goes first; an entry is dropped `ttl` seconds after it was put. One event loop only."""

    def __init__(self, size: int, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._ttl, self._clock = size, ttl, clock
        self._entries: OrderedDict[UUID, tuple[float, Authority]] = OrderedDict()
        self._opening: dict[UUID, asyncio.Task[Authority]] = {}

    def get(self, authority_id: UUID) -> Authority | None:
        """The authority, None when it is not here or has been here too long."""
        self.drop_old()
        entry = self._entries.get(authority_id)
        if entry is None:
            return None
        self._entries.move_to_end(authority_id)
        return entry[1]

    def put(self, authority_id: UUID, authority: Authority) -> None:
        """Keep it; the least recently used one makes room."""
        self._entries[authority_id] = (self._clock() + self._ttl, authority)
        self._entries.move_to_end(authority_id)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    async def opened(self, authority_id: UUID, opening: Callable[[UUID], Awaitable[Authority]]) -> Authority:
        """What `opening` gives, kept; who asks while it is under way gets the same. Raises as `opening`.

        One that was forgotten while it was opened is not kept.
        """
        task = self._opening.get(authority_id)
        if task is None:
            task = asyncio.create_task(_awaited(opening(authority_id)))
            self._opening[authority_id] = task
            task.add_done_callback(lambda done: self._keep(authority_id, done))
        return await asyncio.shield(task)

    def forget(self, authority_id: UUID) -> None:
        """Drop it now, because its key is being destroyed."""
        self._entries.pop(authority_id, None)
        self._opening.pop(authority_id, None)

    def __len__(self) -> int:
        """How many are held, old ones left out."""
        self.drop_old()
        return len(self._entries)

    def drop_old(self) -> None:
        """Drop what has been here too long. To be called now and then: nobody may ask for anything for hours."""
        now = self._clock()
        for authority_id in [key for key, (until, _) in self._entries.items() if until <= now]:
            del self._entries[authority_id]

    def _keep(self, authority_id: UUID, opened: asyncio.Task[Authority]) -> None:
        if self._opening.get(authority_id) is opened:
            del self._opening[authority_id]
            if not opened.cancelled() and opened.exception() is None:
                self.put(authority_id, opened.result())


async def _awaited(opening: Awaitable[Authority]) -> Authority:
    return await opening
