"""What only the Postgres bus has: hints, leases and a table that stays empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg  # type: ignore[import-untyped]
import pytest

from shared.bus.delivery import Courier
from shared.bus.port import Bus
from shared.bus.postgres import PostgresBus
from shared.contracts import Message, encode
from shared.contracts.certificate import CertificateSigned, CertificateSignRequested
from tests.bus.world import PATIENCE, Basket, PostgresWorld, request
from tests.support.database import migrated_database
from tests.support.servers import database_url


@pytest.fixture
async def postgres() -> AsyncIterator[PostgresWorld]:
    """A database with the queue table."""
    async with migrated_database() as url:
        made = PostgresWorld(url)
        yield made
        await made.close()


async def rows(world: PostgresWorld) -> int:
    """How many messages there are, of any queue."""
    connection = await asyncpg.connect(world.database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM bus_messages"))
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ["jb_api", "jb_provisioner", "jb_certs", "jb_scaler"])
async def test_every_service_role_can_send_and_receive_over_a_unix_socket(postgres: PostgresWorld, role: str) -> None:
    """The DSN form of the embedded default: postgresql://role@/db?host=/directory."""
    url = database_url(postgres.database_url.partition("?")[0].rpartition("/")[2], role)
    if not url.startswith(f"postgresql://{role}@/"):
        pytest.skip("DATABASE_URL is not a Unix socket")
    got = Basket[Message]()
    bus = postgres.bus(url=url)
    await bus.start()
    await bus.consume("certs", got.put, concurrency=1)
    await bus.publish([encode(request())])
    await got.wait(1)


async def test_a_lost_hint_costs_a_poll_and_not_a_message(postgres: PostgresWorld) -> None:
    got = Basket[Message]()
    bus = await postgres.started()
    await bus.consume("certs", got.put, concurrency=1)
    message = request()
    await postgres.inject(message.name, message.model_dump_json().encode())  # no NOTIFY
    assert await got.wait(1) == [message]


async def test_many_publishes_make_few_hints_and_none_inside_a_transaction(postgres: PostgresWorld) -> None:
    """A NOTIFY in a writer's transaction takes a lock on the whole server at commit."""
    hints = Basket[str]()
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    connection = await asyncpg.connect(postgres.database_url)
    await connection.add_listener(
        f"{postgres.prefix}.bus", lambda *hint: tasks.add(loop.create_task(hints.put(str(hint[3]))))
    )
    bus = await postgres.started()
    for _ in range(20):
        await asyncio.gather(*(bus.publish([encode(request())]) for _ in range(10)))
    (await hints.wait(1)).copy()
    await connection.execute("SELECT 1")
    assert len(hints.items) < 200
    assert set(hints.items) == {f"{postgres.prefix}.certs"}
    await connection.close()


async def test_the_table_is_empty_when_everything_is_handled(postgres: PostgresWorld) -> None:
    got = Basket[Message]()
    bus = await postgres.started()
    await bus.consume("certs", got.put, concurrency=8)
    await bus.publish([encode(request()) for _ in range(30)])
    await got.wait(30)
    await bus.close()
    assert await rows(postgres) == 0


async def test_a_closed_bus_releases_what_it_held_at_once(postgres: PostgresWorld) -> None:
    """Not only when the lease ends: that is an hour here."""
    postgres.redelivery_seconds = 3600
    entered, got = asyncio.Event(), Basket[Message]()

    async def hang(_message: Message) -> None:
        entered.set()
        await asyncio.Event().wait()

    first = await postgres.started()
    await first.consume("certs", hang, concurrency=1)
    await first.publish([encode(request())])
    await asyncio.wait_for(entered.wait(), PATIENCE)
    await first.close()
    second = await postgres.started()
    await second.consume("certs", got.put, concurrency=1)
    await got.wait(1)


async def test_what_nobody_waits_for_is_swept_away(postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.bus.postgres.SWEEP_SECONDS", 0.05)
    sender = await postgres.started()
    asked = CertificateSignRequested(
        bay_id=request().bay_id, sign_request_id=request().bay_id, reply_to=f"{postgres.prefix}.reply.api.gone"
    )
    await sender.publish([encode(asked, headers={"expires_at": "2020-01-01T00:00:00+00:00"})])
    await sender.reply(
        asked.reply_to, encode(CertificateSigned(bay_id=asked.bay_id, sign_request_id=asked.sign_request_id))
    )
    connection = await asyncpg.connect(postgres.database_url)
    try:
        await connection.execute("UPDATE bus_messages SET expires_at = now() WHERE queue LIKE '%.reply.%'")
        async with asyncio.timeout(PATIENCE):
            while await rows(postgres):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def test_handlers_that_use_the_database_cannot_starve_the_bus(postgres: PostgresWorld) -> None:
    """More handlers than connections, each holding one of its own: acknowledgements have the bus's pool."""
    got = Basket[Message]()
    pool = await asyncpg.create_pool(postgres.database_url, min_size=0, max_size=2)

    async def handle(message: Message) -> None:
        async with pool.acquire() as connection:
            await connection.execute("SELECT pg_sleep(0.01)")
        await got.put(message)

    bus: Bus = await postgres.started()
    await bus.consume("certs", handle, concurrency=20)
    await bus.publish([encode(request()) for _ in range(60)])
    await got.wait(60)
    await bus.close()
    assert await rows(postgres) == 0
    await pool.close()


def test_a_password_is_not_in_the_repr() -> None:
    bus = PostgresBus("postgresql://jb_api:sesame@db/x", service="api", courier=Courier(Basket[object]().put))
    assert "sesame" not in repr(bus)
