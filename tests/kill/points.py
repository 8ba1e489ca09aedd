"""The kill points, generated from the step registry, so that a new step cannot be forgotten."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from shared.domain.operation import FLOWS, OperationKind

PHASES = ("before_call", "after_effect", "after_commit")
GATEWAY = ("api:after_commit",)
ACCEPTANCE = ("api:credential_intended", "api:credential_made")
"""Where the gateway can die while it makes the nodes' credential, before the bay's row."""

SEED = 20161
STRUCK_WITHIN = 60.0
BUSES = ("postgres", "rabbitmq")


def step_points(kind: OperationKind) -> list[str]:
    """Three points for each step of a kind."""
    return [f"{step.name}:{phase}" for step in FLOWS[kind].steps for phase in PHASES]


def relay_points(kind: OperationKind) -> list[str]:
    """The relay of every service that publishes something in this flow."""
    senders = {"api", *(step.service.value for step in FLOWS[kind].steps)}
    return [f"{service}:relay_confirmed" for service in sorted(senders)]


def all_points(kind: OperationKind) -> list[str]:
    """Every point that an operation of this kind passes."""
    gateway = (*ACCEPTANCE, *GATEWAY) if kind is OperationKind.CREATE else GATEWAY
    return [*step_points(kind), *relay_points(kind), *gateway]


def struck_on(bus: str, points: list[str]) -> list[str]:
    """All in the long form; else every second one, so that each strikes on one bus and each step dies on both."""
    return points if everything() else points[BUSES.index(bus) :: len(BUSES)]


async def all_struck(armed: Path) -> None:
    """Until somebody has died at every armed point.

    What an operation publishes last is relayed after its end: a bay can show its last status before the relay has died.
    """
    try:
        async with asyncio.timeout(STRUCK_WITHIN):
            while any(armed.iterdir()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"nobody died at {sorted(one.name for one in armed.iterdir())}") from None


def a_third(points: list[str]) -> list[str]:
    """A seeded third, where the same steps die elsewhere too."""
    return random.Random(SEED).sample(points, max(len(points) // 3, 1))


def everything() -> bool:
    """Whether the long form was asked for (`make test-kill`)."""
    return os.environ.get("JEROBOAM_KILL_ALL") == "1"
