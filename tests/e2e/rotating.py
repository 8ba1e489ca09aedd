"""A stack in which cloud credentials are rotated, and nodes that take part in it as their agents would."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.cli.stack import LocalStack
from tests.e2e.cloud_people import People
from tests.e2e.nodes import PATIENCE, Node, key_pem, nodes_of
from tests.support.jobs import reason, rows, settled
from tests.support.wire import Wire, wires


@dataclass(frozen=True)
class Scene:
    """A running stack, demo's wire, and the hand of the cloud's administrator."""

    stack: LocalStack
    demo: Wire
    people: People

    async def bay(self, workers: int = 2) -> tuple[str, list[Node]]:
        """A complete bay whose nodes use the cloud, and its nodes with their certificates."""
        bay = await self.demo.create(
            cluster_template_id=await self.demo.template(volume_driver="cinder"), node_count=workers
        )
        await self.complete(bay, "CREATE_COMPLETE")
        nodes = await nodes_of(self.stack, self.demo.client, bay)
        for node in nodes:
            await node.insist(node.csr())
        return bay, nodes

    async def complete(self, bay: str, status: str) -> None:
        assert await settled(self.demo.client, bay) == status, await reason(self.demo.client, bay)

    async def rotate(self, bay: str) -> None:
        answer = await self.demo("PATCH", f"/v1/credentials/{bay}")
        assert (answer.status_code, answer.json()) == (202, {"uuid": bay}), answer.text

    async def note(self, bay: str) -> str:
        found = await self.demo.client.operations(bay)
        return next(str(step.note) for step in found[0].steps if step.name == "rotate_credentials.wait")

    async def time_is_up(self, bay: str) -> None:
        query = "UPDATE operations SET deadline = now(), next_run_at = now() WHERE state = 'active'"
        await rows(self.stack, f"{query} AND bay_id = $1::uuid", bay)

    async def user_data(self, server_id: str) -> str:
        """What a server was born with, as Nova tells its administrators."""
        headers = {**self.people.http.headers, "OpenStack-API-Version": "compute 2.90"}
        answer = httpx.get(f"{self.stack.cloud_url}/compute/v2.1/servers/{server_id}", headers=headers)
        return base64.b64decode(answer.json()["server"]["OS-EXT-SRV-ATTR:user_data"]).decode()


@asynccontextmanager
async def scene(root: Path, **other: Any) -> AsyncIterator[Scene]:
    async with LocalStack(root, speed=20, time_scale=0.05, **other) as stack, wires(stack, "demo") as (demo,):
        people = await People.of(stack)
        try:
            yield Scene(stack, demo, people)
        finally:
            await people.http.aclose()


async def letter(node: Node, generation: int) -> dict[str, Any]:
    """What waits for the node, once it does."""
    async with asyncio.timeout(PATIENCE):
        while (await node.call("GET", "/nodes/self")).json()["credential_generation"] < generation:
            await asyncio.sleep(0.1)
    answer = await node.call("GET", "/nodes/self/credential")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def opened(folder: Path, node: Node, sealed: str) -> dict[str, Any] | None:
    """What openssl makes of it with the node's key, as the agent calls it."""
    for name, content in (("cms", sealed.encode()), ("key", key_pem(node.key)), ("crt", node.certificate.encode())):
        (folder / name).write_bytes(content)
    command = ["openssl", "cms", "-decrypt", "-inform", "PEM", "-in", "cms", "-recip", "crt", "-inkey", "key"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    try:
        read: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None
    return read


async def report(node: Node, generation: int | None) -> None:
    said = {"healthy": True, "revision": "x", "units": {}, "credential_generation": generation}
    assert (await node.call("PUT", "/nodes/self", said)).status_code == 204


async def take(nodes: Sequence[Node], generation: int) -> None:
    """As the agents of these nodes."""
    for node in nodes:
        assert (await letter(node, generation))["generation"] == generation
        await report(node, generation)
