"""Serving the simulated cloud over sockets: a server that faults can cut connections of, and that tells its port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cloudsim.faults import TRANSPORT

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class CuttableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with its transport in the scope's extensions: ASGI itself has no way to give no answer."""

    @override
    def on_message_begin(self) -> None:
        """A request begins: its scope has just been made."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class CloudServer(uvicorn.Server):
    """A uvicorn server that writes its port to a file once it listens, ends with status 0 on a signal, and can end
    with its parent.
    """

    def __init__(self, config: uvicorn.Config, *, port_file: Path | None = None, parent_pid: int | None = None) -> None:
        super().__init__(config)
        self.port = 0
        self._port_file, self._parent_pid = port_file, parent_pid
        self._watch: asyncio.Task[None] | None = None

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell the port."""
        await super().startup(sockets)
        if not self.started:
            return
        self.port = int(self.servers[0].sockets[0].getsockname()[1])
        if self._port_file is not None:
            write_atomically(self._port_file, f"{self.port}\n")
        if self._parent_pid is not None:
            self._watch = asyncio.create_task(self._end_with(self._parent_pid))

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End on SIGTERM and SIGINT, and do not raise them again afterwards as uvicorn would: ending was wanted."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def _end_with(self, parent_pid: int) -> None:
        """End when we have another parent: then the one that started us is gone."""
        while os.getppid() == parent_pid:  # noqa: ASYNC110  (the kernel sends no event for this)
            await asyncio.sleep(1)
        self.should_exit = True


def configure(app: FastAPI, host: str, port: int, *, access_log: bool = False) -> uvicorn.Config:
    """The server's configuration. Requests that hang by a fault do not hold up the end."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=CuttableProtocol,
        access_log=access_log,
        log_level="info" if access_log else "warning",
        timeout_keep_alive=65,
        timeout_graceful_shutdown=1,
    )


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)
