"""Stacks whose processes kill themselves where a test says, with two replicas of every worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from tests.support.servers import rabbitmq_or_skip

TIME_SCALE = 0.1
"""Lease 6 s and quarantine 3 s: a killed worker's operation is taken over after 9 s instead of 90 s."""

LONGEST = {"test_kill_points.py", "test_real_times.py", "test_masters_kills.py", "test_upgrade_kills.py"}


@asynccontextmanager
async def killable(root: Path, bus: str) -> AsyncIterator[tuple[LocalStack, Path]]:
    """A stack on this bus and the folder where its fail-points are armed."""
    points = root / "failpoints"
    points.mkdir()
    amqp_url = rabbitmq_or_skip("kill") if bus == "rabbitmq" else None
    stack = LocalStack(
        root / "stack",
        bus=bus,  # type: ignore[arg-type] # one of the two, by the callers
        amqp_url=amqp_url,
        replicas=2,
        speed=40,
        time_scale=TIME_SCALE,
        failpoint_dir=points,
        restart=True,
        extra_environment={"JEROBOAM_BAYS_PER_PROJECT": "1000", "JEROBOAM_SWEEP_MINUTES": "2"},
    )
    async with stack:
        yield stack, points


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker has one of them left when the others are through."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
