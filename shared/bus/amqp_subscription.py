"""One queue that this process reads on RabbitMQ, and how a message looks there.

On the wire: message id = envelope id, type and routing key = message name, our headers as text. Headers that start
with `x-` are the broker's own and stay with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

from shared.bus.amqp_link import ERRORS
from shared.bus.port import Envelope, RawEnvelope
from shared.bus.topology import Queue, Topology

VERSION: Final = "jeroboam-version"
"""Header with the version of the message's schema."""

Receive = Callable[[AbstractIncomingMessage], Awaitable[None]]
Spawn = Callable[["Subscription", AbstractIncomingMessage], None]


class Subscription:
    """A queue with its receiver. `own` is set when the queue is this process's and is declared with it."""

    def __init__(
        self, queue: str, concurrency: int, receive: Receive, spawn: Spawn, *, own: Queue | None = None
    ) -> None:
        self.queue = queue
        self.receive = receive
        self.slots = asyncio.Semaphore(concurrency)
        # After a reconnect, handlers of the lost connection still run: prefetch alone would let as many again start.
        self._concurrency = concurrency
        self._spawn = spawn
        self._own = own
        self._open: tuple[AbstractQueue, str] | None = None

    async def open(self, connection: AbstractConnection) -> AbstractChannel:
        """Consume on a fresh channel; per-consumer prefetch, as quorum queues refuse the channel-wide kind."""
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=self._concurrency, global_=False)
        if self._own is None:
            queue = await channel.get_queue(self.queue, ensure=False)
        else:
            queue = await channel.declare_queue(self.queue, durable=True, arguments=dict(self._own.arguments))
        self._open = queue, await queue.consume(self._deliver, no_ack=self._own is not None)
        return channel

    async def cancel(self) -> None:
        """Stop receiving; a queue of our own is removed."""
        if self._open is None:
            return
        queue, tag = self._open
        with suppress(*ERRORS):
            async with asyncio.timeout(2.0):
                await queue.cancel(tag)
                if self._own is not None:
                    await queue.delete(if_unused=False, if_empty=False)

    async def _deliver(self, incoming: AbstractIncomingMessage) -> None:
        self._spawn(self, incoming)


async def declare(channel: AbstractChannel, wanted: Topology) -> None:
    """Make sure that exchanges, queues and bindings exist; changes nothing that is there."""
    for exchange in wanted.exchanges:
        await channel.declare_exchange(exchange.name, exchange.type, durable=True)
    for queue in wanted.queues:
        await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
    for binding in wanted.bindings:
        target = await channel.get_queue(binding.queue, ensure=False)
        await target.bind(binding.exchange, binding.key)


def raw_envelope(incoming: AbstractIncomingMessage) -> RawEnvelope:
    """Read a delivery without trusting any part of it."""
    headers = {str(key): _text(value) for key, value in incoming.headers.items() if not str(key).startswith("x-")}
    version = headers.pop(VERSION, "")
    return RawEnvelope(incoming.message_id or "", incoming.type or "", version, incoming.body, headers)


def envelope_message(envelope: Envelope) -> aio_pika.Message:
    """Put an envelope into an AMQP message."""
    return as_message(str(envelope.id), envelope.name, str(envelope.version), envelope.body, envelope.headers)


def as_message(message_id: str, name: str, version: str, body: bytes, headers: Mapping[str, str]) -> aio_pika.Message:
    """Make a persistent AMQP message."""
    return aio_pika.Message(
        body,
        message_id=message_id or None,
        type=name or None,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        headers={**headers, VERSION: version},
    )


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes | bytearray) else str(value)
