"""What the network and the servers do to us: nothing confirmed is lost, and everything goes on by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.bus.port import Bus, BusUnavailable, PublishFailed, Retry
from shared.contracts import Message, encode
from shared.contracts.certificate import CertificateSigned
from shared.db.migrate import upgrade
from shared.runtime.postgres import EmbeddedPostgres
from tests.bus.proxy import FaultProxy, Mode
from tests.bus.world import PATIENCE, STEPS, Basket, PostgresWorld, RabbitWorld, World, request
from tests.support.rabbit import GivenRabbit
from tests.support.servers import rabbitmq, rabbitmq_or_skip


async def publish_persistently(bus: Bus, messages: list[Message]) -> None:
    """Publish one after the other, again until confirmed, as the relay does."""
    for message in messages:
        envelope = encode(message)
        while True:
            try:
                await bus.publish([envelope], timeout=1.0)
                break
            except PublishFailed:
                await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that no event announces."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def proxied(world: World) -> AsyncIterator[FaultProxy]:
    """A proxy before the world's server, up until every bus is closed."""
    if world.upstream == "":
        pytest.skip("the given server cannot be proxied")
    world.heartbeat = 1 if world.kind == "postgres" else 2
    async with FaultProxy(world.upstream) as proxy:
        try:
            yield proxy
        finally:
            proxy.mode = Mode.PASS
            await world.close_buses()


@pytest.mark.parametrize("fault", ["reset", "refuse", "black hole", "half-open"])
async def test_nothing_is_lost_when_the_network_fails(world: World, fault: str) -> None:
    got = Basket[Message]()

    async def handle(message: Message) -> None:
        first = message not in got.items
        await got.put(message)
        if first and message in moody:
            raise Retry(STEPS[0])

    messages: list[Message] = [request() for _ in range(30)]
    moody = messages[::5]
    async with proxied(world) as proxy:
        bus = world.bus(url=world.via(proxy.port))
        await bus.start()
        await bus.consume("certs", handle, concurrency=4)
        publishing = asyncio.create_task(publish_persistently(bus, messages))
        await got.wait(5)
        if fault == "half-open":
            proxy.freeze()
        elif fault == "reset":
            proxy.reset()
        else:
            proxy.mode = Mode.REFUSE if fault == "refuse" else Mode.BLACK_HOLE
            if fault == "refuse":
                proxy.reset()
                await asyncio.sleep(1)
            else:
                await until(lambda: not bus.healthy())
            proxy.mode = Mode.PASS
        await asyncio.wait_for(publishing, PATIENCE)
        await got.wait_for_all(messages)
        for message in moody:
            await until(lambda message=message: got.items.count(message) >= 2)  # type: ignore[misc]
        await until(bus.healthy)
    assert not world.dead.items


async def test_no_more_handlers_run_at_once_after_a_reconnect(world: World) -> None:
    """Those of the lost connection still run when the same messages come again on the new one."""
    running, peak, both, leave, got = 0, 0, asyncio.Event(), asyncio.Event(), Basket[Message]()

    async def handle(message: Message) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if running == 2:
            both.set()
        await leave.wait()
        running -= 1
        await got.put(message)

    messages = [request() for _ in range(6)]
    async with proxied(world) as proxy:
        bus = world.bus(url=world.via(proxy.port))
        await bus.start()
        await bus.consume("certs", handle, concurrency=2)
        await bus.publish([encode(message) for message in messages[:5]])
        await asyncio.wait_for(both.wait(), PATIENCE)
        proxy.reset()
        replies = Basket[Message]()
        address = await bus.open_reply_queue(replies.put)
        answer = encode(CertificateSigned(bay_id=messages[0].bay_id, sign_request_id=messages[0].bay_id))
        async with asyncio.timeout(PATIENCE):
            while not replies.items:  # answered: the new connection brings messages
                await bus.reply(address, answer)
                await asyncio.sleep(0.05)
        leave.set()
        await publish_persistently(bus, list(messages[5:]))
        await got.wait_for_all(list(messages))
    assert peak == 2


async def test_publishing_fails_in_time_while_the_server_is_silent(world: World) -> None:
    async with proxied(world) as proxy:
        bus = world.bus(url=world.via(proxy.port))
        await bus.start()
        await bus.publish([encode(request())])
        proxy.mode = Mode.BLACK_HOLE
        envelopes = [encode(request()) for _ in range(3)]
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(PublishFailed) as caught:
                await bus.publish(envelopes, timeout=0.5)
        assert set(caught.value.failed) == {envelope.id for envelope in envelopes}


async def test_start_waits_for_a_server_that_is_not_there_yet(world: World) -> None:
    got = Basket[Message]()
    async with proxied(world) as proxy:
        proxy.mode = Mode.REFUSE
        bus = world.bus(url=world.via(proxy.port))
        await bus.consume("certs", got.put, concurrency=1)
        starting = asyncio.create_task(bus.start())
        done, _ = await asyncio.wait([starting], timeout=0.5)
        assert not done
        proxy.mode = Mode.PASS
        await asyncio.wait_for(starting, PATIENCE)
        await bus.publish([encode(request())])
        await got.wait(1)


async def test_a_bus_that_is_not_started_does_not_publish(world: World) -> None:
    with pytest.raises(PublishFailed):
        await world.bus().publish([encode(request())], timeout=0.1)


async def test_messages_consumers_and_reply_queue_survive_a_killed_broker() -> None:
    rabbitmq_or_skip("bus")
    broker = rabbitmq()
    if isinstance(broker, GivenRabbit):
        pytest.skip("the broker of AMQP_URL is not the tests' to kill")
    world = RabbitWorld(broker.url)
    await survive(world, broker.kill, broker.restart)
    await world.close_buses()  # what it leaves goes with the broker: right after a restart, removing takes seconds


async def test_messages_consumers_and_reply_queue_survive_a_killed_postmaster(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    try:
        url = server.start()
        await asyncio.to_thread(upgrade, url)
        world = PostgresWorld(url)

        def kill() -> None:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            server.stop()  # takes note of its death

        await survive(world, kill, lambda: (server.start(), None)[1])
        await world.close()
    finally:
        server.stop()


async def survive(world: World, kill: Callable[[], None], restart: Callable[[], None]) -> None:
    """Kill the server with messages waiting, in a handler and in a delay step; then everything must come."""
    got, replies = Basket[Message](), Basket[Message]()
    waiting, postponed, held = [request() for _ in range(5)], request(), request()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def handle(message: Message) -> None:
        first = message not in got.items
        await got.put(message)
        if message == postponed and first:
            raise Retry(STEPS[-1])
        if message == held and first:
            entered.set()
            await leave.wait()

    publisher, consumer, gateway = world.bus("api"), world.bus(), world.bus("api")
    for bus in (publisher, consumer, gateway):
        await bus.start()
    address = await gateway.open_reply_queue(replies.put)
    await consumer.consume("certs", handle, concurrency=2)
    await publisher.publish([encode(postponed), encode(held)])
    await asyncio.wait_for(entered.wait(), PATIENCE)
    await got.wait(2)
    kill()
    with pytest.raises(PublishFailed):
        await publisher.publish([encode(request())], timeout=0.5)
    leave.set()
    restart()
    await publish_persistently(publisher, list(waiting))
    await got.wait_for_all([*waiting, postponed, held])
    await until(lambda: got.items.count(postponed) >= 2)
    answer = CertificateSigned(bay_id=postponed.bay_id, sign_request_id=postponed.operation_id)
    async with asyncio.timeout(PATIENCE):
        while not replies.items:  # a reply is best effort: the gateway's queue may not be read again yet
            await publisher.reply(address, encode(answer))
            await asyncio.sleep(0.2)
    await until(lambda: all(bus.healthy() for bus in (publisher, consumer, gateway)))
    assert not world.dead.items


async def test_a_server_that_never_comes_is_an_error(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(f"shared.bus.{world.kind}.START_LIMIT", 0.5)
    async with proxied(world) as proxy:
        proxy.mode = Mode.REFUSE
        with pytest.raises(BusUnavailable, match=r"not reached in 0\.5 s"):
            await world.bus(url=world.via(proxy.port)).start()
