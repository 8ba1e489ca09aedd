"""The bus on RabbitMQ: quorum queues, publisher confirms, one delay queue per delay step.

What we never rely on: a confirm alone (an unroutable message is confirmed too, so every publish is mandatory and a
return raises), the library's default delivery mode (not persistent), a retry without a confirmed copy.
Publishing and consuming have a connection each: a broker short of memory stops reading from publishers, and
acknowledgements must still get through then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from shared.bus.amqp_confirm import NOT_CONFIRMED, publish_confirmed, why
from shared.bus.amqp_link import ERRORS, Link
from shared.bus.amqp_subscription import Subscription, as_message, declare, envelope_message, raw_envelope
from shared.bus.delivery import Courier, Done, Later, attempts_of, label
from shared.bus.port import Handler, PublishFailed
from shared.bus.topology import DELIVERY_LIMIT, Names, Queue, reply_queue_arguments, topology
from shared.contracts import MAX_BODY_BYTES, Envelope
from shared.contracts.registry import CONSUMERS
from shared.runtime.telemetry import MESSAGES

log = logging.getLogger(__name__)

START_LIMIT: Final = 60.0
_ACK_LIMIT: Final = 5.0
_REPLY_PREFETCH: Final = 100
_DEAD_PREFETCH: Final = 10


class RabbitBus:
    """`Bus` on RabbitMQ. `heartbeat` in seconds; everything on the broker is named under `prefix`."""

    def __init__(
        self,
        url: str,
        *,
        service: str,
        courier: Courier,
        prefix: str = "jeroboam",
        heartbeat: int = 10,
        close_grace: float = 5.0,
    ) -> None:
        self._service = service
        self._grace = close_grace
        self._courier = courier
        self._names = Names(prefix)
        self._topology = topology(prefix, courier.delay_steps)
        self._subscriptions: list[Subscription] = []
        self._subscribing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._publisher: AbstractChannel | None = None
        self._consuming: AbstractConnection | None = None
        self._out = Link(url, name=f"{prefix} {service} publishing", heartbeat=heartbeat, setup=self._set_up_publisher)
        self._in = Link(url, name=f"{prefix} {service} consuming", heartbeat=heartbeat, setup=self._set_up_consumers)

    async def start(self) -> None:
        """See `Bus.start`."""
        try:
            await self._out.start(START_LIMIT)
            await self._in.start(START_LIMIT)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """See `Bus.close`. What is not acknowledged goes back to its queue when the connection closes."""
        self._closing = True
        await asyncio.gather(*(subscription.cancel() for subscription in self._subscriptions))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._in.close()
        await self._out.close()

    def healthy(self) -> bool:
        """See `Bus.healthy`."""
        return self._out.healthy() and self._in.healthy()

    async def publish(self, envelopes: Sequence[Envelope], *, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """See `Bus.publish`."""
        deadline = asyncio.get_running_loop().time() + timeout
        reasons = await asyncio.gather(*(self._publish_one(envelope, deadline) for envelope in envelopes))
        failed: dict[UUID, str] = {}
        for envelope, reason in zip(envelopes, reasons, strict=True):
            if reason is not None:
                failed[envelope.id] = reason
            else:
                MESSAGES.labels(label(envelope.name), "published").inc()
        if failed:
            raise PublishFailed(failed)

    async def consume(self, queue: str, handler: Handler, *, concurrency: int) -> None:
        """See `Bus.consume`. Also empties the queue of what the broker gave up on."""
        if queue not in CONSUMERS:
            raise ValueError(f"no queue {queue!r}; there are {', '.join(sorted(CONSUMERS))}")
        name = self._names.queue(queue)
        if any(subscription.queue == name for subscription in self._subscriptions):
            raise ValueError(f"queue {queue!r} has its handler already")

        async def settle(incoming: AbstractIncomingMessage) -> None:
            await self._finish(name, incoming, await self._courier.settle(queue, raw_envelope(incoming), handler))

        async def bury(incoming: AbstractIncomingMessage) -> None:
            raw = raw_envelope(incoming)
            reason = f"delivered {DELIVERY_LIMIT} times without an outcome"
            outcome = await self._courier.bury(queue, raw, reason, attempts=attempts_of(raw), kind="delivery-limit")
            await self._finish(self._names.dead(queue), incoming, outcome)

        await self._add(Subscription(name, concurrency, settle, self._spawn))
        await self._add(Subscription(self._names.dead(queue), _DEAD_PREFETCH, bury, self._spawn))

    async def open_reply_queue(self, handler: Handler) -> str:
        """See `Bus.open_reply_queue`. The queue outlives a lost connection by 60 s and keeps its name."""
        queue = Queue(self._names.new_reply(self._service), reply_queue_arguments())

        async def deliver(incoming: AbstractIncomingMessage) -> None:
            await self._courier.deliver_reply(raw_envelope(incoming), handler)

        await self._add(Subscription(queue.name, _REPLY_PREFETCH, deliver, self._spawn, own=queue))
        return queue.name

    async def reply(self, address: str, envelope: Envelope) -> None:
        """See `Bus.reply`."""
        if not self._names.is_reply(address):
            log.warning("reply to %r refused: not a reply queue", address[:100])
            return
        deadline = asyncio.get_running_loop().time() + 5.0
        reason = await self._send("", address, envelope_message(envelope), deadline)
        if reason is not None:
            log.info("reply %s not delivered: %s", envelope.id, reason)
            MESSAGES.labels(label(envelope.name), "dropped").inc()

    async def _publish_one(self, envelope: Envelope, deadline: float) -> str | None:
        if len(envelope.body) > MAX_BODY_BYTES:
            return f"body has {len(envelope.body)} bytes, allowed are {MAX_BODY_BYTES}"
        return await self._send(self._names.messages, envelope.name, envelope_message(envelope), deadline)

    async def _send(self, exchange: str, key: str, message: aio_pika.Message, deadline: float) -> str | None:
        """Publish and wait for the confirm. Returns why it is not confirmed, or None."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._out.wait_up()
                if self._publisher is None:
                    return "broker not reached"
                await publish_confirmed(self._publisher, exchange, key, message)
        except NOT_CONFIRMED as error:
            return why(error, key)
        return None

    async def _finish(self, queue: str, incoming: AbstractIncomingMessage, outcome: Done | Later) -> None:
        """Acknowledge; before that, for `Later`, put a copy into the delay queue and have it confirmed."""
        if isinstance(outcome, Later) and not await self._postpone(queue, incoming, outcome):
            return
        # A lost connection is no error here: the broker delivers the message again.
        with suppress(*ERRORS):
            async with asyncio.timeout(_ACK_LIMIT):
                await incoming.ack()

    async def _postpone(self, queue: str, incoming: AbstractIncomingMessage, later: Later) -> bool:
        """Store the copy. False when the delivery's channel is gone: the broker still has the original then."""
        raw = raw_envelope(incoming)
        copy = as_message(raw.id, raw.name, raw.version, raw.body, later.headers)
        loop = asyncio.get_running_loop()
        while not incoming.channel.is_closed:
            reason = await self._send(self._names.delay(later.delay), queue, copy, loop.time() + 5.0)
            if reason is None:
                return True
            log.warning("message %s not put off: %s", raw.id[:50], reason)
            await asyncio.sleep(1.0)
        return False

    def _spawn(self, subscription: Subscription, incoming: AbstractIncomingMessage) -> None:
        """Run a handler in a task of ours: the library cancels its own when a channel closes."""
        task = asyncio.create_task(self._run(subscription, incoming))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, subscription: Subscription, incoming: AbstractIncomingMessage) -> None:
        try:
            async with subscription.slots:
                if not self._closing and not incoming.channel.is_closed:
                    await subscription.receive(incoming)
        except Exception:
            # Nothing is acknowledged, so nothing is lost; a fresh connection has the broker deliver it again.
            log.exception("delivery on %s failed", subscription.queue)
            self._in.drop()

    async def _add(self, subscription: Subscription) -> None:
        async with self._subscribing:
            self._subscriptions.append(subscription)
            if self._consuming is None:
                return
            try:
                await self._in.watch(await subscription.open(self._consuming))
            except ERRORS:
                log.warning("subscription to %s waits for the connection", subscription.queue)
                self._in.drop()

    async def _set_up_publisher(self, connection: AbstractConnection) -> list[AbstractChannel]:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await declare(channel, self._topology)
        self._publisher = channel
        return [channel]

    async def _set_up_consumers(self, connection: AbstractConnection) -> list[AbstractChannel]:
        async with self._subscribing:
            self._consuming = None
            await declare(await connection.channel(), self._topology)
            channels = [await subscription.open(connection) for subscription in self._subscriptions]
            self._consuming = connection
            return channels
