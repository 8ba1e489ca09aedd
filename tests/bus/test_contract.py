"""What the port promises, on both carriers with one body."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from shared.bus.port import DeadLetter, PublishFailed, Reject, Retry
from shared.contracts import MAX_BODY_BYTES, Envelope, Message, encode
from shared.contracts.bay import BayAuthoritiesReady, BayDeleted, BayFailed
from shared.contracts.certificate import CertificateSigned, CertificateSignRequested
from tests.bus.world import PATIENCE, STEPS, Basket, World, counted, request


async def test_a_message_reaches_the_queue_that_is_bound_to_it_and_no_other(world: World) -> None:
    certs, provisioner = Basket[Message](), Basket[Message]()
    bus = await world.started()
    await bus.consume("certs", certs.put, concurrency=4)
    await bus.consume("provisioner", provisioner.put, concurrency=4)
    mine, other = request(), BayAuthoritiesReady(operation_id=uuid4(), bay_id=uuid4())
    await bus.publish([encode(mine), encode(other)])
    assert await certs.wait(1) == [mine]
    assert await provisioner.wait(1) == [other]
    assert bus.healthy()


async def test_messages_wait_for_a_consumer_that_comes_later(world: World) -> None:
    await (await world.started("api")).publish([encode(request()) for _ in range(50)])
    got = Basket[Message]()
    late = world.bus()
    await late.consume("certs", got.put, concurrency=10)
    await late.start()
    await got.wait(50)


async def test_two_replicas_share_the_work(world: World) -> None:
    got = Basket[Message]()
    for _ in range(2):
        await (await world.started()).consume("certs", got.put, concurrency=2)
    messages = [request() for _ in range(40)]
    await (await world.started("api")).publish([encode(message) for message in messages])
    await got.wait_for_all(messages)
    assert len(got.items) == 40


async def test_a_message_is_acknowledged_after_its_handler_returned(world: World) -> None:
    entered, leave, hooked = asyncio.Event(), asyncio.Event(), Basket[Message]()
    waiting_in_hook: list[Message] = []

    async def handle(_message: Message) -> None:
        entered.set()
        await leave.wait()

    bus = world.bus(after_handler=waiting_in_hook.append)
    await bus.start()
    await bus.consume("certs", handle, concurrency=1)
    message = request()
    await bus.publish([encode(message)])
    await asyncio.wait_for(entered.wait(), PATIENCE)
    assert not waiting_in_hook
    await bus.close()  # gives up on the handler after its grace: the message must still be there
    leave.set()
    assert not waiting_in_hook
    again = await world.started()
    await again.consume("certs", hooked.put, concurrency=1)
    assert await hooked.wait(1) == [message]


async def test_the_hook_between_handler_and_acknowledgement_sees_the_message(world: World) -> None:
    order = Basket[str]()
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []

    async def handle(_message: Message) -> None:
        await order.put("handler")

    bus = world.bus(after_handler=lambda _message: tasks.append(loop.create_task(order.put("hook"))))
    await bus.start()
    await bus.consume("certs", handle, concurrency=1)
    await bus.publish([encode(request())])
    assert await order.wait(2) == ["handler", "hook"]


@pytest.mark.parametrize("moment", ["handling", "handled"])
async def test_a_message_of_a_killed_process_is_delivered_again(world: World, moment: str) -> None:
    message = request()
    bus = await world.started()
    await bus.publish([encode(message)])
    program = str(Path(__file__).with_name("child.py"))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        world.child_arguments(),
        moment,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), PATIENCE) == b"handling bay.create.requested\n"
    if moment == "handling":
        child.kill()
    await asyncio.wait_for(child.wait(), PATIENCE)
    got = Basket[Message]()
    await bus.consume("certs", got.put, concurrency=1)
    assert await got.wait(1) == [message]


async def test_a_failing_handler_is_asked_five_times_then_the_message_is_dead(world: World) -> None:
    asked = Basket[Message]()

    async def handle(message: Message) -> None:
        await asked.put(message)
        raise RuntimeError("no luck")

    bus = await world.started()
    await bus.consume("certs", handle, concurrency=1)
    message = request()
    envelope = encode(message, headers={"traceparent": "00-1"})
    before = counted("jeroboam_dead_letters", name="bay.create.requested", reason="exhausted")
    await bus.publish([envelope])
    letter = (await world.dead.wait(1))[0]
    assert asked.items == [message] * 5
    assert (letter.queue, letter.attempts) == ("certs", 5)
    assert letter.reason == "failed 5 times, last: RuntimeError: no luck"
    raw = letter.envelope_raw
    assert (UUID(raw.id), raw.name, raw.version, raw.body) == (envelope.id, envelope.name, "1", envelope.body)
    assert raw.headers == {"traceparent": "00-1"}
    assert counted("jeroboam_dead_letters", name="bay.create.requested", reason="exhausted") == before + 1


async def test_a_retried_message_comes_again_and_the_others_go_on(world: World) -> None:
    got = Basket[Message]()
    troubled, smooth = request(), [request() for _ in range(5)]

    async def handle(message: Message) -> None:
        await got.put(message)
        if message == troubled and got.items.count(troubled) < 3:
            raise Retry(0.1)

    bus = await world.started()
    await bus.consume("certs", handle, concurrency=1)
    await bus.publish([encode(message) for message in (troubled, *smooth)])
    await got.wait(8)
    assert got.items.count(troubled) == 3
    assert not world.dead.items


async def test_a_long_delay_does_not_hold_up_a_short_one(world: World) -> None:
    slow, fast = request(), request()
    seen, returned = set[Message](), Basket[Message]()

    async def handle(message: Message) -> None:
        if message in seen:
            await returned.put(message)
            return
        seen.add(message)
        raise Retry(STEPS[-1] if message == slow else STEPS[0])

    bus = await world.started()
    await bus.consume("certs", handle, concurrency=1)
    await bus.publish([encode(slow)])
    await bus.publish([encode(fast)])
    assert await returned.wait(2) == [fast, slow]


async def test_a_rejected_message_is_dead_at_once(world: World) -> None:
    async def handle(_message: Message) -> None:
        raise Reject("never")

    bus = await world.started()
    await bus.consume("certs", handle, concurrency=1)
    await bus.publish([encode(request())])
    letter = (await world.dead.wait(1))[0]
    assert (letter.reason, letter.attempts) == ("rejected: never", 1)


@pytest.mark.parametrize(
    ("name", "version", "body", "reason"),
    [
        ("bay.create.requested", 1, b"{", "Invalid JSON"),
        ("bay.create.requested", 1, b"\xff\x00", "Invalid JSON"),
        ("bay.create.requested", 1, b"[]", "should be an object"),
        ("bay.create.requested", 1, b"{}", "operation_id: Field required"),
        ("bay.create.requested", 9, b"{}", "unknown version 9"),
        ("bay.exploded", 1, b"{}", "unknown message 'bay.exploded'"),
        ("", 1, b"{}", "unknown message ''"),
        ("bay.create.requested", 1, b" " * (MAX_BODY_BYTES + 1), "allowed are 65536"),
    ],
)
async def test_what_is_no_message_is_set_aside_with_the_reason_and_the_consumer_goes_on(
    world: World, name: str, version: int, body: bytes, reason: str
) -> None:
    got = Basket[Message]()
    bus = await world.started()
    label = name if name == "bay.create.requested" else "unknown"
    before = counted("jeroboam_dead_letters", name=label, reason="malformed")
    await world.inject(name, body, version=version)
    await bus.consume("certs", got.put, concurrency=1)
    good = request()
    await bus.publish([encode(good)])
    assert await got.wait(1) == [good]
    letter = (await world.dead.wait(1))[0]
    assert reason in letter.reason
    assert letter.envelope_raw.body == body[:MAX_BODY_BYTES]
    assert counted("jeroboam_dead_letters", name=label, reason="malformed") == before + 1


async def test_a_dead_letter_that_cannot_be_written_is_kept_until_it_can(world: World) -> None:
    tries = Basket[DeadLetter]()
    handled = Basket[Message]()

    async def on_dead(letter: DeadLetter) -> None:
        await tries.put(letter)
        if len(tries.items) == 1:
            raise ConnectionError("database away")

    async def handle(message: Message) -> None:
        await handled.put(message)
        raise Reject("never")

    bus = world.bus(on_dead=on_dead)
    await bus.start()
    await bus.consume("certs", handle, concurrency=1)
    await bus.publish([encode(request())])
    first, second = await tries.wait(2)
    assert first == second
    assert len(handled.items) == 1


async def test_a_message_that_kills_every_reader_is_dead_in_the_end(world: World) -> None:
    got = Basket[Message]()
    bus = await world.started()
    killer = request()
    await bus.publish([encode(killer)])
    await world.wear_out(killer)
    await bus.consume("certs", got.put, concurrency=1)
    letter = (await world.dead.wait(1))[0]
    assert letter.reason == "delivered 200 times without an outcome"
    assert letter.queue == "certs"
    assert not got.items


async def test_what_no_queue_receives_is_not_confirmed_but_the_rest_is(world: World) -> None:
    bus = await world.started()
    lost = Envelope(uuid4(), "bay.exploded", 1, b"{}")
    big = Envelope(uuid4(), "bay.create.requested", 1, b" " * (MAX_BODY_BYTES + 1))
    reply = encode(CertificateSigned(bay_id=uuid4(), sign_request_id=uuid4()))
    good = request()
    with pytest.raises(PublishFailed) as caught:
        await bus.publish([lost, encode(good), big, reply])
    assert set(caught.value.failed) == {lost.id, big.id, reply.id}
    assert caught.value.failed[lost.id] == "no queue receives 'bay.exploded'"
    got = Basket[Message]()
    await bus.consume("certs", got.put, concurrency=1)
    assert await got.wait(1) == [good]


async def test_messages_that_nobody_acts_on_yet_are_accepted(world: World) -> None:
    bus = await world.started("provisioner")
    failed = BayFailed(operation_id=uuid4(), bay_id=uuid4(), reason="no valid host")
    await bus.publish([encode(failed), encode(BayDeleted(operation_id=uuid4(), bay_id=uuid4()))])


async def test_a_reply_comes_to_the_process_that_asked(world: World) -> None:
    replies, others = Basket[Message](), Basket[Message]()
    gateway, neighbour, certs = [await world.started(service) for service in ("api", "api", "certs")]
    address = await gateway.open_reply_queue(replies.put)
    assert await neighbour.open_reply_queue(others.put) != address

    async def sign(message: Message) -> None:
        assert isinstance(message, CertificateSignRequested)
        answer = CertificateSigned(bay_id=message.bay_id, sign_request_id=message.sign_request_id)
        await certs.reply(message.reply_to, encode(answer))

    await certs.consume("certs", sign, concurrency=1)
    asked = CertificateSignRequested(bay_id=uuid4(), sign_request_id=uuid4(), reply_to=address)
    await gateway.publish([encode(asked)])
    (answer,) = await replies.wait(1)
    assert answer == CertificateSigned(bay_id=asked.bay_id, sign_request_id=asked.sign_request_id)
    assert not others.items


async def test_a_reply_to_nobody_is_no_error_and_cannot_be_aimed_at_a_service(world: World) -> None:
    got = Basket[Message]()
    bus = await world.started()
    await bus.consume("certs", got.put, concurrency=1)
    answer = encode(CertificateSigned(bay_id=uuid4(), sign_request_id=uuid4()))
    await bus.reply(f"{world.prefix}.reply.api.gone", answer)
    await bus.reply(f"{world.prefix}.certs", encode(request()))
    last = request()
    await bus.publish([encode(last)])
    assert await got.wait(1) == [last]


async def test_an_expired_message_is_dropped_and_counted(world: World) -> None:
    got = Basket[Message]()
    bus = await world.started()
    asked = CertificateSignRequested(bay_id=uuid4(), sign_request_id=uuid4(), reply_to="anywhere")
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    before = counted("jeroboam_messages", name=asked.name, outcome="expired")
    await world.inject(asked.name, asked.model_dump_json().encode(), expires_at=past)
    await bus.consume("certs", got.put, concurrency=1)
    last = request()
    await bus.publish([encode(last)])
    assert await got.wait(1) == [last]
    assert counted("jeroboam_messages", name=asked.name, outcome="expired") == before + 1


async def test_no_more_handlers_run_at_once_than_allowed(world: World) -> None:
    running, peak, full, done = 0, 0, asyncio.Event(), Basket[Message]()

    async def handle(message: Message) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if running == 3:
            full.set()
        await asyncio.wait_for(full.wait(), PATIENCE)
        await asyncio.sleep(0)
        running -= 1
        await done.put(message)

    bus = await world.started()
    await bus.consume("certs", handle, concurrency=3)
    await bus.publish([encode(request()) for _ in range(12)])
    await done.wait(12)
    assert peak == 3


async def test_a_handler_that_outlives_the_lease_keeps_its_message(world: World) -> None:
    got, quick = Basket[Message](), Basket[Message]()

    async def slow(message: Message) -> None:
        await got.put(message)
        await asyncio.sleep(world.redelivery_seconds * 1.5)
        await quick.put(message)

    for _ in range(2):
        await (await world.started()).consume("certs", slow, concurrency=1)
    await (await world.started("api")).publish([encode(request())])
    await quick.wait(1)
    assert len(got.items) == 1


async def test_an_unknown_queue_and_a_second_handler_are_refused(world: World) -> None:
    bus = world.bus()
    with pytest.raises(ValueError, match="no queue 'nobody'"):
        await bus.consume("nobody", Basket[Message]().put, concurrency=1)
    await bus.consume("certs", Basket[Message]().put, concurrency=1)
    with pytest.raises(ValueError, match="has its handler already"):
        await bus.consume("certs", Basket[Message]().put, concurrency=1)
