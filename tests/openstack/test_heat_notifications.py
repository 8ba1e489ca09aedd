"""Heat's notifications: what real ones say, and a queue of our own that takes nothing from anybody."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from structlog.testing import capture_logs

from shared.openstack.notifications import HeatNotifications, Source
from shared.openstack.stack_news import StackNews
from shared.runtime.egress import EgressPolicy
from shared.runtime.telemetry import REGISTRY
from tests.bus.proxy import FaultProxy, Mode
from tests.openstack.conftest import LOOPBACK
from tests.support.heat_bus import HeatBus, Sent, heat_bus, inside, notification, recorded
from tests.support.servers import rabbitmq_or_skip

RUBBISH = [b"", b"\xff\xfe", b"[]", b"{}", b"null", b'{"oslo.message": "no json"}', b"[" * 100_000]


@dataclass
class Listener:
    """Our side."""

    notifications: HeatNotifications
    heard: asyncio.Queue[StackNews] = field(default_factory=asyncio.Queue)

    async def next(self) -> StackNews:
        """The next news, waited for."""
        async with asyncio.timeout(30):
            return await self.heard.get()

    async def alive(self, wanted: bool = True) -> None:
        """Wait until it listens, or does not."""
        async with asyncio.timeout(60):
            while self.notifications.alive() is not wanted:
                await asyncio.sleep(0.02)  # somebody else's state: there is no event to wait for


@asynccontextmanager
async def listening(source: Source, egress: EgressPolicy = LOOPBACK) -> AsyncIterator[Listener]:
    async def handle(news: StackNews) -> None:
        if news.stack_name == "breaks-the-handler":
            raise RuntimeError("on purpose")
        ours.heard.put_nowait(news)

    ours = Listener(HeatNotifications(source, handle, egress, heartbeat=2, confirm_every=0.1))
    task = asyncio.create_task(ours.notifications.run())
    try:
        yield ours
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def behind(heat: HeatBus) -> AsyncIterator[tuple[FaultProxy, Source]]:
    """A bad network before the broker."""
    async with FaultProxy(_address(heat)) as proxy:
        yield proxy, replace(heat.source, urls=(_through(heat, proxy.port),))


@pytest.fixture
async def heat() -> AsyncIterator[HeatBus]:
    async with heat_bus(rabbitmq_or_skip("Heat's notifications")) as bus:
        yield bus


async def test_everything_is_heard_and_another_listener_keeps_everything(heat: HeatBus) -> None:
    await heat.other_listens()
    async with listening(heat.source) as ours:
        await ours.alive()
        await heat.publish(*recorded())
        heard = [await ours.next() for _ in recorded()]
    assert sorted(one.event for one in heard) == sorted(inside(sent)["event_type"] for sent in recorded())
    info, error = heat.source.keys
    assert heat.sent_at("error") == 1
    assert await heat.waiting(info) == (heat.sent_at("info"), 0)
    assert await heat.waiting(error) == (heat.sent_at("error"), 0)


async def test_of_two_replicas_one_hears_it(heat: HeatBus) -> None:
    async with listening(heat.source) as one, listening(heat.source) as two:
        await one.alive()
        await two.alive()
        await heat.publish(*recorded())
        async with asyncio.timeout(30):
            while one.heard.qsize() + two.heard.qsize() < len(recorded()):
                await asyncio.sleep(0.02)
    assert one.heard.qsize() + two.heard.qsize() == len(recorded())
    assert await heat.waiting(heat.source.queue) == (0, 0)


async def test_what_is_published_while_we_are_away_waits(heat: HeatBus) -> None:
    async with listening(heat.source) as ours:
        await ours.alive()
    await heat.publish(recorded()[0])
    async with listening(heat.source) as ours:
        assert (await ours.next()).event == "orchestration.stack.create.start"


async def test_rubbish_and_failures_are_acknowledged_and_counted(heat: HeatBus) -> None:
    before = {outcome: _counted(outcome) for outcome in ("rubbish", "other", "failed", "ended")}
    other = Sent("info", b'{"event_type": "compute.instance.create.end", "payload": {}}')
    breaks = notification("create.end", "CREATE_COMPLETE", name="breaks-the-handler", project="p", tags=[])
    last = notification("create.end", "CREATE_COMPLETE", name="last", project="p", tags=[])
    async with listening(heat.source) as ours:
        await ours.alive()
        with capture_logs() as logs:
            await heat.publish(*(Sent("info", body) for body in RUBBISH), other, breaks, last)
            assert (await ours.next()).stack_name == "last"
            async with asyncio.timeout(30):
                while await _unacknowledged(heat):
                    await asyncio.sleep(0.02)
        assert ours.notifications.alive()
    assert {outcome: _counted(outcome) - count for outcome, count in before.items()} == {
        "rubbish": len(RUBBISH),
        "other": 1,
        "failed": 1,
        "ended": 1,
    }
    assert sum(one["event"] == "no notification of Heat's" for one in logs) == len(RUBBISH)
    assert await heat.waiting(heat.source.queue) == (0, 0)


def _counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("jeroboam_heat_notifications_total", {"outcome": outcome}) or 0.0


async def _unacknowledged(heat: HeatBus) -> bool:
    total = sum(_counted(outcome) for outcome in ("rubbish", "other", "failed", "ended"))
    return total < len(RUBBISH) + 3 or (await heat.waiting(heat.source.queue))[0] > 0


async def test_a_queue_that_cannot_fill_the_broker(heat: HeatBus) -> None:
    """The broker refuses another declaration, and its words name the attribute and what it is."""
    async with listening(heat.source) as ours:
        await ours.alive()
        for attribute, value in {
            "x-message-ttl": "600000",
            "x-max-length": "10000",
            "x-max-length-bytes": "33554432",
            "x-expires": "21600000",
        }.items():
            arguments = {"x-message-ttl": 600000, "x-max-length": 10000, "x-max-length-bytes": 33554432}
            arguments |= {"x-expires": 21600000, attribute: 5}
            channel = await heat.connection.channel()
            with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed, match=value):
                await channel.declare_queue(heat.source.queue, durable=True, arguments=dict(arguments))


async def test_a_missing_exchange_is_waited_for(heat: HeatBus) -> None:
    await heat.remove_exchange()
    with capture_logs() as logs:
        async with listening(heat.source) as ours:
            await _told(logs, f"no exchange {heat.source.exchange}")
            assert not ours.notifications.alive()
            await heat.make_exchange()
            await ours.alive()
            await heat.publish(recorded()[0])
            await ours.next()


async def test_an_exchange_made_anew_is_bound_again(heat: HeatBus) -> None:
    """The broker restarted and Heat was quicker than we: our queue is durable, its binding to the exchange is gone."""
    async with listening(heat.source) as ours:
        await ours.alive()
        await heat.remove_exchange()
        await heat.make_exchange()
        async with asyncio.timeout(30):
            while ours.heard.empty():
                await heat.publish(recorded()[0])
                await asyncio.sleep(0.05)


async def test_a_connection_that_breaks_comes_back(heat: HeatBus) -> None:
    async with behind(heat) as (proxy, source), listening(source) as ours:
        await ours.alive()
        with capture_logs() as logs:
            proxy.reset()
            await _told(logs, "stacks are polled")
        await ours.alive()
        await heat.publish(recorded()[0])
        await ours.next()


async def test_a_broker_that_falls_silent_is_noticed(heat: HeatBus) -> None:
    async with behind(heat) as (proxy, source), listening(source) as ours:
        await ours.alive()
        proxy.mode = Mode.BLACK_HOLE
        proxy.freeze()
        await ours.alive(False)


async def test_over_tls_the_broker_must_be_who_it_says(heat: HeatBus, tmp_path: Path) -> None:
    for name in ("broker", "stranger"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")],
            check=True, capture_output=True,
        )  # fmt: skip
    async with _tls(tmp_path / "broker", _address(heat)) as port:
        url = _through(heat, port).replace("amqp://", "amqps://")
        async with listening(replace(heat.source, urls=(f"{url}?cafile={tmp_path}/broker.pem",))) as ours:
            await ours.alive()
            await heat.publish(recorded()[0])
            await ours.next()
        with capture_logs() as logs:
            async with listening(replace(heat.source, urls=(f"{url}?cafile={tmp_path}/stranger.pem",))):
                await _told(logs, "CERTIFICATE_VERIFY_FAILED")


async def test_of_several_brokers_the_one_that_is_up_is_found(heat: HeatBus) -> None:
    dead = f"amqp://guest:guest@127.0.0.1:{_closed_port()}/"
    async with listening(replace(heat.source, urls=(dead, *heat.source.urls))) as ours:
        await ours.alive()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url.replace("guest:guest@", "guest:s3cr%2Ft@"), "refuses the user or the password"),
        (lambda url: url.rstrip("/") + "/no-such-vhost", "no such vhost"),
        (lambda url: url.replace(f":{urlsplit(url).port}", f":{_closed_port()}"), "Connect"),
    ],
    ids=["password", "vhost", "port"],
)
async def test_what_is_wrong_is_said_once_without_the_password(
    heat: HeatBus, change: Callable[[str], str], reason: str
) -> None:
    url = change(heat.source.urls[0])
    with capture_logs() as logs:
        async with listening(replace(heat.source, urls=(url,))) as ours:
            await _told(logs, reason)
            assert not ours.notifications.alive()
            assert _told_times(logs) == 1
    assert "s3cr" not in str(logs)


async def test_only_allowed_addresses_are_dialled(heat: HeatBus) -> None:
    with capture_logs() as logs:
        async with listening(heat.source, EgressPolicy(allow=(ip_network("192.0.2.0/24"),))):
            await _told(logs, "JEROBOAM_EGRESS_ALLOW")


def test_a_queue_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="not a queue of ours"):
        Source(("amqp://127.0.0.1/",), queue="notifications.info")


async def _told(logs: list[MutableMapping[str, Any]], words: str) -> None:
    async with asyncio.timeout(30):
        while not any(words in f"{one.get('event')} {one.get('reason')}" for one in logs):
            await asyncio.sleep(0.02)


def _told_times(logs: list[MutableMapping[str, Any]]) -> int:
    return sum("are not heard" in str(one["event"]) for one in logs)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _address(heat: HeatBus) -> tuple[str, int]:
    where = urlsplit(heat.source.urls[0])
    return where.hostname or "", where.port or 5672


def _through(heat: HeatBus, port: int) -> str:
    host, real = _address(heat)
    return heat.source.urls[0].replace(f"{host}:{real}", f"127.0.0.1:{port}")


@asynccontextmanager
async def _tls(certificate: Path, upstream: tuple[str, int]) -> AsyncIterator[int]:
    """What ends TLS in front of the broker; its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.with_suffix(".pem"), certificate.with_suffix(".key"))

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(*upstream)
        await asyncio.gather(_copy(reader, back_writer), _copy(back_reader, writer))

    server = await asyncio.start_server(through, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
