"""A TCP proxy on loopback that breaks connections in the ways networks do.

pass       bytes flow
latency    bytes flow, each piece `delay` seconds late
reset      open connections are reset, new ones are accepted and reset
refuse     open connections are reset, new ones are refused (nobody listens)
blackhole  nothing flows and nothing is closed; what was held back flows when the mode ends, as TCP would resend it
half-open  the far side is gone and the near side is not told: its bytes are swallowed, for these connections for ever
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Literal, Self

Mode = Literal["pass", "latency", "reset", "refuse", "blackhole", "half-open"]


class FaultProxy:
    """`async with FaultProxy(host, port) as proxy`: connect to `proxy.port`, break it with `await proxy.set(mode)`."""

    def __init__(self, host: str, port: int, *, delay: float = 0.2) -> None:
        self._target = (host, port)
        self._delay = delay
        self._mode: Mode = "pass"
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.set("pass")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.set("refuse")

    async def set(self, mode: Mode) -> None:
        """Change the mode; open connections feel it at once."""
        self._mode = mode
        if mode in {"reset", "refuse"}:
            await self._reset_all()
        if mode == "half-open":
            for _near, *far in self._pairs.values():
                for writer in far:
                    writer.transport.abort()
        (self._flowing.clear if mode == "blackhole" else self._flowing.set)()
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif mode != "refuse" and self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _reset_all(self) -> None:
        pairs, self._pairs = self._pairs, {}
        for task, writers in pairs.items():
            task.cancel()
            for writer in writers:
                _reset(writer)
        await asyncio.gather(*pairs, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._mode == "reset":
            _reset(near)
            return
        task = asyncio.current_task()
        assert task is not None
        writers = self._pairs[task] = [near]
        try:
            await self._flowing.wait()
            far_reader, far = await asyncio.open_connection(*self._target)
            writers.append(far)
            await asyncio.gather(self._pump(reader, far), self._pump(far_reader, near))
        except (OSError, asyncio.CancelledError):
            _reset(near)
        finally:
            self._pairs.pop(task, None)
            for writer in writers:
                writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await self._read(source):
            await self._flowing.wait()
            if self._mode == "latency":
                await asyncio.sleep(self._delay)
            if not sink.is_closing():  # the far side of a half-open connection: swallow
                sink.write(data)
                with suppress(OSError):
                    await sink.drain()
        if self._mode == "half-open":
            await asyncio.Event().wait()  # whoever is left never hears of the end
        sink.close()

    @staticmethod
    async def _read(source: asyncio.StreamReader) -> bytes:
        try:
            return await source.read(65536)
        except OSError:
            return b""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
