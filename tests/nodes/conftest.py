"""Which of these tests run: all where a lab can be had, and the long ones only when they are asked for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from tests.support.lab import machine
from tests.support.lab.cloud import lab_for
from tests.support.lab.lab import Lab

EVERY_TEST = "JEROBOAM_NODES_ALL"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the modules named `test_long_…` unless all are wanted, or they are named on the command line."""
    named = any("test_long_" in argument for argument in config.args)
    if os.environ.get(EVERY_TEST) != "1" and not named:
        config.hook.pytest_deselected(items=[one for one in items if one.path.name.startswith("test_long_")])
        items[:] = [one for one in items if not one.path.name.startswith("test_long_")]


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[LocalStack]:
    """The whole system. The simulated cloud's time runs fast enough to boot servers at once, and slowly enough that
    Heat does not lose patience with nodes that really boot."""
    reason = machine.why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN: nodes ({reason})")
    async with LocalStack(tmp_path, speed=5, time_scale=0.2) as running:
        yield running


@pytest.fixture
async def lab(stack: LocalStack) -> AsyncIterator[Lab]:
    """An empty network from which the stack can be reached."""
    async with lab_for(stack) as running:
        yield running
