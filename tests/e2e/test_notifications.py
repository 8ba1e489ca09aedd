"""The whole stack tells other services of a bay's life, as Magnum does; its own bus is in Postgres meanwhile."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika

from services.cli.stack import LocalStack
from tests.support.jobs import BAYMODEL, reason, settled
from tests.support.servers import rabbitmq_or_skip

PATIENCE = 60.0


async def test_a_bays_life_is_told(tmp_path: Path) -> None:
    url, exchange = rabbitmq_or_skip("e2e"), f"x{uuid4().hex[:12]}"
    environment = {
        "JEROBOAM_NOTIFICATIONS": "true",
        "JEROBOAM_NOTIFICATION_AMQP_URL": url,
        "JEROBOAM_NOTIFICATION_EXCHANGE": exchange,
        "JEROBOAM_NOTIFICATION_TOPIC": exchange,
        "JEROBOAM_HOST_NAME": "here",
    }
    async with (
        LocalStack(tmp_path, speed=20, time_scale=0.2, extra_environment=environment) as stack,
        stack.client("demo") as client,
    ):
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "told", "baymodel_id": model.uuid, "node_count": 1})
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        await client.delete_bay(bay)
        told = await _heard(url, exchange, 4)
        assert sorted((one["event_type"], one["payload"]["outcome"]) for one in told) == [
            ("magnum.cluster.create", "pending"),
            ("magnum.cluster.create", "success"),
            ("magnum.cluster.delete", "pending"),
            ("magnum.cluster.delete", "success"),
        ]
        assert {one["publisher_id"] for one in told} == {"container-infra.here"}
        assert {one["payload"]["target"]["id"] for one in told} == {str(bay)}
        built = next(one for one in told if one["payload"]["outcome"] == "success")
        cluster = built["payload"]["target"]["attachments"][0]["content"]
        assert (cluster["status"], cluster["node_count"], len(cluster["node_addresses"])) == ("CREATE_COMPLETE", 1, 1)
        assert cluster["keypair"] == BAYMODEL["keypair_id"]
        assert cluster["api_address"].startswith("https://")


async def _heard(url: str, topic: str, count: int) -> list[dict[str, Any]]:
    """So many notifications of priority info; then exchange and queues are removed."""
    found = []
    connection = await aio_pika.connect(url)
    try:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{topic}.info", ensure=False)
        async with asyncio.timeout(PATIENCE), queue.iterator(no_ack=True) as incoming:
            async for message in incoming:
                found.append(json.loads(json.loads(message.body)["oslo.message"]))
                if len(found) == count:
                    break
        for priority in ("info", "error"):
            await channel.queue_delete(f"{topic}.{priority}")
        await channel.exchange_delete(topic)
    finally:
        await connection.close()
    return found
