"""Opened authorities in memory: at most so many, at most so long. Keys are nowhere else in clear."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from services.certs.authority import Authority


class KeyCache:
    """Least recently used goes first; an entry is dropped `ttl` seconds after it was put. One event loop only."""

    def __init__(self, size: int, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._ttl, self._clock = size, ttl, clock
        self._entries: OrderedDict[UUID, tuple[float, Authority]] = OrderedDict()

    def get(self, authority_id: UUID) -> Authority | None:
        """The authority, None when it is not here or has been here too long."""
        self._drop_old()
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

    def forget(self, authority_id: UUID) -> None:
        """Drop it now, because its key is being destroyed."""
        self._entries.pop(authority_id, None)

    def __len__(self) -> int:
        """How many are held, old ones left out."""
        self._drop_old()
        return len(self._entries)

    def _drop_old(self) -> None:
        now = self._clock()
        for authority_id in [key for key, (until, _) in self._entries.items() if until <= now]:
            del self._entries[authority_id]
