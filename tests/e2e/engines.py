"""A bay's own API, opened in the simulated cloud on the bay's real address with the bay's real certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.e2e.nodes import PATIENCE, key_pem, nodes_of
from tests.support.jobs import control


@dataclass(frozen=True)
class Engine:
    """What runs in a bay, and the hand that changes it; its nodes are the bay's servers."""

    stack: LocalStack
    host: str
    port: int

    async def do(self, method: str, **arguments: object) -> Any:
        """Call one of the played engine's methods (cloudsim/coe)."""
        answer = await control(self.stack, f"/coe/{self.host}/{self.port}/{method}", "POST", arguments)
        return answer["result"]

    async def nodes(self) -> dict[str, dict[str, Any]]:
        """Its nodes by name."""
        return {one["name"]: one for one in await self.do("nodes")}

    async def closed(self) -> set[str]:
        """Names of the nodes that take no work."""
        return {name for name, node in (await self.nodes()).items() if node["closed"]}

    async def ready_pods(self, app: str) -> list[dict[str, Any]]:
        """Those that serve."""
        return [one for one in await self.do("pods") if one["app"] == app and one["ready"] and not one["ending"]]

    async def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Until that holds of the nodes by name."""
        async with asyncio.timeout(PATIENCE):
            while not holds(await self.nodes()):
                await asyncio.sleep(0.1)


async def open_engine(
    stack: LocalStack, client: JeroboamClient, bay: str, *, engine: str = "kubernetes", **options: object
) -> Engine:
    """Open the API of a bay that is made; its server certificate is what the first master got. `options` are the
    engine's own, times in simulated seconds."""
    address = urlsplit(str((await client.bay(bay)).api_address))
    assert address.hostname is not None
    assert address.port is not None
    master = (await nodes_of(stack, client, bay))[0]
    issued = await master.insist(
        master.csr("kubernetes", addresses=[] if address.hostname in master.addresses else [address.hostname])
    )
    opening = {
        "address": address.hostname,
        "port": address.port,
        "engine": engine,
        "certificate": issued["pem"],
        "key": key_pem(master.key).decode(),
        "ca": (await client.authority(bay)).pem,
        "bay": bay,
        "options": options,
    }
    await control(stack, "/coe", "POST", opening)
    return Engine(stack, address.hostname, address.port)
