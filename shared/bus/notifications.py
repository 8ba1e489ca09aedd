"""Notifications on the wire as oslo.messaging's driver `messagingv2` puts them there (contract §7.2).

    EXCHANGE (topic, key = TOPIC.PRIORITY) ─▶ queue TOPIC.info | queue TOPIC.error

Both queues are made by us when nobody has, so that nothing is lost while nobody listens yet. The library's flags for
exchange and queues are in `Destination`; what is there already is used as it is, whatever its flags.
The connection is one of its own: this broker may be another than the bus's, and may be away for days.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from shared.bus.amqp_confirm import NOT_CONFIRMED, publish_confirmed, why
from shared.bus.amqp_link import Link
from shared.contracts.cadf import Priority
from shared.runtime.settings import CommonSettings
from shared.runtime.telemetry import MESSAGES

log = logging.getLogger(__name__)

_LABEL: Final = "notification"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A notification to send: `body` is the JSON of oslo.messaging's message, without the envelope."""

    id: UUID
    priority: str
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where notifications go; the flags are oslo.messaging's and apply to what we have to make."""

    exchange: str
    topic: str
    durable: bool = False
    quorum: bool = False
    auto_delete: bool = False

    def queue(self, priority: str) -> str:
        """Queue and routing key of a priority."""
        return f"{self.topic}.{priority}"

    @property
    def survives(self) -> bool:
        """Whether exchange and queues outlive a restart of the broker."""
        return self.durable or self.quorum


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch: the ids that the broker has, from the first on, and what went wrong then.

    Without a trouble fewer than all mean that the broker is slow, and that the rest is for another time.
    """

    ids: list[UUID]
    trouble: str | None = None


class Notifier:
    """Sends notifications. It connects in the background; a broker that is away stops nobody."""

    def __init__(self, url: str, destination: Destination, *, name: str, heartbeat: int = 10) -> None:
        self._destination = destination
        self._channel: AbstractChannel | None = None
        self._link = Link(url, name=name, heartbeat=heartbeat, setup=self._set_up)

    def start(self) -> None:
        """Begin to connect."""
        self._link.begin()

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    async def wait_up(self) -> None:
        """Return when the broker is there."""
        await self._link.wait_up()

    async def send(self, notifications: Sequence[Outgoing], *, timeout: float = 5.0) -> Sent:  # noqa: ASYNC109
        """Send in this order, each after the one before is confirmed, for `timeout` seconds at most.

        In the second half of the time no other is begun: one that is cut off would cost the connection.
        """
        ids: list[UUID] = []
        clock = asyncio.get_running_loop()
        deadline = clock.time() + timeout
        for one in notifications:
            if ids and deadline - clock.time() < timeout / 2:
                break
            trouble = await self._send(one, deadline)
            if trouble is not None:
                return Sent(ids, trouble)
            MESSAGES.labels(_LABEL, "published").inc()
            ids.append(one.id)
        return Sent(ids)

    async def _send(self, one: Outgoing, deadline: float) -> str | None:
        key = self._destination.queue(one.priority)
        try:
            async with asyncio.timeout_at(deadline):
                await self._link.wait_up()
                if self._channel is None:
                    return "broker not reached"
                await publish_confirmed(self._channel, self._destination.exchange, key, _wire(one))
        except NOT_CONFIRMED as error:
            # Somebody may have removed a queue or the exchange: connecting anew makes what is missing.
            self._link.drop()
            return why(error, key)
        return None

    async def _set_up(self, connection: AbstractConnection) -> list[AbstractChannel]:
        to = self._destination
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        if not await _there(connection, lambda probe: probe.declare_exchange(to.exchange, passive=True)):
            await channel.declare_exchange(to.exchange, "topic", durable=to.survives, auto_delete=to.auto_delete)
        for priority in Priority:
            await self._set_up_queue(connection, channel, to.queue(priority))
        self._channel = channel
        return [channel]

    async def _set_up_queue(self, connection: AbstractConnection, channel: AbstractChannel, name: str) -> None:
        to = self._destination
        if await _there(connection, lambda probe: probe.declare_queue(name, passive=True)):
            queue = await channel.get_queue(name, ensure=False)
        else:
            queue = await channel.declare_queue(
                name,
                durable=to.survives,
                auto_delete=to.auto_delete,
                arguments={"x-queue-type": "quorum"} if to.quorum else None,
            )
        await queue.bind(to.exchange, name)


@asynccontextmanager
async def open_notifier(settings: CommonSettings, service: str) -> AsyncIterator[Notifier | None]:
    """The notifier of a process; None when notifications are off."""
    if settings.notification_url is None:
        yield None
        return
    destination = Destination(
        exchange=settings.notification_exchange,
        topic=settings.notification_topic,
        durable=settings.notification_durable,
        quorum=settings.notification_quorum,
        auto_delete=settings.notification_auto_delete,
    )
    notifier = Notifier(settings.notification_url, destination, name=f"jeroboam {service} notifications")
    notifier.start()
    try:
        yield notifier
    finally:
        await notifier.close()


async def _there(connection: AbstractConnection, ask: Callable[[AbstractChannel], Awaitable[object]]) -> bool:
    """Whether a passive declaration finds its thing. The broker closes the channel of one that does not."""
    probe = await connection.channel()
    try:
        await ask(probe)
    except ChannelNotFoundEntity:
        return False
    await probe.close()
    return True


def _wire(one: Outgoing) -> aio_pika.Message:
    """The envelope of oslo.messaging 2.0: the message is JSON text inside JSON. Listeners need the encoding's name."""
    envelope = {"oslo.version": "2.0", "oslo.message": one.body}
    return aio_pika.Message(
        json.dumps(envelope).encode(),
        message_id=str(one.id),
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
