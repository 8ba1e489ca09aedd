"""What only RabbitMQ has: its traps, each seen once (see the numbers), and what is declared on the broker."""

from __future__ import annotations

import asyncio

import aio_pika
from pamqp.common import FieldValue

from shared.bus.port import PublishFailed
from shared.bus.topology import DELIVERY_LIMIT, topology
from shared.contracts import Message, encode, registry
from tests.bus.world import PATIENCE, Basket, RabbitWorld, request


def test_the_topology_follows_the_registry() -> None:
    wanted = topology("p", (1.0, 10.0))
    queues = {queue.name: queue for queue in wanted.queues}
    for service, messages in registry.CONSUMERS.items():
        keys = {binding.key for binding in wanted.bindings if binding.queue == f"p.{service}"}
        assert keys == {cls.name for cls in messages}
        assert queues[f"p.{service}"].arguments["x-delivery-limit"] == DELIVERY_LIMIT
    assert {b.key for b in wanted.bindings if b.queue == "p.events"} == {cls.name for cls in registry.unbound()}
    assert all(queue.arguments["x-queue-type"] == "quorum" for queue in wanted.queues)
    assert [q for q in queues if ".delay." in q] == ["p.delay.1000ms", "p.delay.10000ms"]


async def test_messages_are_persistent_and_carry_their_identity(rabbit: RabbitWorld) -> None:
    """Trap 2: the library's default is not persistent."""
    bus = await rabbit.started()
    envelope = encode(request(), headers={"traceparent": "00-1"})
    await bus.publish([envelope])
    async with rabbit.channel() as channel:
        queue = await channel.get_queue(f"{rabbit.prefix}.certs", ensure=False)
        incoming = await queue.get(timeout=PATIENCE)
        assert incoming is not None
        await incoming.reject(requeue=True)
    assert incoming.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert (incoming.message_id, incoming.type) == (str(envelope.id), "bay.create.requested")
    ours = {key: value for key, value in incoming.headers.items() if not key.startswith("x-")}
    assert ours == {"traceparent": "00-1", "jeroboam-version": "1"}


async def test_crashes_of_a_reader_do_not_condemn_what_it_had_only_prefetched(rabbit: RabbitWorld) -> None:
    """Trap 3: the delivery limit counts them too, so it is high and real attempts are counted by us."""
    bus = await rabbit.started()
    messages: list[Message] = [request() for _ in range(20)]
    await bus.publish([encode(message) for message in messages])
    for _ in range(7):
        prefetched = Basket[aio_pika.abc.AbstractIncomingMessage]()
        async with rabbit.channel() as channel:
            await channel.set_qos(prefetch_count=20)
            await (await channel.get_queue(f"{rabbit.prefix}.certs", ensure=False)).consume(prefetched.put)
            await prefetched.wait(20)
    got = Basket[Message]()
    await bus.consume("certs", got.put, concurrency=4)
    await got.wait_for_all(messages)
    assert len(got.items) == 20
    assert not rabbit.dead.items


async def test_a_consumer_whose_queue_was_removed_declares_it_again(rabbit: RabbitWorld) -> None:
    """The broker cancels the consumer then and leaves its channel open."""
    got = Basket[Message]()
    bus = await rabbit.started()
    await bus.consume("certs", got.put, concurrency=1)
    await bus.publish([encode(request())])
    await got.wait(1)
    async with rabbit.channel() as channel:
        await channel.queue_delete(f"{rabbit.prefix}.certs")
    again = request()
    async with asyncio.timeout(PATIENCE):
        while again not in got.items:
            try:
                await bus.publish([encode(again)])
                await got.wait(2)
            except PublishFailed:  # not routable until the queue is back
                await asyncio.sleep(0.05)


async def test_a_dead_queue_is_read_by_its_service(rabbit: RabbitWorld) -> None:
    """What the broker gives up on is not left there: it goes to the dead-letter table as well."""
    bus = await rabbit.started("provisioner")
    await bus.consume("provisioner", Basket[Message]().put, concurrency=1)
    async with rabbit.channel() as channel:
        message = aio_pika.Message(b"{}", type="bay.created", message_id="m", headers={"jeroboam-version": "1"})
        await channel.default_exchange.publish(message, f"{rabbit.prefix}.provisioner.dead")
    letter = (await rabbit.dead.wait(1))[0]
    assert (letter.queue, letter.envelope_raw.id) == ("provisioner", "m")
    async with rabbit.channel() as channel:
        queue = await channel.declare_queue(f"{rabbit.prefix}.provisioner.dead", passive=True)
        assert queue.declaration_result.message_count == 0


async def test_the_wire_of_a_stranger_is_set_aside_too(rabbit: RabbitWorld) -> None:
    """No type, an id that is none, headers of every kind."""
    got = Basket[Message]()
    bus = await rabbit.started()
    async with rabbit.channel() as channel:
        headers: dict[str, FieldValue] = {"n": 1, "b": bytearray(b"\xff"), "none": None, "nul": "a\0b"}
        await channel.default_exchange.publish(
            aio_pika.Message(b"hello", message_id="7", headers=headers), f"{rabbit.prefix}.certs"
        )
    await bus.consume("certs", got.put, concurrency=1)
    letter = (await rabbit.dead.wait(1))[0]
    assert letter.reason.startswith("envelope: id, version or expires_at is missing")
    assert (letter.envelope_raw.id, letter.envelope_raw.name) == ("7", "")
    assert letter.envelope_raw.headers == {"n": "1", "b": "\ufffd", "none": "None", "nul": "a\ufffdb"}
