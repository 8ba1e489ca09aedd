"""A small HTTP server and client, with or without TLS, as stand-ins speak to one another and to real programs."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # nodes have Debian's Python and nothing else
        return method


Subject = dict[str, str]
"""Of a client's certificate: `commonName`, `organizationName`; empty for a client without one."""


@dataclass(frozen=True)
class Question:
    """A request as a stand-in sees it."""

    method: str
    path: str
    body: bytes
    client: Subject

    def json(self) -> Any:
        """The body. Raises ValueError."""
        return json.loads(self.body)


Answer = tuple[int, object]
"""Status and what is sent: text as it is, anything else as JSON."""


def serve(
    address: str,
    port: int,
    answer: Callable[[Question], Answer],
    *,
    certificate: tuple[str, str] | None = None,
    client_authority: str | None = None,
    reloads: bool = False,
) -> None:
    """Answer in threads of their own, until the process ends. Raises OSError when the address cannot be had.

    Args:
        certificate: files of certificate and key; None for plain HTTP.
        client_authority: who signs clients' certificates; one that another signed is refused, none at all is not.
        reloads: whether it reads these files anew when they change, as some programs do.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            given = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
            question = Question(self.command, self.path, self.rfile.read(length), _subject(given))
            status, body = answer(question)
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

        @override
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            print(self.address_string(), format % args)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        @override
        def server_bind(self) -> None:
            socketserver.TCPServer.server_bind(self)  # the parent class asks for the name of the address, which waits

        @override
        def get_request(self) -> tuple[Any, Any]:
            # The handshake belongs to the thread that answers, or one client that says nothing stops all others.
            connection, client = super().get_request()
            if tls is not None:
                connection = tls.now().wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, client

    tls = None if certificate is None else _Tls(certificate, client_authority, reloads=reloads)
    server = Server((address, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class _Tls:
    """What a server shows and whom it trusts. While files that changed do not fit, it keeps what it has."""

    def __init__(self, certificate: tuple[str, str], authority: str | None, *, reloads: bool) -> None:
        self._certificate = certificate
        self._authority = authority
        self._reloads = reloads
        self._seen = self._stamps()
        self._context = self._made()

    def now(self) -> ssl.SSLContext:
        """For the next connection."""
        if self._reloads and (stamps := self._stamps()) != self._seen:
            with suppress(OSError):
                self._context, self._seen = self._made(), stamps
        return self._context

    def _stamps(self) -> list[tuple[int, int]]:
        facts = [Path(path).stat() for path in (*self._certificate, self._authority) if path]
        return [(one.st_ino, one.st_mtime_ns) for one in facts]

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate)
        if self._authority is not None:
            context.load_verify_locations(self._authority)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


def _subject(certificate: Any) -> Subject:
    if not certificate:
        return {}
    return {name: value for part in certificate.get("subject", ()) for name, value in part}


@dataclass(frozen=True)
class Client:
    """Speaks to servers; the files are for those with https addresses."""

    authority: str = ""
    certificate: str = ""
    key: str = ""

    def ask(self, method: str, url: str, body: object = None, *, limit: float = 5.0) -> tuple[int, str]:
        """Status and text of the answer. Raises OSError when there is none."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)
        if isinstance(body, bytes):
            request.add_header("Content-Type", "application/x-www-form-urlencoded")
        elif body is not None:
            request.add_header("Content-Type", "application/json")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), self._https(url))
        try:
            with opener.open(request, timeout=limit) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def _https(self, url: str) -> urllib.request.BaseHandler:
        if not url.startswith("https:"):
            return urllib.request.HTTPHandler()
        context = ssl.create_default_context(cafile=self.authority or None)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return urllib.request.HTTPSHandler(context=context)
