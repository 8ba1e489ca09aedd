"""Heat's notifications, read from a queue of our own beside whoever else listens.

Heat publishes on its topic exchange with the routing keys TOPIC.info and TOPIC.error. oslo.messaging also makes queues
of these names, which other services read; we bind a queue of ours to the exchange and touch no other. We declare no
exchange either, because Heat and we might disagree on its attributes; one that is missing is waited for.

What is read is a hint and never a fact (`stack_news`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from pamqp.common import FieldTable

from shared.openstack.stack_news import StackNews, read
from shared.runtime.egress import EgressPolicy, EgressRefused
from shared.runtime.telemetry import HEAT_LISTENING, HEAT_NOTIFICATIONS

_log = structlog.get_logger(__name__)

PREFETCH: Final = 64
QUEUE_LIMITS: Final[FieldTable] = {
    "x-message-ttl": 10 * 60 * 1000,
    "x-max-length": 10_000,
    "x-max-length-bytes": 32 * 1024 * 1024,
    "x-expires": 6 * 60 * 60 * 1000,
}
"""So that it cannot fill Heat's broker while nobody of ours reads it: it keeps 10 minutes, at most 10,000 messages or
32 MiB, and goes when it had no reader for 6 hours."""

_ERRORS: Final = (*CONNECTION_EXCEPTIONS, EgressRefused, TimeoutError, EOFError, ValueError)
_BACKOFF_CAP: Final = 30.0
_CLOSE_LIMIT: Final = 1.0
_PORTS: Final = {"amqp": 5672, "amqps": 5671}


@dataclass(frozen=True, slots=True)
class Source:
    """Where Heat publishes, and how our queue there is called."""

    urls: tuple[str, ...]
    """amqp(s)://user:password@host:port/vhost of the brokers of one cluster, tried in turn."""
    exchange: str = "heat"
    topic: str = "notifications"
    queue: str = "jeroboam.heat"

    def __post_init__(self) -> None:
        """Raise ValueError for a queue that is somebody else's."""
        if not self.queue.startswith("jeroboam."):
            raise ValueError(f"{self.queue} is not a queue of ours: its name begins with jeroboam.")

    @property
    def keys(self) -> tuple[str, str]:
        """The routing keys."""
        return f"{self.topic}.info", f"{self.topic}.error"


class HeatNotifications:
    """A connection to Heat's broker that comes back by itself and hands each stack's news to `handle`.

    A message is acknowledged when `handle` returns or raises, and rubbish at once: nothing is ever delivered for ever.

    Args:
        source: where to listen.
        handle: what to do with the news of a stack.
        egress: which addresses may be dialled.
        heartbeat: seconds between two signs of life of the connection.
        confirm_every: seconds between two confirmations that our queue is bound to the exchange.
    """

    def __init__(
        self,
        source: Source,
        handle: Callable[[StackNews], Awaitable[None]],
        egress: EgressPolicy,
        *,
        heartbeat: int = 10,
        confirm_every: float = 10.0,
    ) -> None:
        self._source = source
        self._handle = handle
        self._egress = egress
        self._heartbeat = heartbeat
        self._confirm_every = confirm_every
        self._confirmed: float | None = None
        self._lost = asyncio.Event()
        self._failures = 0
        self._told = ""

    def alive(self) -> bool:
        """Whether the broker said within the last three confirmations that what Heat publishes comes to our queue."""
        if self._confirmed is None:
            return False
        return asyncio.get_running_loop().time() - self._confirmed <= 3 * self._confirm_every

    async def run(self) -> None:
        """Listen until cancelled."""
        turn = 0
        while True:
            try:
                await self._listen(self._source.urls[turn % len(self._source.urls)])
            except _ERRORS as error:
                self._failures += 1
                self._tell(error)
            finally:
                self._on_lost()
            turn += 1
            pause = min(0.5 * 2 ** min(self._failures, 10), _BACKOFF_CAP)  # 2**1024 is no float any more
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))

    async def _listen(self, url: str) -> None:
        """Returns when an established connection is lost; raises when it could not be established, or not confirmed."""
        where = urlsplit(url)
        await asyncio.to_thread(self._egress.check, where.hostname or "", where.port or _PORTS.get(where.scheme, 0))
        connection = await aio_pika.connect(
            url,
            heartbeat=self._heartbeat,
            timeout=2 * self._heartbeat,
            client_properties={"connection_name": "jeroboam heat notifications"},
        )
        try:
            self._lost = asyncio.Event()
            connection.close_callbacks.add(self._on_lost)
            async with asyncio.timeout(3 * self._heartbeat):
                queue = await self._consume(connection)
            self._told, self._failures = "", 0
            _log.info("Heat's notifications are heard", exchange=self._source.exchange, queue=self._source.queue)
            await self._confirm(queue)
            _log.warning("Heat's notifications are lost: stacks are polled until the connection is back")
        finally:
            with suppress(*_ERRORS):
                await asyncio.wait_for(connection.close(), _CLOSE_LIMIT)

    async def _consume(self, connection: AbstractConnection) -> AbstractQueue:
        channel = await connection.channel(publisher_confirms=False)
        channel.close_callbacks.add(self._on_lost)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(self._on_lost)
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.declare_queue(self._source.queue, durable=True, arguments=QUEUE_LIMITS)
        await self._bind(queue)
        await queue.consume(self._deliver)
        return queue

    async def _bind(self, queue: AbstractQueue) -> None:
        """Bind the queue: changes nothing where it is bound, mends what an exchange made anew has lost, and the broker
        refuses when there is no such exchange. So it is also the confirmation."""
        for key in self._source.keys:
            await queue.bind(self._source.exchange, key)
        self._confirmed = asyncio.get_running_loop().time()
        HEAT_LISTENING.set(1)

    async def _confirm(self, queue: AbstractQueue) -> None:
        while not self._lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self._confirm_every)
                return
            async with asyncio.timeout(2 * self._heartbeat):
                await self._bind(queue)

    async def _deliver(self, message: AbstractIncomingMessage) -> None:
        HEAT_NOTIFICATIONS.labels(await self._outcome(message.body)).inc()
        # On a lost connection the broker delivers it again, which does no harm.
        with suppress(*_ERRORS):
            await message.ack()

    async def _outcome(self, body: bytes) -> str:
        try:
            news = read(body)
        except ValueError as error:
            _log.warning("no notification of Heat's", reason=str(error)[:200], size=len(body))
            return "rubbish"
        if news is None:
            return "other"
        try:
            await self._handle(news)
        except Exception:
            _log.exception("notification not handled", stack=news.stack_id)
            return "failed"
        return "ended" if news.ended else "under_way"

    def _on_lost(self, *_: object) -> None:
        self._confirmed = None
        HEAT_LISTENING.set(0)
        self._lost.set()

    def _tell(self, error: Exception) -> None:
        """Log why there is no listening, once for each reason."""
        words = self._words(error)
        if words != self._told:
            self._told = words
            _log.warning("Heat's notifications are not heard, stacks are polled", reason=words)

    def _words(self, error: Exception) -> str:
        if isinstance(error, AuthenticationError | ProbableAuthenticationError):
            return "the broker refuses the user or the password of JEROBOAM_HEAT_NOTIFICATIONS_URL"
        if isinstance(error, InvalidFrameError) and "OpenOk" in str(
            error
        ):  # all that the library tells of this refusal
            return "the broker has no such vhost as JEROBOAM_HEAT_NOTIFICATIONS_URL names, or our user may not use it"
        if isinstance(error, ChannelNotFoundEntity):
            return (
                f"the broker has no exchange {self._source.exchange} in this vhost; Heat makes it when it starts "
                "(its control_exchange)"
            )
        if isinstance(error, ChannelPreconditionFailed):
            return f"there is a queue {self._source.queue} with other attributes, delete it: {error}"
        words = f"{type(error).__name__}: {error}"
        for url in self._source.urls:
            if password := urlsplit(url).password:
                words = words.replace(password, "***").replace(unquote(password), "***")
        return words
