"""A bus under test, whichever carries it: how to make one, to slip in foreign messages, and to wait for things."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from uuid import UUID, uuid4

import aio_pika
import asyncpg  # type: ignore[import-untyped]
from typing_extensions import override

from shared.bus import make_bus
from shared.bus.port import AfterHandler, Bus, DeadLetter, OnDead
from shared.bus.topology import DELIVERY_LIMIT
from shared.contracts import Message
from shared.contracts.bay import BayCreateRequested
from shared.runtime.telemetry import DEAD_LETTERS, MESSAGES, REGISTRY

__all__ = ["DEAD_LETTERS", "MESSAGES", "PATIENCE", "STEPS", "Basket", "World", "counted", "request"]

PATIENCE = 40.0
"""Seconds after which a test gives up; nothing is asserted about how long things take."""

STEPS = (0.2, 0.4, 0.6, 0.8)
"""Delay steps of the tests, seconds."""

T = TypeVar("T")


def request() -> BayCreateRequested:
    """A message for the queue `certs`."""
    return BayCreateRequested(operation_id=uuid4(), bay_id=uuid4())


def counted(metric: str, **labels: str) -> float:
    """A counter's value now."""
    return REGISTRY.get_sample_value(f"{metric}_total", labels) or 0.0


class Basket(Generic[T]):
    """Collects what handlers were given, and lets a test wait for it."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._changed = asyncio.Condition()

    async def put(self, item: T) -> None:
        """Use it as a handler, or as `on_dead`."""
        async with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    async def wait(self, count: int) -> list[T]:
        """Wait until so many have come."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.items) >= count)
        return self.items

    async def wait_for_all(self, wanted: Sequence[T]) -> None:
        """Wait until each of these has come at least once."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: all(item in self.items for item in wanted))


class World(ABC):
    """One carrier, with names that no other test uses."""

    kind: str
    redelivery_seconds = 1.0
    heartbeat = 5

    def __init__(self, *, amqp_url: str | None, database_url: str) -> None:
        self.amqp_url = amqp_url
        self.database_url = database_url
        self.prefix = f"t{uuid4().hex[:12]}"
        self.dead: Basket[DeadLetter] = Basket()
        self._buses: list[Bus] = []

    def bus(
        self,
        service: str = "certs",
        *,
        after_handler: AfterHandler | None = None,
        on_dead: OnDead | None = None,
        steps: Sequence[float] = STEPS,
        url: str | None = None,
    ) -> Bus:
        """A bus that is closed with the test; `url` leads there through a proxy."""
        made = make_bus(
            amqp_url=self.amqp_url and (url or self.amqp_url),
            database_url=url or self.database_url,
            service=service,
            on_dead=on_dead or self.dead.put,
            redelivery_seconds=self.redelivery_seconds,
            after_handler=after_handler,
            prefix=self.prefix,
            delay_steps=steps,
            heartbeat=self.heartbeat,
            close_grace=0.2,
        )
        self._buses.append(made)
        return made

    async def started(self, service: str = "certs") -> Bus:
        """A bus that runs."""
        made = self.bus(service)
        await made.start()
        return made

    async def close_buses(self) -> None:
        """Close every bus."""
        buses, self._buses = self._buses, []
        await asyncio.gather(*(bus.close() for bus in buses))

    async def close(self) -> None:
        """Close every bus and leave nothing on the server."""
        await self.close_buses()
        await self.clean()

    def child_arguments(self) -> str:
        """What `child.py` needs to make the same bus."""
        return json.dumps(
            {
                "amqp_url": self.amqp_url,
                "database_url": self.database_url,
                "prefix": self.prefix,
                "redelivery_seconds": self.redelivery_seconds,
                "delay_steps": STEPS,
            }
        )

    @property
    @abstractmethod
    def upstream(self) -> tuple[str, int] | str:
        """Where the server listens: host and port, or the path of a socket."""

    @abstractmethod
    def via(self, port: int) -> str:
        """The server's URL by way of a proxy on this loopback port."""

    @abstractmethod
    async def inject(
        self, name: str, body: bytes, *, version: int = 1, message_id: UUID | None = None, expires_at: str | None = None
    ) -> None:
        """Put a message into the queue `certs`, past all our checks."""

    @abstractmethod
    async def wear_out(self, message: Message) -> None:
        """Have the only message of the queue `certs` delivered as often as the limit allows, without an outcome."""

    @abstractmethod
    async def waiting(self) -> int:
        """How many messages the queue `certs` holds, delivered ones included."""

    @abstractmethod
    async def clean(self) -> None:
        """Remove what the test made on the server."""


class PostgresWorld(World):
    """The Postgres bus, in the role of a service."""

    kind = "postgres"

    def __init__(self, superuser_url: str) -> None:
        joint = "&" if "?" in superuser_url else "?"
        super().__init__(amqp_url=None, database_url=f"{superuser_url}{joint}role=jb_certs")

    @property
    @override
    def upstream(self) -> tuple[str, int] | str:
        directory, port = self._setting("host"), self._setting("port") or "5432"
        return f"{directory}/.s.PGSQL.{port}"

    def _setting(self, name: str) -> str:
        pairs = (pair.partition("=") for pair in self.database_url.partition("?")[2].split("&"))
        return next((value for key, _, value in pairs if key == name), "")

    @override
    def via(self, port: int) -> str:
        database = self.database_url.partition("?")[0].rpartition("/")[2]
        return f"postgresql://postgres@127.0.0.1:{port}/{database}?role=jb_certs&sslmode=disable"

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    @override
    async def inject(
        self, name: str, body: bytes, *, version: int = 1, message_id: UUID | None = None, expires_at: str | None = None
    ) -> None:
        headers = json.dumps({"expires_at": expires_at} if expires_at else {})
        statement = "INSERT INTO bus_messages (id, queue, name, version, body, headers) VALUES ($1, $2, $3, $4, $5, $6)"
        async with self._connection() as connection:
            await connection.execute(
                statement, message_id or uuid4(), f"{self.prefix}.certs", name, version, body, headers
            )

    @override
    async def wear_out(self, message: Message) -> None:
        async with self._connection() as connection:
            await connection.execute(
                "UPDATE bus_messages SET deliveries = $1 WHERE queue = $2", DELIVERY_LIMIT, f"{self.prefix}.certs"
            )

    @override
    async def waiting(self) -> int:
        async with self._connection() as connection:
            queue = f"{self.prefix}.certs"
            return int(await connection.fetchval("SELECT count(*) FROM bus_messages WHERE queue = $1", queue))

    @override
    async def clean(self) -> None:
        async with self._connection() as connection:
            await connection.execute("DELETE FROM bus_messages WHERE queue LIKE $1", f"{self.prefix}.%")


class RabbitWorld(World):
    """The RabbitMQ bus."""

    kind = "rabbitmq"

    def __init__(self, url: str) -> None:
        # Nothing of the RabbitMQ bus may touch the database.
        super().__init__(amqp_url=url, database_url="postgresql://nobody@127.0.0.1:1/none")

    @property
    @override
    def upstream(self) -> tuple[str, int] | str:
        host, _, port = self._authority().rpartition("@")[2].partition(":")
        return host, int(port or "5672")

    def _authority(self) -> str:
        return (self.amqp_url or "").partition("//")[2].partition("/")[0]

    @override
    def via(self, port: int) -> str:
        login = self._authority().rpartition("@")[0]
        vhost = (self.amqp_url or "").partition("//")[2].partition("/")[2]
        return f"amqp://{login}@127.0.0.1:{port}/{vhost}"

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        """A channel past our bus."""
        connection = await aio_pika.connect(self.amqp_url)
        try:
            yield await connection.channel(on_return_raises=True)
        finally:
            await connection.close()

    @override
    async def inject(
        self, name: str, body: bytes, *, version: int = 1, message_id: UUID | None = None, expires_at: str | None = None
    ) -> None:
        headers = {"jeroboam-version": str(version)} | ({"expires_at": expires_at} if expires_at else {})
        message = aio_pika.Message(body, message_id=str(message_id or uuid4()), type=name, headers=dict(headers))
        async with self.channel() as channel:
            await channel.default_exchange.publish(message, f"{self.prefix}.certs")

    @override
    async def wear_out(self, message: Message) -> None:
        async with self.channel() as channel:
            queue = await channel.get_queue(f"{self.prefix}.certs", ensure=False)
            for _ in range(DELIVERY_LIMIT + 1):
                incoming = await queue.get(fail=False, timeout=PATIENCE)
                if incoming is None:
                    break
                await incoming.reject(requeue=True)

    @override
    async def waiting(self) -> int:
        async with self.channel() as channel:
            return (
                await channel.declare_queue(f"{self.prefix}.certs", passive=True)
            ).declaration_result.message_count or 0

    @override
    async def clean(self) -> None:
        names = ["events", *(f"{s}{d}" for s in ("certs", "provisioner", "scaler") for d in ("", ".dead"))]
        delays = [f"delay.{round(step * 1000)}ms" for step in STEPS]
        async with self.channel() as channel:
            for name in (*names, *delays):
                await channel.queue_delete(f"{self.prefix}.{name}")
            for name in ("messages", *delays):
                await channel.exchange_delete(f"{self.prefix}.{name}")
