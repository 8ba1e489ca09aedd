"""HTTP/1.1 as a bay's engine speaks it, without a task per connection: an engine answers at once, from its state.

An idle connection is one object and an idle bay one listening socket, so a thousand of them fit in one process.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from typing_extensions import override

MOST_HEAD: Final = 32_768
MOST_BODY: Final = 4 * 1024 * 1024
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a client certificate says that somebody is; both empty without one."""

    name: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    path: str
    """Decoded, without the query."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in small letters."""
    body: bytes = b""
    caller: Caller = Caller()

    def json(self) -> Any:
        """The body as JSON; None when it is empty.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `after` seconds of the simulated clock from now."""

    status: int = 200
    body: bytes = b""
    media: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0


class Hang:
    """No answer, and the connection stays."""


class Drop:
    """No answer, and the connection is cut."""


Answer = Reply | Hang | Drop
Handler = Callable[[Request], Answer]
Later = Callable[[float, Callable[[], None]], object]


def as_json(body: object, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    return Reply(status, json.dumps(body, separators=(",", ":")).encode(), headers=headers)


def as_text(text: str, status: int = 200) -> Reply:
    """A plain text answer."""
    return Reply(status, text.encode(), "text/plain; charset=utf-8")


class BadHttp(Exception):
    """What came is no request that we read."""


class Connection(asyncio.Protocol):
    """One client's connection: requests are answered in the order in which they came, one at a time."""

    def __init__(self, handler: Handler, later: Later, open_ones: set[Connection]) -> None:
        self._handler = handler
        self._later = later
        self._open_ones = open_ones
        self._buffer = b""
        self._busy = False
        self._transport: asyncio.Transport | None = None
        self._caller = Caller()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._caller = caller_of(transport.get_extra_info("ssl_object"))
        self._open_ones.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._open_ones.discard(self)

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._go_on()

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _go_on(self) -> None:
        """Answer what is complete in the buffer, unless an answer is still due."""
        while not self._busy and self._transport is not None:
            try:
                request = self._take()
            except (BadHttp, ValueError, UnicodeDecodeError):
                self._send(as_text("400 Bad Request", 400), closes=True)
                return
            if request is None:
                return
            self._answer(request)

    def _take(self) -> Request | None:
        """The first request of the buffer, taken out; None when it is not complete yet."""
        end = self._buffer.find(_END)
        if end < 0:
            if len(self._buffer) > MOST_HEAD:
                raise BadHttp("the head is too long")
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        found = _body(self._buffer, end + len(_END), headers)
        if found is None:
            if headers.get("expect", "").lower() == "100-continue" and len(self._buffer) == end + len(_END):
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body, used = found
        self._buffer = self._buffer[used:]
        method, target, _version = first.split(" ", 2)
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return Request(method, unquote(parts.path), query, headers, body, self._caller)

    def _answer(self, request: Request) -> None:
        match self._handler(request):
            case Drop():
                self.cut()
            case Hang():
                self._busy = True
            case Reply() as reply:
                closes, bare = request.headers.get("connection", "").lower() == "close", request.method == "HEAD"
                if not reply.after:
                    self._send(reply, closes=closes, bare=bare)
                    return
                self._busy = True
                self._later(reply.after, lambda: self._send_late(reply, closes=closes, bare=bare))

    def _send_late(self, reply: Reply, *, closes: bool, bare: bool) -> None:
        self._busy = False
        self._send(reply, closes=closes, bare=bare)
        self._go_on()

    def _send(self, reply: Reply, *, closes: bool, bare: bool = False) -> None:
        """`bare`: without the body, as HEAD wants it."""
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        if reply.status != 204:
            lines += [f"Content-Type: {reply.media}", f"Content-Length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines += ["Connection: close"] if closes else []
        self._write("\r\n".join(lines).encode("latin-1") + _END + (b"" if bare or reply.status == 204 else reply.body))
        if closes and self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _body(buffer: bytes, start: int, headers: Mapping[str, str]) -> tuple[bytes, int] | None:
    """The body that begins at `start`, and where it ends; None when not all of it has come."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _chunks(buffer, start)
    length = int(headers.get("content-length", 0))
    if not 0 <= length <= MOST_BODY:
        raise BadHttp("the body is too long")
    return (buffer[start : start + length], start + length) if len(buffer) >= start + length else None


def _chunks(buffer: bytes, at: int) -> tuple[bytes, int] | None:
    """A body in chunks, without trailers."""
    found = b""
    while (end := buffer.find(b"\r\n", at)) >= 0:
        size = int(buffer[at:end].partition(b";")[0], 16)
        start = end + 2
        if len(buffer) < start + size + 2:
            return None
        if size == 0:
            return found, start + 2
        found += buffer[start : start + size]
        if len(found) > MOST_BODY:
            raise BadHttp("the body is too long")
        at = start + size + 2
    return None


def caller_of(tls: ssl.SSLObject | None) -> Caller:
    """Common name and organizations of the client's certificate, which TLS has checked already. A port without TLS
    takes everybody for an administrator, as those of the engines do."""
    if tls is None:
        return Caller("system:unsecured", ("system:masters",))
    subject = cast("Iterable[Iterable[tuple[str, str]]]", (tls.getpeercert() or {}).get("subject", ()))
    parts = [pair for rdn in subject for pair in rdn]
    names = [value for key, value in parts if key == "commonName"]
    return Caller(names[0] if names else "", tuple(value for key, value in parts if key == "organizationName"))
