"""The proxy breaks connections in exactly the way each mode promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.faultproxy import FaultProxy


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1], delay=0.01) as made:
        yield made
    server.close()


class Line:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, proxy: FaultProxy) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    def send(self) -> None:
        self._writer.write(b"ping")

    async def answer(self) -> bytes:
        return await self._reader.read(4)

    async def silent(self) -> bool:
        try:
            await asyncio.wait_for(self.answer(), 0.2)
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        self._writer.close()


@pytest.mark.parametrize("mode", ["pass", "latency"])
async def test_bytes_flow(proxy: FaultProxy, mode: str) -> None:
    await proxy.set("latency" if mode == "latency" else "pass")
    line = await Line.to(proxy)
    line.send()
    assert await line.answer() == b"ping"
    await line.close()


async def test_reset_breaks_open_and_new_connections_until_it_ends(proxy: FaultProxy) -> None:
    line = await Line.to(proxy)
    line.send()
    await line.answer()
    await proxy.set("reset")
    with pytest.raises(ConnectionResetError):
        await line.answer()
    fresh = await Line.to(proxy)
    with pytest.raises(ConnectionResetError):
        await fresh.answer()
    await proxy.set("pass")
    again = await Line.to(proxy)
    again.send()
    assert await again.answer() == b"ping"
    for each in (line, fresh, again):
        await each.close()


async def test_refuse_closes_the_port_and_gives_the_same_one_back(proxy: FaultProxy) -> None:
    port = proxy.port
    await proxy.set("refuse")
    with pytest.raises(ConnectionRefusedError):
        await Line.to(proxy)
    await proxy.set("pass")
    assert proxy.port == port
    line = await Line.to(proxy)
    line.send()
    assert await line.answer() == b"ping"
    await line.close()


async def test_blackhole_holds_bytes_back_and_delivers_them_later(proxy: FaultProxy) -> None:
    line = await Line.to(proxy)
    await proxy.set("blackhole")
    line.send()
    assert await line.silent()
    await proxy.set("pass")
    assert await line.answer() == b"ping"
    await line.close()


async def test_half_open_never_answers_and_never_closes(proxy: FaultProxy) -> None:
    line = await Line.to(proxy)
    line.send()
    await line.answer()
    await proxy.set("half-open")
    line.send()
    assert await line.silent()
    await proxy.set("pass")
    assert await line.silent()
    await line.close()
