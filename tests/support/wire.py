"""The gateway's HTTP as it is on the wire: anybody, any microversion, and every answer as it comes, refusals too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.support.jobs import BAYMODEL, rows

LATEST = 14


@dataclass(frozen=True)
class Wire:
    """One person's raw requests. `client` is the same person's typed client."""

    client: JeroboamClient
    http: httpx.AsyncClient

    async def __call__(
        self, method: str, path: str, body: object = None, *, version: int | None = LATEST, **headers: str
    ) -> httpx.Response:
        """One request below the gateway's root; None sends no microversion."""
        token = await self.client.session.tokens.token()
        everything = {"X-Auth-Token": token.token, **headers}
        if version is not None:
            everything["OpenStack-API-Version"] = f"container-infra 1.{version}"
        if body is None:
            return await self.http.request(method, path, headers=everything)
        return await self.http.request(method, path, json=body, headers=everything)

    async def get(self, path: str, *, version: int | None = LATEST) -> Any:
        """What a GET shows, which must be there."""
        answer = await self("GET", path, version=version)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def project(self) -> str:
        """The id of the person's project."""
        found = (await self.client.session.tokens.token()).project_id
        assert found is not None
        return found

    async def resize(self, cluster: str, node_count: int, *leaving: str) -> None:
        """Another number of workers, accepted."""
        answer = await self(
            "POST", f"/v1/clusters/{cluster}/actions/resize", {"node_count": node_count, "nodes_to_remove": leaving}
        )
        assert answer.status_code == 202, answer.text

    async def create(self, **fields: object) -> str:
        """A cluster, accepted; of a template of its own unless one is named."""
        if "cluster_template_id" not in fields:
            fields["cluster_template_id"] = await self.template()
        answer = await self("POST", "/v1/clusters", {"name": "c", "node_count": 1, **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["uuid"])

    async def template(self, **fields: object) -> str:
        """A cluster template."""
        answer = await self("POST", "/v1/clustertemplates", {**BAYMODEL, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["uuid"])


@asynccontextmanager
async def wires(stack: LocalStack, *users: str) -> AsyncIterator[list[Wire]]:
    """The wires of these people, in their order."""
    async with AsyncExitStack() as until:
        url = stack.api_url.removesuffix("/v1")
        http = await until.enter_async_context(httpx.AsyncClient(base_url=url, timeout=40))
        yield [Wire(await until.enter_async_context(stack.client(user)), http) for user in users]


def detail(answer: httpx.Response) -> str:
    """The sentence of a refusal."""
    (error,) = answer.json()["errors"]
    assert error["status"] == answer.status_code
    return str(error["detail"])


async def database_counts(stack: LocalStack) -> dict[str, int]:
    """How many rows every table has."""
    tables = await rows(stack, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    names = sorted(one["table_name"] for one in tables)
    query = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS many FROM \"{name}\"" for name in names)
    return {one["name"]: one["many"] for one in await rows(stack, query)}


async def until_ended(wire: Wire, bay: str, *, seconds: float = 60.0) -> list[dict[str, Any]]:
    """The bay's operations, oldest first, once all have ended; none once the bay is gone."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await wire("GET", f"/v1/bays/{bay}/operations")
            if answer.status_code == 404:
                return []
            found: list[dict[str, Any]] = answer.json()["operations"]
            if all(one["state"] not in {"active", "queued"} for one in found):
                return found[::-1]
            await asyncio.sleep(0.1)
