"""Bays' own API endpoints, as far as a health check looks at them: opened on demand on a floating address's real port.

They speak plain HTTP, know no certificates and run no containers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

_LIMIT = 16_384
_VERSIONS = {"kubernetes": {"major": "1", "minor": "20", "gitVersion": "v1.20.0-cloudsim"}}


class CoeEndpoints:
    """The open endpoints by address and port."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, int], asyncio.Server] = {}

    async def open(self, address: str, port: int, coe: str, nodes: list[str]) -> int:
        """Listen there; opening twice changes nothing. Returns the port (port 0 asks the kernel)."""
        if (address, port) in self._servers:
            return port
        server = await asyncio.start_server(_talk(coe, nodes), address, port, limit=_LIMIT)
        real = int(server.sockets[0].getsockname()[1])
        self._servers[address, real] = server
        return real

    async def close(self) -> None:
        """Close all endpoints."""
        servers, self._servers = [*self._servers.values()], {}
        for server in servers:
            server.close()
            await server.wait_closed()


def _talk(coe: str, nodes: list[str]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_respond(head.split(b" ", 2)[1].decode("latin-1"), coe, nodes))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()

    return talk


def _respond(path: str, coe: str, nodes: list[str]) -> bytes:
    items = [{"metadata": {"name": n}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}} for n in nodes]
    pages: dict[str, Any] = {
        "/healthz": "ok",
        "/version": _VERSIONS.get(coe, {"Version": "cloudsim"}),
        "/api/v1/nodes": {"kind": "NodeList", "apiVersion": "v1", "items": items},
    }
    page = pages.get(path.partition("?")[0])
    body = (page if isinstance(page, str) else json.dumps(page)).encode()
    head = f"HTTP/1.1 {'404 Not Found' if page is None else '200 OK'}\r\nContent-Length: {len(body)}\r\n"
    kind = "text/plain" if isinstance(page, str) else "application/json"
    return f"{head}Content-Type: {kind}\r\nConnection: close\r\n\r\n".encode() + body
