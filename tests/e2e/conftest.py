"""One running stack a bus: every process as in `make up`, the simulated cloud's time twenty times as fast."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from tests.support.servers import NotAvailable, rabbitmq_url


@pytest.fixture(params=["postgres", "rabbitmq"])
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalStack]:
    """The stack on this bus."""
    amqp_url = None
    if request.param == "rabbitmq":
        try:
            amqp_url = rabbitmq_url()  # in the main thread: a server ends with the thread that started it
        except NotAvailable as error:
            print(f"NOT RUN: e2e on RabbitMQ ({error})")
            pytest.skip(str(error))
    async with LocalStack(tmp_path, bus=request.param, amqp_url=amqp_url, speed=20, time_scale=0.2) as running:
        yield running
