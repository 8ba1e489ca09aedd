"""Heat's side of its broker for tests: the exchange and queues that oslo.messaging makes, and messages as Heat's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection

from shared.openstack.notifications import Source

_RECORDED = Path(__file__).parents[1] / "openstack" / "data" / "heat_notifications.json"
_LEVELS = ("info", "error")


@dataclass(frozen=True)
class Sent:
    """A message as Heat publishes it."""

    level: str
    body: bytes


def recorded() -> list[Sent]:
    """What a Heat 27 published while a stack with a group was made, grown and deleted and another one failed."""
    return [Sent(one["routing_key"].split(".")[1], one["body"].encode()) for one in json.loads(_RECORDED.read_text())]


def notification(event: str, state: str, *, name: str, project: str, tags: Iterable[str] | None) -> Sent:
    """A message in the form of the recorded ones; `tags` None leaves them away, as old Heats do."""
    outer = json.loads(recorded()[0].body)
    message = json.loads(outer["oslo.message"])
    payload = message["payload"] | {"tenant_id": project, "stack_name": name, "state": state}
    payload |= {"tags": list(tags or ())}
    if tags is None:
        del payload["tags"]
    message |= {"event_type": f"orchestration.stack.{event}", "payload": payload}
    body = json.dumps(outer | {"oslo.message": json.dumps(message)})
    return Sent("error" if event.endswith(".error") else "info", body.encode())


def inside(sent: Sent) -> dict[str, Any]:
    """The notification in an envelope."""
    message: dict[str, Any] = json.loads(json.loads(sent.body)["oslo.message"])
    return message


@dataclass(frozen=True)
class HeatBus:
    """Heat and another listener, under names of this test's own, because tests share the broker."""

    connection: AbstractConnection
    channel: AbstractChannel
    source: Source
    sent: list[Sent] = field(default_factory=list)
    """What was published."""

    async def make_exchange(self) -> None:
        """As oslo.messaging does by default."""
        await self.channel.declare_exchange(self.source.exchange, aio_pika.ExchangeType.TOPIC, durable=False)

    async def other_listens(self) -> None:
        """As oslo.messaging makes another service's queues: named as the routing keys."""
        for key in self.source.keys:
            await (await self.channel.declare_queue(key)).bind(self.source.exchange, key)

    async def publish(self, *messages: Sent) -> None:
        """As Heat publishes."""
        exchange = await self.channel.get_exchange(self.source.exchange, ensure=False)
        for one in messages:
            message = aio_pika.Message(one.body, content_type="application/json", content_encoding="utf-8")
            await exchange.publish(message, routing_key=f"{self.source.topic}.{one.level}", mandatory=False)
            self.sent.append(one)

    def sent_at(self, level: str) -> int:
        """How many messages were published at this level."""
        return sum(one.level == level for one in self.sent)

    async def waiting(self, queue: str) -> tuple[int, int]:
        """How many messages wait in a queue, and how many consumers it has."""
        async with self.connection.channel() as channel:
            found = (await channel.declare_queue(queue, passive=True)).declaration_result
        return int(found.message_count or 0), int(found.consumer_count or 0)

    async def remove_exchange(self) -> None:
        """What a broker's restart does to an exchange that is not durable."""
        await self.channel.exchange_delete(self.source.exchange)


@asynccontextmanager
async def heat_bus(url: str) -> AsyncIterator[HeatBus]:
    """Heat's side of this broker, gone afterwards."""
    mark = uuid4().hex[:8]
    source = Source((url,), exchange=f"heat-{mark}", topic=f"notifications-{mark}", queue=f"jeroboam.heat-{mark}")
    async with await aio_pika.connect(url) as connection:
        bus = HeatBus(connection, await connection.channel(), source)
        await bus.make_exchange()
        try:
            yield bus
        finally:
            channel = await connection.channel()
            for queue in (source.queue, *source.keys):
                await channel.queue_delete(queue)
            await channel.exchange_delete(source.exchange)
