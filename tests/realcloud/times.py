"""How long after Heat's own word that a stack is ready a bay is: figures for people, nothing is asserted on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity

from shared.contracts.http.bays import OperationOut
from shared.openstack.stack_news import read
from tests.realcloud.services import NOTIFICATIONS


@dataclass
class HeatTimes:
    """When Heat told of the end of what it did to a stack, by the stack's name."""

    told: dict[str, list[datetime]] = field(default_factory=dict)

    async def hear(self, message: AbstractIncomingMessage) -> None:
        """Note the end of something."""
        news = read(message.body)
        if news is not None and news.ended:
            self.told.setdefault(news.stack_name, []).append(datetime.now(UTC))

    def lags(self, stack_name: str, operations: Iterable[OperationOut]) -> dict[str, float]:
        """Seconds from Heat's last word on the stack to the end of each operation."""
        found: dict[str, float] = {}
        for one in sorted(operations, key=lambda operation: operation.seq):
            ended = datetime.fromisoformat(one.finished_at) if one.finished_at else None
            words = [at for at in self.told.get(stack_name, ()) if ended and at <= ended]
            if ended and words:
                found[f"{one.kind}-{one.seq} after Heat's word"] = round((ended - max(words)).total_seconds(), 2)
        return found


@asynccontextmanager
async def heard() -> AsyncIterator[HeatTimes]:
    """What Heat tells from now on, on a queue of our own; nothing where it does not notify."""
    times, url = HeatTimes(), os.environ.get(NOTIFICATIONS)
    if not url:
        yield times
        return
    connection = await aio_pika.connect(url)
    try:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        try:
            for level in ("info", "error"):
                await queue.bind("heat", f"notifications.{level}")
            await queue.consume(times.hear, no_ack=True)
        except ChannelNotFoundEntity:  # Heat has told nobody anything yet, and the figures are not worth waiting for
            await asyncio.sleep(0)
        yield times
    finally:
        await connection.close()
