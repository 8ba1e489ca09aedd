"""Simulated engines of every kind on loopback, in virtual time, and channels to them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cloudsim.clock import Clock
from cloudsim.coe import CoeEndpoints
from cloudsim.coe.bay import Bay
from cloudsim.coe.wire import Handler
from shared.coe.connect import Channel, Dialer, tls
from shared.coe.port import CoeNode, Look
from tests.coe.conftest import AUTHORITY, LOOPBACK, OURS
from tests.coe.pki import server

NOWHERE = "http://127.0.0.1:1"


class Engines:
    """Opens endpoints of bays and channels to them."""

    def __init__(self) -> None:
        self.clock = Clock(speed=0)
        self.endpoints = CoeEndpoints()
        self.channels: list[Channel] = []

    async def open(
        self, service: str, bay: Bay, *, plain: bool = False, seconds: float = 5.0, handler: Handler | None = None
    ) -> Channel:
        """A channel to a bay's API, whose workers have to show their certificates unless it is `plain`."""
        identity = None if plain else server(AUTHORITY)
        endpoint = await self.endpoints.open("127.0.0.1", 0, bay, identity=identity, handler=handler)
        context = None if plain else tls(AUTHORITY.pem, OURS)
        url = f"{'http' if plain else 'https'}://127.0.0.1:{endpoint.port}"
        return self.channel(service, url, seconds=seconds, context=context)

    def channel(
        self, service: str, url: str, *, seconds: float = 5.0, context: ssl.SSLContext | None = None
    ) -> Channel:
        """A channel to wherever."""
        made = Dialer(LOOPBACK, seconds).channel(service, url, context)
        self.channels.append(made)
        return made


@asynccontextmanager
async def engines() -> AsyncIterator[Engines]:
    """Closed at the end."""
    found = Engines()
    try:
        yield found
    finally:
        for channel in found.channels:
            await channel.close()
        await found.endpoints.close()


def named(look: Look, name: str) -> CoeNode:
    """A node by its name."""
    return next(node for node in look.nodes if node.name == name)


def on(look: Look, name: str) -> list[str]:
    """What runs there and would have to be moved."""
    return sorted(work.name for work in look.on(named(look, name)))
