"""One connection to RabbitMQ that comes back by itself.

We reconnect ourselves, by making everything anew, instead of letting the library restore channels one by one:
there is one path for the first connection, a lost one, a closed channel and a consumer that the broker cancelled.
The broker is asked something every heartbeat; one that stays silent (half-open connection, black hole) is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AuthenticationError, ProbableAuthenticationError
from pamqp.common import FieldTable

from shared.bus.port import BusUnavailable

log = logging.getLogger(__name__)

Setup = Callable[[AbstractConnection], Awaitable[list[AbstractChannel]]]

ERRORS: Final = (*CONNECTION_EXCEPTIONS, TimeoutError, EOFError)
"""What the library raises when the broker or the way to it is gone, or when it refuses."""

_MISSED_BEATS: Final = 3
_BACKOFF_CAP: Final = 5.0
_CLOSE_LIMIT: Final = 1.0


class Link:
    """Keeps a connection open and set up. `setup` declares and consumes; it returns the channels to `watch`."""

    def __init__(self, url: str, *, name: str, heartbeat: int, setup: Setup) -> None:
        self._url = url
        self._name = name
        self._heartbeat = heartbeat
        self._setup = setup
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._refusal: Exception | None = None
        self._last_answer = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Connect in the background, trying for ever."""
        self._task = asyncio.create_task(self._run(), name=f"amqp {self._name}")

    async def start(self, limit: float) -> None:
        """Connect, trying again for `limit` seconds; raises BusUnavailable."""
        self.begin()
        try:
            await asyncio.wait_for(self._up.wait(), limit)
        except TimeoutError:
            await self.close()
            reason = self._refusal or "no answer"
            raise BusUnavailable(f"RabbitMQ not reached in {limit:g} s: {reason}") from None

    async def close(self) -> None:
        """Disconnect for good."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._up.clear()

    async def wait_up(self) -> None:
        """Return as soon as the connection is set up."""
        await self._up.wait()

    def is_up(self) -> bool:
        """Tell whether the connection is set up now, as far as is known."""
        return self._up.is_set()

    def drop(self) -> None:
        """Make everything anew: something about the connection is wrong."""
        self._lost.set()

    async def watch(self, channel: AbstractChannel) -> None:
        """Make everything anew when the broker closes this channel or cancels its consumer."""
        channel.close_callbacks.add(self._on_closed)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._on_consumer_cancelled)

    def healthy(self) -> bool:
        """Tell whether the broker answered within the last three heartbeats."""
        now = asyncio.get_running_loop().time()
        return now - self._last_answer <= _MISSED_BEATS * self._heartbeat

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._connect_and_serve()
                failures = 0
            except ERRORS as error:
                failures += 1
                self._note(error, failures)
            pause = min(0.1 * 2 ** min(failures, 10), _BACKOFF_CAP)  # 2**1024 is no float any more
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))

    async def _connect_and_serve(self) -> None:
        """Returns when an established connection is lost; raises when it could not be established."""
        properties: FieldTable = {"connection_name": self._name}
        connection = await aio_pika.connect(
            self._url, heartbeat=self._heartbeat, timeout=2 * self._heartbeat, client_properties=properties
        )
        try:
            self._lost = asyncio.Event()
            connection.close_callbacks.add(self._on_closed)
            async with asyncio.timeout(_MISSED_BEATS * self._heartbeat):
                channels = await self._setup(connection)
            for channel in channels:
                await self.watch(channel)
            await self._serve(await connection.channel())
        finally:
            self._up.clear()
            with suppress(*ERRORS):
                await asyncio.wait_for(connection.close(), _CLOSE_LIMIT)

    async def _serve(self, probe: AbstractChannel) -> None:
        loop = asyncio.get_running_loop()
        self._last_answer = loop.time()
        self._up.set()
        log.info("RabbitMQ connection %s is up", self._name)
        while not self._lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self._heartbeat)
                break
            try:
                # Any question that needs an answer from the broker will do; this one changes nothing.
                async with asyncio.timeout((_MISSED_BEATS - 1) * self._heartbeat):
                    await probe.declare_exchange("amq.direct", passive=True)
            except ERRORS as error:
                log.warning("RabbitMQ connection %s does not answer: %r", self._name, error)
                return
            self._last_answer = loop.time()
        log.warning("RabbitMQ connection %s is lost", self._name)

    def _on_closed(self, _sender: object, _error: BaseException | None = None) -> None:
        self._lost.set()

    def _on_consumer_cancelled(self, _frame: object) -> None:
        self._lost.set()

    def _note(self, error: Exception, failures: int) -> None:
        self._refusal = error
        if failures == 1 or isinstance(error, AuthenticationError | ProbableAuthenticationError):
            log.warning("RabbitMQ connection %s cannot be made: %r", self._name, error)
