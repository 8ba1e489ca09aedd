"""A scripted HTTP server for what a well-behaved cloud never does: drop, hang, redirect, talk rubbish, page oddly.

It logs in anybody (`POST /v3/auth/tokens`) with a catalog that points at itself; other answers come from `script`,
asked for each request. Everything that arrived is in `seen`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SERVICES = {
    "orchestration": "/v1/p1",
    "compute": "/compute/v2.1",
    "network": "/network",
    "image": "/image",
    "volumev3": "/volume/v3/p1",
}


@dataclass(frozen=True)
class Seen:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Say:
    """An answer. `drop`: close without one; `hang`: never answer; `cut`: promise more bytes than come."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    hang: bool = False
    cut: bool = False


Script = Callable[[Seen], Say]


class Wire:
    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.script: Script = lambda _: Say(404, {"error": {"message": "nothing here"}})
        self.login: Script = self._log_in
        self.logins = 0
        self.token_life = 3600.0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> list[Seen]:
        """What arrived, logins left out."""
        return [one for one in self.seen if (one.method, one.path) != ("POST", "/v3/auth/tokens")]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._serve_one(reader, writer):
                await writer.drain()
        writer.close()
        self._tasks.discard(task)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(method, target, headers, body)
        self.seen.append(seen)
        is_login = (method, seen.path) == ("POST", "/v3/auth/tokens")
        say = (self.login if is_login else self.script)(seen)
        if say.hang:
            await asyncio.Event().wait()
        if say.drop:
            return False
        writer.write(_rendered(say))
        return not say.cut

    def _log_in(self, _seen: Seen) -> Say:
        self.logins += 1
        return Say(201, self.token_body(), {"X-Subject-Token": f"service-token-{self.logins}"})

    def token_body(self, **more: object) -> dict[str, object]:
        expires = datetime.now(UTC) + timedelta(seconds=self.token_life)
        domain = {"id": "default", "name": "Default"}
        catalog = [
            {"type": kind, "endpoints": [{"interface": "public", "region_id": "RegionOne", "url": self.url + path}]}
            for kind, path in SERVICES.items()
        ]
        token: dict[str, object] = {
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "issued_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "methods": ["password"],
            "user": {"id": "u1", "name": "demo", "domain": domain},
            "project": {"id": "p1", "name": "demo", "domain": domain},
            "roles": [{"id": "r", "name": "member"}],
            "catalog": catalog,
        }
        return {"token": token | more}


def _rendered(say: Say) -> bytes:
    body = say.body if isinstance(say.body, bytes) else json.dumps(say.body).encode()
    length = len(body) + (100 if say.cut else 0)
    lines = [
        f"HTTP/1.1 {say.status} Words",
        f"Content-Length: {length}",
        *(f"{k}: {v}" for k, v in say.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
