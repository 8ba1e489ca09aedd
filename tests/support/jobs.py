"""What the end-to-end and kill tests do and look at, by the public doors: HTTP, the database, the cloud."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain.errors import CloudError

BAYMODEL: dict[str, object] = {
    "name": "k8s",
    "coe": "kubernetes",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "external_network_id": "public",
    "flavor_id": "m1.small",
    "master_flavor_id": "m1.small",
    "network_driver": "flannel",
    "docker_volume_size": 5,
}
COUNTED_KINDS = (
    "stack",
    "server",
    "port",
    "network",
    "subnet",
    "router",
    "floatingip",
    "security_group",
    "server_group",
    "volume",
    "trust",
    "application_credential",
)


async def control(stack: LocalStack, path: str, method: str = "GET", body: object = None) -> Any:
    """Ask the simulated cloud's control door."""

    def ask() -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{stack.control_url}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    return await asyncio.to_thread(ask)


async def cloud_counts(stack: LocalStack) -> dict[str, int]:
    """How many of each kind the cloud has, in all projects."""
    counts: Mapping[str, int] = (await control(stack, "/state"))["counts"]
    return {kind: counts.get(kind, 0) for kind in COUNTED_KINDS}


async def settled(client: JeroboamClient, bay: str, *, seconds: float = 180.0) -> str:
    """The bay's status once nothing is under way; "" once it is gone. Raises TimeoutError with what it last was."""
    status = "?"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    status = str((await client.bay(bay)).status)
                except CloudError as error:
                    if error.status == 404:
                        return ""
                    if not error.retryable:
                        raise
                if status != "?" and not status.endswith("_IN_PROGRESS"):
                    return status
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise TimeoutError(f"bay {bay} is still {status}: {await _story(client, bay)}") from None


async def _story(client: JeroboamClient, bay: str) -> str:
    operations = await patient(client.operations, bay)
    return "; ".join(
        f"{one.kind} {one.state}: " + ", ".join(f"{step.name}={step.state} x{step.attempt}" for step in one.steps)
        for one in operations
    )


async def reason(client: JeroboamClient, bay: str) -> str:
    """The bay's status_reason."""
    return str((await patient(client.bay, bay)).status_reason)


async def patient(call: Any, *arguments: Any, seconds: float = 60.0) -> Any:
    """Repeat a call of the client while the gateway is being restarted or answers 503."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await call(*arguments)
            except CloudError as error:
                if error.status is not None and error.status < 500:
                    raise
                await asyncio.sleep(0.2)


async def rows(stack: LocalStack, query: str, *values: object) -> list[asyncpg.Record]:
    """Ask the database as its administrator."""
    connection = await asyncpg.connect(stack.dsn())
    try:
        found: list[asyncpg.Record] = await connection.fetch(query, *values)
        return found
    finally:
        await connection.close()
