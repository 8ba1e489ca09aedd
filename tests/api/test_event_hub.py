"""The hub of all event streams by itself: what it asks the database, who waits for whom, and what is freed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.api.usecases.events import Hub, Subscription
from shared.db.reader import Reader, Source
from shared.domain.errors import Unavailable
from tests.api.harness import System
from tests.api.streams import PATIENCE, Watching


@dataclass
class Counting:
    """A source that counts what it is asked, and can be away."""

    source: Source
    asked: int = 0
    away: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(self, query: str, /, *arguments: object) -> Sequence[Any]:
        self.asked += 1
        self.looked.set()
        if self.away:
            self.away -= 1
            raise ConnectionRefusedError("away")
        return await self.source.fetch(query, *arguments)

    async def next_look(self) -> None:
        self.looked.clear()
        async with asyncio.timeout(PATIENCE):
            await self.looked.wait()


@pytest.fixture
async def source(system: System) -> AsyncIterator[Counting]:
    reader = await Reader.open(system.dsn, size=2)
    yield Counting(reader)
    await reader.close()


def reading(subscription: Subscription) -> Watching:
    """The frames of a stream without a connection."""

    async def texts() -> AsyncIterator[str]:
        async for frame in subscription.frames():
            yield frame.decode()

    return Watching(texts(), httpx.Headers())


async def test_nobody_watches_nothing_is_asked_and_all_share_one_question(system: System, source: Counting) -> None:
    bays = [UUID((await asyncio.to_thread(system.bay))["uuid"]) for _ in range(3)]
    hub = Hub(source, most=120, pause=0.01)
    assert [hub.streams, hub.polling] == [0, False]
    watchers = [hub.subscribe(bay, None) for bay in bays for _ in range(10)]
    for watcher in watchers:
        await reading(watcher).until("operation")
    before = source.asked
    for _ in range(5):
        await source.next_look()
    assert source.asked - before <= 6, "one question for thirty streams"
    for watcher in watchers:
        watcher.close()
        watcher.close()
    async with asyncio.timeout(PATIENCE):
        while hub.polling:
            await asyncio.sleep(0)
    assert hub.streams == 0
    asked = source.asked
    again = hub.subscribe(bays[0], None)
    await reading(again).until("operation")
    assert source.asked > asked
    await hub.close()


async def test_one_project_cannot_take_all_places(source: Counting) -> None:
    hub = Hub(source, most=12, pause=60)
    taken = [hub.subscribe(uuid4(), None, owner="greedy") for _ in range(3)]
    with pytest.raises(Unavailable, match="Your project has as many event streams here as it may have") as caught:
        hub.subscribe(uuid4(), None, owner="greedy")
    assert caught.value.retry_after > 0
    hub.subscribe(uuid4(), None, owner="modest")
    taken[0].close()
    hub.subscribe(uuid4(), None, owner="greedy")
    await hub.close()


async def test_who_reads_slowly_misses_no_status_and_holds_nobody_up(system: System, source: Counting) -> None:
    bay = (await asyncio.to_thread(system.bay))["uuid"]
    hub = Hub(source, most=2, pause=0.01)
    slow, quick = reading(hub.subscribe(UUID(bay), None)), reading(hub.subscribe(UUID(bay), None))
    first = await slow.until("status")
    await quick.until("operation")
    query = (
        "INSERT INTO bay_history (bay_id, event, became) SELECT $1, 'n' || n, 'UPDATE_IN_PROGRESS' "
        "FROM generate_series(1, 300) n RETURNING seq"
    )
    seqs = sorted(row["seq"] for row in await system.sql(query, UUID(bay)))
    assert [int((await quick.until("status")).id or 0) for _ in seqs] == seqs
    assert [int((await slow.until("status")).id or 0) for _ in seqs] == seqs
    assert int(first.id or 0) < seqs[0]
    await hub.close()


async def test_a_late_comer_starts_from_the_present_without_a_question(system: System, source: Counting) -> None:
    bay = UUID((await asyncio.to_thread(system.bay))["uuid"])
    hub = Hub(source, most=2, pause=60)
    await reading(hub.subscribe(bay, None)).until("operation")
    asked = source.asked
    await reading(hub.subscribe(bay, None)).until("operation")
    assert source.asked == asked
    with pytest.raises(Unavailable):
        hub.subscribe(bay, None)
    await hub.close()


async def test_trouble_with_the_database_is_waited_out(system: System, source: Counting) -> None:
    bay = UUID((await asyncio.to_thread(system.bay))["uuid"])
    source.away = 3
    hub = Hub(source, most=1, pause=0.01)
    await reading(hub.subscribe(bay, None)).until("operation")
    await hub.close()


async def test_a_stream_ends_when_its_time_is_up(system: System, source: Counting) -> None:
    bay = UUID((await asyncio.to_thread(system.bay))["uuid"])
    hub = Hub(source, most=1, pause=0.01, longest=0.05)
    subscription = hub.subscribe(bay, None)
    async with subscription.kept():
        stream = reading(subscription)
        while await stream.next() is not None:
            assert hub.streams == 1
    assert hub.streams == 0


async def test_a_client_that_does_not_read_is_cut_off_at_the_end(system: System, source: Counting) -> None:
    bay = UUID((await asyncio.to_thread(system.bay))["uuid"])
    hub = Hub(source, most=1, pause=0.01)
    subscription = hub.subscribe(bay, None)
    async with asyncio.timeout(PATIENCE), subscription.kept():
        hub.end()
        await asyncio.Event().wait()  # as `send` does once the connection's buffer is full
    assert hub.streams == 0
    with pytest.raises(Unavailable):
        hub.subscribe(bay, None)
    await hub.close()
