"""Servers that do what no API does: they never answer, dribble, send without end, or speak no HTTP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from threading import Thread

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def misfit(act: Act, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback that acts so on each connection; its URL."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            await act(reader, writer)
        writer.transport.abort()

    running = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = running.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        running.close()
        for writer in writers:
            writer.transport.abort()
        await running.wait_closed()


@asynccontextmanager
async def picky(context: ssl.SSLContext) -> AsyncIterator[str]:
    """A server that says to a client why it does not take its certificate, as real ones do and asyncio's does not."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                made, _ = listening.accept()
            except OSError:
                return
            with made.dup() as twin, suppress(OSError):
                with suppress(ssl.SSLError):
                    context.wrap_socket(made, server_side=True).close()
                while twin.recv(4096):  # what is left unread resets the connection, and the words may be lost
                    continue

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def says(*parts: bytes) -> Act:
    """Reads a request, writes these bytes and cuts the connection."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(parts)
        await writer.drain()

    return act


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes what comes and never answers."""
    while await reader.read(4096):
        continue


def dribbles(head: bytes) -> Act:
    """Writes the head at once, then a byte at a time, for ever."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            with suppress(TimeoutError):  # until the client has had enough
                await asyncio.wait_for(reader.read(1), 0.01)

    return act


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body of 100 MB whose length it does not tell."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[")
    for _ in range(100):
        writer.write(b" " * 1024 * 1024)
        await writer.drain()
