"""Bays' events as streams: one poller for all that is watched, and a bounded queue for each who watches.

The poller asks one question for all watched bays every `PAUSE` seconds; it runs while somebody watches. Each watched
bay has its present state in memory (`_Watch`), kept by the poller alone, so that whoever comes starts from there and
what follows reaches them through their queue: nothing is missed in between, because both happen without an `await`.

Who reads too slowly loses the queue, not events: the stream starts again from the present state, and the lines of the
history that it has not sent are read from the database. So nobody holds the poller up, and a queue does not grow.

A stream ends after `LONGEST` seconds at most, because the token is only looked at when it begins: a right that was
taken away is felt by then. The client connects again with `Last-Event-ID` and misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

import orjson
import structlog
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from shared.db.health import is_away
from shared.db.reader import Source
from shared.db.repositories import events
from shared.db.repositories.events import Line, News, Seen, Told
from shared.domain.errors import Unavailable

_log = structlog.get_logger(__name__)

PAUSE: Final = 0.5
"""Seconds between two questions to the database; a change is seen within a second."""

LONGEST: Final = 3600.0
"""Seconds that a stream may take. Each takes up to a tenth less, so that clients do not come back all at once."""

KEEP_ALIVE: Final = 15.0
"""Seconds without an event after which a comment tells proxies and clients that the stream lives."""

_AFTER_TROUBLE: Final = 10
"""So many times `PAUSE` after the database did not answer."""

_GRACE: Final = 1.0
_MOST_QUEUED: Final = 64
_RETRY_MILLISECONDS: Final = 2000


class _Event(NamedTuple):
    """An event as it is sent, formatted once for all who get it."""

    frame: bytes
    seq: int | None = None
    """The number of the history's line that it is."""
    operation: UUID | None = None


def _of_line(line: Line) -> _Event:
    return _Event(format_sse_event(event="status", id=str(line.seq), data_str=line.text), seq=line.seq)


def _of_operation(told: Told) -> _Event:
    return _Event(format_sse_event(event="operation", data_str=told.text.replace("\n", "")), operation=told.id)


@dataclass(eq=False)
class _Watch:
    """A watched bay as it is now, and who watches it."""

    bay_id: UUID
    seen: Seen = field(default_factory=Seen)
    ready: bool = False
    """Whether the poller has told of it."""
    status: _Event | None = None
    operations: dict[UUID, tuple[Told, _Event]] = field(default_factory=dict)
    """What is live, and the newest."""
    gone: bytes | None = None
    watchers: set[Subscription] = field(default_factory=set)

    def learn(self, news: News) -> None:
        """Take the news in and pass it on. An operation's end is told before the status that it leads to."""
        fresh = [(told, _of_operation(told)) for told in news.operations]
        lines = [_of_line(line) for line in news.lines]
        self.operations |= {told.id: (told, event) for told, event in fresh}
        newest = max((told.seq for told, _event in self.operations.values()), default=None)
        self.operations = {
            key: (told, event) for key, (told, event) in self.operations.items() if told.live or told.seq == newest
        }
        self.status = lines[-1] if lines else self.status
        self.gone = format_sse_event(event="gone", data_str=_gone(self.bay_id)) if news.gone else None
        self.seen = Seen(
            history=self.status.seq if self.status else None,
            operation=newest,
            live={key: told.digest for key, (told, _event) in self.operations.items() if told.live},
        )
        self.ready = True
        for watcher in self.watchers:
            watcher.tell([*(event for _told, event in fresh), *lines])


class Subscription:
    """One stream. It takes one of the hub's places until `close`."""

    def __init__(self, hub: Hub, watch: _Watch, after: int | None, longest: float, owner: str = "") -> None:
        self.owner = owner
        """The project that asked for it."""
        self._hub = hub
        self._watch = watch
        self._sent = after
        self._queue: deque[_Event] = deque()
        self._behind = True
        self._ended: set[UUID] = set()
        self._wake = asyncio.Event()
        self._deadline = asyncio.get_running_loop().time() + longest
        self._limit: asyncio.Timeout | None = None
        if watch.ready:
            self._wake.set()

    def tell(self, news: list[_Event]) -> None:
        """Something happened. Who has not begun yet, or has fallen behind, starts from the present state anyway."""
        if not self._behind:
            self._queue.extend(news)
        if len(self._queue) > _MOST_QUEUED:
            self._queue.clear()
            self._behind = True
        self._wake.set()

    def end(self) -> None:
        """Finish soon, however slowly the client reads."""
        now = asyncio.get_running_loop().time()
        self._deadline = min(self._deadline, now)
        self._wake.set()
        if self._limit is not None:
            with contextlib.suppress(RuntimeError):  # it is ending already
                self._limit.reschedule(now + _GRACE)

    def close(self) -> None:
        """Give the place back; doing it twice does no harm."""
        self._hub.leave(self, self._watch)

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Around the sending: closes at its end, and cuts off a client that does not read past the stream's time."""
        try:
            async with asyncio.timeout_at(self._deadline + _GRACE) as self._limit:
                yield
        except TimeoutError:
            _log.info("a stream was cut off, because its client does not read")
        finally:
            self.close()

    async def frames(self) -> AsyncIterator[bytes]:
        """The stream, until the bay is gone, its time is up, or the database cannot tell what was missed."""
        yield format_sse_event(retry=_RETRY_MILLISECONDS)
        try:
            while await self._woken() or not self._over:
                sent = False
                async for frame in self._news():
                    sent = True
                    yield frame
                if self._watch.gone is not None and not self._behind and not self._queue:
                    yield self._watch.gone
                    return
                if self._over:
                    return
                if not sent:
                    yield KEEPALIVE_COMMENT
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("a stream ends, because the database does not answer", bay=str(self._watch.bay_id))

    @property
    def _over(self) -> bool:
        return asyncio.get_running_loop().time() >= self._deadline

    async def _woken(self) -> bool:
        """Whether there may be something to send; False when there was nothing for a while, or the time is up."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + KEEP_ALIVE, self._deadline)):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _news(self) -> AsyncIterator[bytes]:
        if self._behind and self._watch.ready:
            self._behind = False
            async for frame in self._present():
                yield frame
        while self._queue:
            event = self._queue.popleft()
            if event.operation is None or event.operation not in self._ended:
                self._sent = event.seq or self._sent
                yield event.frame

    async def _present(self) -> AsyncIterator[bytes]:
        """The present state; before it, what has happened since the client was last told.

        Race: the database may be ahead of what the poller has told. So lines are read up to the poller's last, and an
        operation that the database calls ended is told from there alone, whatever older news of it is still queued.
        """
        status, operations, upto = self._watch.status, self._watch.operations, self._watch.seen.history
        after = self._sent
        if after is None or upto is None or after > upto:
            self._sent = upto
            for event in (status, *(event for _told, event in operations.values())):
                if event is not None:
                    yield event.frame
            return
        source, bay_id = self._hub.source, self._watch.bay_id
        ended = await events.ended(source, bay_id, after=after)
        self._ended = {told.id for told in ended}
        for told in ended:
            yield _of_operation(told).frame
        while after < upto and (lines := await events.lines(source, bay_id, after=after, upto=upto)):
            for line in lines:
                yield _of_line(line).frame
            after = self._sent = lines[-1].seq
        for told, event in operations.values():
            if told.id not in self._ended:
                yield event.frame


class Hub:
    """All streams of the process. `most` is how many there may be, `longest` and `pause` are in seconds.

    One project gets a quarter of the places, at least two, so that nobody can take them all.
    """

    def __init__(self, source: Source, *, most: int, longest: float = LONGEST, pause: float = PAUSE) -> None:
        self.source = source
        self._most = most
        self._share = max(2, most // 4)
        self._longest = longest
        self._pause = pause
        self._watches: dict[UUID, _Watch] = {}
        self._poller: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._ending = False

    @property
    def streams(self) -> int:
        """How many there are."""
        return sum(len(watch.watchers) for watch in self._watches.values())

    @property
    def polling(self) -> bool:
        """Whether the database is being asked."""
        return self._poller is not None and not self._poller.done()

    def subscribe(self, bay_id: UUID, after: int | None, *, owner: str = "") -> Subscription:
        """A stream of this bay's events after that number of its history; None: from the present state on.

        `owner` is the project that asks, which need not be the bay's.

        Raises:
            Unavailable: there are as many as there may be, or as one project may have, or the process is about to end.
        """
        if self._ending or self.streams >= self._most:
            raise Unavailable("There are as many event streams here as there may be.", retry_after=_retry_after())
        if sum(watcher.owner == owner for watcher in self._all()) >= self._share:
            raise Unavailable("Your project has as many event streams here as it may have.", retry_after=_retry_after())
        watch = self._watches.get(bay_id)
        if watch is None:
            watch = self._watches[bay_id] = _Watch(bay_id)
            self._wake.set()
        made = Subscription(self, watch, after, self._longest * random.uniform(0.9, 1.0), owner)
        watch.watchers.add(made)
        if not self.polling:
            self._poller = asyncio.create_task(self._poll())
        return made

    def leave(self, subscription: Subscription, watch: _Watch) -> None:
        """The stream is over."""
        watch.watchers.discard(subscription)
        if not watch.watchers and self._watches.get(watch.bay_id) is watch:
            del self._watches[watch.bay_id]
        if not self._watches:
            self._wake.set()  # the poller finds nothing to do and ends

    def end(self) -> None:
        """The process is about to end: so do all streams, and no new one begins."""
        self._ending = True
        for watcher in list(self._all()):
            watcher.end()

    async def close(self) -> None:
        """End the poller."""
        self.end()
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    def _all(self) -> Iterator[Subscription]:
        return (watcher for watch in self._watches.values() for watcher in watch.watchers)

    async def _poll(self) -> None:
        while self._watches:
            self._wake.clear()
            pause = self._pause
            try:
                await self._look()
            except Exception as error:  # whatever it is, those who watch are better served by another try
                pause *= _AFTER_TROUBLE
                _log.warning("watched bays not seen", cause=type(error).__name__, exc_info=not is_away(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _look(self) -> None:
        asked = {bay_id: watch for bay_id, watch in self._watches.items() if watch.gone is None}
        if not asked:
            return
        found = await events.look(self.source, {bay_id: watch.seen for bay_id, watch in asked.items()})
        for bay_id, watch in asked.items():
            # Everybody may have left meanwhile, and others come: their watch begins anew and was not asked about.
            if self._watches.get(bay_id) is watch and (bay_id in found or not watch.ready):
                watch.learn(found.get(bay_id, News()))


def _gone(bay_id: UUID) -> str:
    return orjson.dumps({"uuid": str(bay_id)}).decode()


def _retry_after() -> int:
    """Seconds; not the same for all who were turned away."""
    return random.randint(5, 15)
