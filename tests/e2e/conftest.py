"""One running stack a bus: every process as in `make up`, the simulated cloud's time twenty times as fast."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from tests.support.servers import rabbitmq_or_skip


@pytest.fixture(params=["postgres", "rabbitmq"])
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalStack]:
    """The stack on this bus."""
    # In the main thread: a server ends with the thread that started it.
    amqp_url = rabbitmq_or_skip("e2e") if request.param == "rabbitmq" else None
    async with LocalStack(tmp_path, bus=request.param, amqp_url=amqp_url, speed=20, time_scale=0.2) as running:
        yield running
