"""A TCP proxy that misbehaves on request: the ways a network fails between us and a server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum, auto

READ_SIZE = 65536


class Mode(Enum):
    """What the proxy does with bytes and with new connections."""

    PASS = auto()
    REFUSE = auto()
    """New connections are closed at once; existing ones go on."""
    BLACK_HOLE = auto()
    """Everything is accepted and nothing arrives, in either direction."""


class FaultProxy:
    """Forwards a loopback port to a server (host and port, or the path of a Unix socket)."""

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self.mode = Mode.PASS
        self.port = 0

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.gather(*(link.ended.wait() for link in list(self._links)))

    def reset(self) -> None:
        """Break every connection, as a restarted firewall does."""
        for link in self._links:
            link.abort()

    def freeze(self) -> None:
        """Let the present connections hang half-open for ever; new ones work."""
        for link in self._links:
            link.frozen = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.REFUSE:
            writer.transport.abort()
            return
        link = _Link(writer)
        self._links.add(link)
        try:
            upstream_reader, upstream_writer = await self._connect()
            link.writers.append(upstream_writer)
            pumps = (self._pump(link, reader, upstream_writer), self._pump(link, upstream_reader, writer))
            await asyncio.gather(*pumps)
        finally:
            link.abort()
            self._links.discard(link)
            link.ended.set()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, str):
            return await asyncio.open_unix_connection(self._upstream)
        return await asyncio.open_connection(*self._upstream)

    async def _pump(self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(READ_SIZE):
                if link.frozen or self.mode is Mode.BLACK_HOLE:
                    # Bytes that fell into the hole are gone: the stream cannot be continued after it.
                    link.frozen = True
                    continue
                sink.write(data)
                await sink.drain()
        if not link.frozen:
            link.abort()


class _Link:
    """One proxied connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.frozen = False
        self.ended = asyncio.Event()

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
