"""The process: `python -m services.api`."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import structlog
import uvicorn
from typing_extensions import override

from services.api.app import END_STREAMS, make_app
from services.api.policy import Policy
from services.api.policy_file import BrokenPolicy
from services.api.settings import ApiSettings
from shared.runtime import failpoint, logging, telemetry
from shared.runtime.settings import load

_log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Tells where it listens once it does."""

    def __init__(self, config: uvicorn.Config, settings: ApiSettings) -> None:
        super().__init__(config)
        self._settings = settings

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        if self._settings.port_file is not None and sockets:
            _write(self._settings.port_file, str(sockets[0].getsockname()[1]))
        if self._settings.ready_file is not None:
            _write(self._settings.ready_file, str(os.getpid()))
        _log.info("ready", host=self._settings.host, port=sockets[0].getsockname()[1] if sockets else None)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Event streams first: uvicorn waits for answers under way, and they would go on for an hour."""
        if end := self.lifespan.state.get(END_STREAMS):
            end()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first. Exits with 1 when it cannot start."""
    settings = load(ApiSettings)
    logging.configure("api", settings.log_level)
    failpoint.configure(settings.failpoint_dir)
    telemetry.start_metrics_server(settings.metrics_port, settings.metrics_host)
    _check_policy(settings)
    listening = _listen(settings)
    config = uvicorn.Config(
        make_app(settings),
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        # Longer than clients and proxies keep an idle connection (httpx 5 s, nginx 60): who closes must not be the
        # one that a request is just on its way to.
        timeout_keep_alive=65,
        timeout_graceful_shutdown=15,
    )
    server = _Server(config, settings)
    server.run(sockets=[listening])
    if not server.started:
        raise SystemExit(1)


def _check_policy(settings: ApiSettings) -> None:
    """Say what is wrong in one sentence; from within the lifespan it would come as a traceback."""
    try:
        Policy(settings.policy_file)
    except BrokenPolicy as error:
        raise SystemExit(f"jeroboam-api: {error}") from None


def _listen(settings: ApiSettings) -> socket.socket:
    """The socket, made here so that port 0 can be asked for and told."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        raise SystemExit(f"jeroboam-api: cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    listening.setblocking(False)
    return listening


def _write(path: Path, text: str) -> None:
    """Whole or not at all: whoever waits for the file must not read half a number."""
    half = path.with_name(f"{path.name}.new")
    half.write_text(text)
    half.replace(path)
