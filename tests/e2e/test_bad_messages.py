"""Nonsense on the bus becomes a dead letter with its reason, and the service goes on with its work."""

from __future__ import annotations

import asyncio
import uuid

import aio_pika
import asyncpg  # type: ignore[import-untyped]
import pytest

from services.cli.stack import LocalStack
from shared.bus.amqp_subscription import VERSION
from tests.support.jobs import BAYMODEL, reason, rows, settled
from tests.support.servers import rabbitmq_url

NONSENSE = {
    "malformed": ("bay.delete.requested", 1, b"{not json"),
    "a field too many": ("bay.delete.requested", 1, b'{"operation_id": 1, "surprise": true}'),
    "unknown message": ("bay.exploded", 1, b"{}"),
    "unknown version": ("bay.delete.requested", 99, b"{}"),
    "oversized": ("bay.delete.requested", 1, b"[" + b" " * 70_000 + b"]"),
}


async def test_nonsense_is_set_aside_and_the_work_goes_on(stack: LocalStack, request: pytest.FixtureRequest) -> None:
    slip_in = {"postgres": _slip_into_postgres, "rabbitmq": _slip_into_rabbit}[request.node.callspec.params["stack"]]
    for name, version, body in NONSENSE.values():
        await slip_in(stack, name, version, body)
    async with asyncio.timeout(30):
        while len(found := await rows(stack, "SELECT name, reason FROM dead_letters")) < len(NONSENSE):
            await asyncio.sleep(0.1)
    reasons = "\n".join(row["reason"] for row in found)
    for expected in ("JSON", "surprise", "unknown message 'bay.exploded'", "unknown version 99", "allowed are 65536"):
        assert expected in reasons
    async with stack.client("demo") as client:
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "after", "baymodel_id": model.uuid, "node_count": 1})
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""
    assert len(await rows(stack, "SELECT id FROM dead_letters")) == len(NONSENSE)


async def _slip_into_postgres(stack: LocalStack, name: str, version: int, body: bytes) -> None:
    connection = await asyncpg.connect(stack.dsn())
    try:
        await connection.execute(
            "INSERT INTO bus_messages (id, queue, name, version, body) VALUES ($1, 'jeroboam.provisioner', $2, $3, $4)",
            uuid.uuid4(), name, version, body,
        )  # fmt: skip
    finally:
        await connection.close()


async def _slip_into_rabbit(_stack: LocalStack, name: str, version: int, body: bytes) -> None:
    connection = await aio_pika.connect(rabbitmq_url())
    async with connection:
        channel = await connection.channel()
        message = aio_pika.Message(body, message_id=str(uuid.uuid4()), type=name, headers={VERSION: str(version)})
        await channel.default_exchange.publish(message, routing_key="jeroboam.provisioner")
