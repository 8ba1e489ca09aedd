"""Notifications on RabbitMQ: as oslo.messaging reads them, in order, never lost, and never in anybody's way."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.notifications import Destination, Notifier, Outgoing, open_notifier
from shared.bus.port import Bus
from shared.contracts import cadf
from shared.contracts.bay import BayCreated
from shared.db.engine import make_engine
from shared.db.repositories import outbox
from shared.domain.bay_state import BayEvent
from shared.runtime.settings import CommonSettings, load
from shared.worker.relay import OutboxRelay
from tests.bus.proxy import FaultProxy, Mode
from tests.bus.world import PATIENCE, PostgresWorld, RabbitWorld
from tests.contracts.test_cadf import AT, BAY, data
from tests.support.database import migrated_database

HEARTBEAT = 2
REPOSITORY = Path(__file__).parents[2]


def notice(number: int, event: BayEvent = BayEvent.CREATED) -> cadf.Notification:
    """A notification that can be told from others by its number."""
    facts = {"bay_id": BAY, "name": f"bay {number}", "user_id": "u", "host": "h", "at": AT}
    return cadf.notification(cadf.CHANGES[event], data("CREATE_COMPLETE"), id=UUID(int=number), **facts)  # type: ignore[arg-type]


def outgoing(made: cadf.Notification) -> Outgoing:
    """As the relay hands it over."""
    return Outgoing(made.id, made.priority.value, made.text)


def number_of(message: dict[str, Any]) -> int:
    """Of the notification in an oslo.messaging message or a listener's line."""
    return int(message["payload"]["target"]["name"].split()[1])


@dataclass
class Exchange:
    """An exchange, a topic and their queues, which nobody else uses."""

    rabbit: RabbitWorld
    name: str = field(default_factory=lambda: f"x{uuid4().hex[:12]}")
    notifiers: list[Notifier] = field(default_factory=list)

    def notifier(self, url: str | None = None, **flags: bool) -> Notifier:
        """A notifier that begins to connect and is closed with the test."""
        to = Destination(exchange=self.name, topic=f"{self.name}.topic", **flags)
        made = Notifier(url or str(self.rabbit.amqp_url), to, name="test", heartbeat=HEARTBEAT)
        made.start()
        self.notifiers.append(made)
        return made

    async def up(self, **flags: bool) -> Notifier:
        """A notifier that is connected, so that exchange and queues exist."""
        made = self.notifier(None, **flags)
        async with asyncio.timeout(PATIENCE):
            await made.wait_up()
        return made

    async def read(self, count: int, priority: str = "info") -> list[dict[str, Any]]:
        """Take messages from a queue by hand, in their order, until so many have come."""
        return await self._read(lambda found: len(found) == count, priority)

    async def read_distinct(self, count: int) -> list[dict[str, Any]]:
        """The same, where one that came twice counts once."""
        return await self._read(lambda found: len({one["_unique_id"] for one in found}) == count, "info")

    async def _read(self, enough: Callable[[list[dict[str, Any]]], bool], priority: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE), self.rabbit.channel() as channel:
            queue = await channel.get_queue(f"{self.name}.topic.{priority}", ensure=False)
            async with queue.iterator(no_ack=True) as incoming:
                async for message in incoming:
                    found.append(unwrapped(message))
                    if enough(found):
                        return found
        return found

    async def clean(self) -> None:
        """Close and remove everything."""
        await asyncio.gather(*(notifier.close() for notifier in self.notifiers))
        async with self.rabbit.channel() as channel:
            for priority in ("info", "error"):
                await channel.queue_delete(f"{self.name}.topic.{priority}")
            await channel.exchange_delete(self.name)


def unwrapped(message: aio_pika.abc.AbstractIncomingMessage) -> dict[str, Any]:
    """The message in the envelope, after a look at the envelope."""
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    envelope = json.loads(message.body)
    assert set(envelope) == {"oslo.version", "oslo.message"}
    assert envelope["oslo.version"] == "2.0"
    inner: dict[str, Any] = json.loads(envelope["oslo.message"])
    return inner


@pytest.fixture
async def exchange(rabbit: RabbitWorld) -> AsyncIterator[Exchange]:
    made = Exchange(rabbit)
    yield made
    await made.clean()


@dataclass
class Service:
    """A service with an outbox, a bus in Postgres and a relay."""

    engine: AsyncEngine
    bus: Bus

    async def write(self, *numbers: int) -> None:
        """One transaction for each notification."""
        for number in numbers:
            async with self.engine.begin() as conn:
                await outbox.add_notification(conn, "certs", notice(number))

    async def left(self) -> list[str]:
        """Whose rows wait."""
        async with self.engine.connect() as conn:
            return list((await conn.scalars(text("SELECT service FROM outbox ORDER BY seq"))).all())

    async def until_left(self, *wanted: str) -> None:
        """Wait for the outbox to hold exactly these services' rows."""
        async with asyncio.timeout(PATIENCE):
            while await self.left() != list(wanted):
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def relaying(self, notifier: Notifier) -> AsyncIterator[OutboxRelay]:
        """A relay of one replica."""
        relay = OutboxRelay(self.engine, self.bus, service="certs", poll=0.1, notifier=notifier)
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with migrated_database() as dsn:
        world = PostgresWorld(dsn)
        engine = make_engine(dsn, pool_size=4)
        yield Service(engine, await world.started("certs"))
        await world.close()
        await engine.dispose()


@asynccontextmanager
async def oslo_listener(exchange: Exchange, flags: str = "") -> AsyncIterator[Callable[[], Any]]:
    """oslo.messaging's listener in a process of its own; yields what reads its next line."""
    words = [str(exchange.rabbit.amqp_url), exchange.name, f"{exchange.name}.topic", flags]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "tests.bus.oslo_listener", *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        limit=2**20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = process.stdout

    async def line() -> Any:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await lines.readline())

    try:
        assert await line() == {"listening": True}
        yield line
        process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_oslo_messaging_hears_what_was_sent_before_and_after_it_came(exchange: Exchange) -> None:
    """The proof that matters: the library that every other service of the cloud listens with."""
    notifier = await exchange.up()
    before, after = notice(1), notice(2, BayEvent.CREATE_BROKE)
    await notifier.send([outgoing(before)])
    async with oslo_listener(exchange) as line:
        first = await line()
        await notifier.send([outgoing(after)])
        second = await line()
    for heard, sent in ((first, before), (second, after)):
        assert heard == {
            "priority": sent.priority,
            "user": "u",
            "publisher_id": "container-infra.h",
            "event_type": "magnum.cluster.create",
            "payload": sent.body["payload"],
            "metadata": {"message_id": str(sent.id), "timestamp": "2026-11-22 19:30:01.000250"},
        }
    assert (first["priority"], second["priority"]) == ("info", "error")


@pytest.mark.parametrize("flags", ["durable", "quorum"])
async def test_oslo_messaging_shares_what_we_made_with_its_flags(exchange: Exchange, flags: str) -> None:
    notifier = await exchange.up(**{flags: True})
    async with oslo_listener(exchange, flags) as line:
        await notifier.send([outgoing(notice(1))])
        assert number_of(await line()) == 1


async def test_what_a_listener_made_is_used_whatever_its_flags(exchange: Exchange) -> None:
    async with oslo_listener(exchange, "durable") as line:
        notifier = await exchange.up()
        await notifier.send([outgoing(notice(1))])
        assert number_of(await line()) == 1


async def test_the_envelope_is_oslo_messagings(exchange: Exchange) -> None:
    """By hand, for the parts that its listener does not show."""
    notifier = await exchange.up()
    sent = notice(7, BayEvent.DELETE_BROKE)
    await notifier.send([outgoing(sent)])
    [message] = await exchange.read(1, "error")
    assert message == json.loads(sent.text)
    assert (message["event_type"], message["priority"]) == ("magnum.cluster.delete", "ERROR")


async def test_a_queue_that_somebody_removed_is_made_again(exchange: Exchange) -> None:
    notifier = await exchange.up()
    async with exchange.rabbit.channel() as channel:
        await channel.queue_delete(f"{exchange.name}.topic.info")
    first = await notifier.send([outgoing(notice(1))])
    assert first.ids == []
    assert "no queue receives" in str(first.trouble)
    async with asyncio.timeout(PATIENCE):
        while (await notifier.send([outgoing(notice(1))])).trouble is not None:
            await asyncio.sleep(0.05)
    assert [number_of(message) for message in await exchange.read(1)] == [1]


async def test_a_batch_ends_at_the_first_that_is_not_confirmed(exchange: Exchange) -> None:
    notifier = await exchange.up()
    async with exchange.rabbit.channel() as channel:
        await channel.queue_delete(f"{exchange.name}.topic.error")
    batch = [notice(1), notice(2, BayEvent.DELETE_BROKE), notice(3)]
    sent = await notifier.send([outgoing(one) for one in batch])
    assert sent.ids == [UUID(int=1)]
    assert sent.trouble is not None


async def test_what_a_slow_broker_does_not_take_in_time_is_for_another_time(exchange: Exchange) -> None:
    """Nothing is cut off half-way, so nothing comes twice, and the connection stays."""
    notifier = await exchange.up()
    left = [outgoing(notice(number)) for number in range(1, 1501)]
    async with asyncio.timeout(PATIENCE):
        while left:
            sent = await notifier.send(left, timeout=1.0)
            assert sent.trouble is None
            assert sent.ids == [one.id for one in left[: len(sent.ids)]] != []
            left = left[len(sent.ids) :]
    assert [number_of(message) for message in await exchange.read(1500)] == list(range(1, 1501))


async def test_the_relay_sends_in_order_and_forgets(service: Service, exchange: Exchange) -> None:
    await service.write(*range(1, 131))
    async with service.relaying(await exchange.up()):
        got = await exchange.read(130)
        await service.until_left()
    assert [number_of(message) for message in got] == list(range(1, 131))


async def test_replicas_do_not_overtake_one_another(service: Service, exchange: Exchange) -> None:
    first, second = await exchange.up(), await exchange.up()
    async with service.relaying(first) as one, service.relaying(second) as other:
        for start in range(1, 120, 20):
            await service.write(*range(start, start + 20))
            one.wake()
            other.wake()
        got = await exchange.read(120)
        await service.until_left()
    assert [number_of(message) for message in got] == list(range(1, 121))


async def test_a_broker_that_is_away_holds_back_nothing_and_loses_nothing(service: Service, exchange: Exchange) -> None:
    """It is away from the start; messages of the service go on, notifications wait, and come when it is there."""
    async with FaultProxy(exchange.rabbit.upstream) as proxy, AsyncExitStack() as closing:
        proxy.mode = Mode.REFUSE
        notifier = exchange.notifier(exchange.rabbit.via(proxy.port))
        closing.push_async_callback(notifier.close)
        await closing.enter_async_context(service.relaying(notifier))
        await service.write(1, 2)
        async with service.engine.begin() as conn:
            await outbox.add(conn, "certs", BayCreated(operation_id=uuid4(), bay_id=uuid4()))
        await service.until_left("certs.notifications", "certs.notifications")
        proxy.mode = Mode.PASS
        await service.until_left()
        assert [number_of(message) for message in await exchange.read(2)] == [1, 2]


async def test_a_connection_that_breaks_loses_nothing(service: Service, exchange: Exchange) -> None:
    """What was confirmed and not yet forgotten may come twice, with the id that it had."""
    async with FaultProxy(exchange.rabbit.upstream) as proxy, AsyncExitStack() as closing:
        notifier = exchange.notifier(exchange.rabbit.via(proxy.port))
        closing.push_async_callback(notifier.close)
        await closing.enter_async_context(service.relaying(notifier))
        for start in (1, 11, 21):
            await service.write(*range(start, start + 10))
            proxy.reset()
        await service.until_left()
    got = await exchange.read_distinct(30)
    assert {(number_of(message), message["_unique_id"]) for message in got} == {
        (number, UUID(int=number).hex) for number in range(1, 31)
    }


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What every process needs."""
    monkeypatch.setattr(sys, "argv", ["jeroboam"])
    for name, value in {
        "DATABASE_URL": "postgresql://jb_scaler:hush@localhost/db",
        "KEYSTONE_URL": "http://127.0.0.1:5000/v3",
        "SERVICE_PASSWORD": "hush",
    }.items():
        monkeypatch.setenv(f"JEROBOAM_{name}", value)
    return monkeypatch


async def test_they_are_off_unless_asked_for(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JEROBOAM_AMQP_URL", "amqp://127.0.0.1:1/")
    settings = load(CommonSettings)
    assert settings.notification_url is None
    async with open_notifier(settings, "scaler") as notifier:
        assert notifier is None


@pytest.mark.parametrize(
    ("bus", "own", "url"),
    [
        ("amqp://bus/", "", "amqp://bus/"),
        ("amqp://bus/", "amqps://other/", "amqps://other/"),
        ("", "amqp://other/", "amqp://other/"),
    ],
)
def test_they_go_to_their_own_broker_or_to_the_buss(
    environment: pytest.MonkeyPatch, bus: str, own: str, url: str
) -> None:
    """The bus in Postgres does as well, with a broker for the notifications."""
    for name, value in {"NOTIFICATIONS": "true", "AMQP_URL": bus, "NOTIFICATION_AMQP_URL": own}.items():
        environment.setenv(f"JEROBOAM_{name}", value)
    assert load(CommonSettings).notification_url == url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "set JEROBOAM_NOTIFICATION_AMQP_URL (or JEROBOAM_AMQP_URL)"),
        ("rabbit://openstack:hush-hush@controller/", "begins with amqp:// or amqps://"),
    ],
)
def test_without_a_usable_broker_no_process_starts(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, sentence: str
) -> None:
    environment.setenv("JEROBOAM_NOTIFICATIONS", "true")
    environment.setenv("JEROBOAM_NOTIFICATION_AMQP_URL", url)
    with pytest.raises(SystemExit) as ended:
        load(CommonSettings)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "hush" not in said


async def test_a_process_starts_without_its_notification_broker(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JEROBOAM_NOTIFICATIONS", "true")
    environment.setenv("JEROBOAM_NOTIFICATION_AMQP_URL", "amqp://127.0.0.1:1/")
    async with open_notifier(load(CommonSettings), "scaler") as notifier:
        assert notifier is not None
        sent = await notifier.send([outgoing(notice(1))], timeout=0.1)
    assert sent.ids == []
    assert sent.trouble == "no confirmation in time"
