"""What happens to a bay, however often the connection breaks: its event stream, and questions where that is refused.

Each time that a stream has begun, the operations are asked for once. So nothing is missed: what ended before the stream
began is in that answer, and what ends later is in the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final

from shared.client.api import JeroboamClient
from shared.client.events import BayEvent
from shared.contracts.http.bays import OperationOut
from shared.contracts.http.events import GoneEvent
from shared.domain.errors import CloudError

FINAL: Final = frozenset({"done", "failed", "superseded", "cancelled"})
"""States that an operation stays in."""

_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 15.0
_PATIENCE: Final = 300.0
"""Seconds without any answer after which watching ends with the error."""


class Watch:
    """One bay, by its uuid: a name may be another bay's tomorrow. `known` are operations that need no telling again."""

    def __init__(self, client: JeroboamClient, bay: str, known: Iterable[OperationOut]) -> None:
        self._client = client
        self._bay = bay
        self._known = {one.id: one for one in known}
        self._after: int | None = None
        self._heard = asyncio.get_running_loop().time()

    async def news(self) -> AsyncGenerator[BayEvent]:
        """Everything new, as it happens, until the bay is gone.

        Raises:
            CloudError: refused, or nobody answers for minutes.
        """
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                async with aclosing(self._stream() if pause == 0.0 else self._retried()) as told:
                    async for event in told:
                        self._heard = asyncio.get_running_loop().time()
                        yield event
                        if isinstance(event.data, GoneEvent):
                            return
            except CloudError as error:
                if error.status == 404:
                    yield BayEvent(GoneEvent(uuid=self._bay), None)
                    return
                if not error.retryable or asyncio.get_running_loop().time() - self._heard > _PATIENCE:
                    raise
                pause = min(max(error.retry_after or 0.0, _PAUSE), _LONGEST_PAUSE)
            else:  # it ends every hour, and when the service stops
                pause = _PAUSE

    async def _retried(self) -> AsyncGenerator[BayEvent]:
        """The answer to a question, since streams may be refused for long (too many of them), and then the stream."""
        for event in await self._asked():
            yield event
        async with aclosing(self._stream()) as told:
            async for event in told:
                yield event

    async def _stream(self) -> AsyncGenerator[BayEvent]:
        begun = False
        async with aclosing(self._client.events(self._bay, after=self._after)) as told:
            async for event in told:
                self._after = event.after
                if self._is_news(event):
                    yield event
                if not begun:
                    begun = True
                    for found in await self._asked():
                        yield found

    async def _asked(self) -> list[BayEvent]:
        found = [BayEvent(one, self._after) for one in reversed(await self._client.operations(self._bay))]
        self._heard = asyncio.get_running_loop().time()
        return [one for one in found if self._is_news(one)]

    def _is_news(self, event: BayEvent) -> bool:
        """Whether it was not told before. An operation that has ended is not told of again, by older words."""
        if not isinstance(event.data, OperationOut):
            return True
        before = self._known.get(event.data.id)
        self._known[event.data.id] = event.data if before is None or before.state not in FINAL else before
        return before is None or (before.state not in FINAL and before != event.data)
