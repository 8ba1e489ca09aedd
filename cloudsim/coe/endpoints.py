"""The bays' APIs that are open: by address and port, each one listening socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from cloudsim.coe import tls
from cloudsim.coe.bay import Bay
from cloudsim.coe.tls import Identity
from cloudsim.coe.wire import Answer, Connection, Handler, Request

Chooser = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], int | None]


@dataclass(slots=True)
class Endpoint:
    """One listening socket."""

    address: str
    port: int
    bay: Bay
    handler: Handler
    identity: Identity | None
    must: bool
    server: asyncio.Server | None = None
    connections: set[Connection] = field(default_factory=set)

    def choose(self, tls_object: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """At each handshake: the certificate of now, or a stranger's when the bay is to show that."""
        if self.bay.misbehaviours.wrong_certificate:
            tls_object.context = tls.stranger()
        elif self.identity is not None:
            tls_object.context = tls.context(self.identity, must=self.must)

    def renew(self, identity: Identity) -> None:
        """Other certificates, from the next connection on.

        Raises:
            ssl.SSLError: certificate and key do not belong together.
        """
        tls.context(identity, must=self.must)
        self.identity = identity

    def cut(self) -> None:
        """End its connections."""
        for connection in [*self.connections]:
            connection.cut()


class CoeEndpoints:
    """The open endpoints by address and port."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], Endpoint] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def all(self) -> list[Endpoint]:
        """In the order in which they were opened."""
        return [*self._open.values()]

    def get(self, address: str, port: int) -> Endpoint | None:
        """The one there."""
        return self._open.get((address, port))

    async def open(
        self,
        address: str,
        port: int,
        bay: Bay,
        *,
        identity: Identity | None = None,
        must: bool = True,
        handler: Handler | None = None,
    ) -> Endpoint:
        """Listen there, with TLS if there is an identity. Port 0 asks the kernel; the endpoint has the real one.

        Args:
            must: without a client certificate no request is taken; else the engine sees that nobody asks.
            handler: what answers, when that is not the bay's `handle` (a bay may have two APIs).

        Raises:
            OSError: the address is not this machine's, or the port is taken.
            ssl.SSLError: certificate and key do not belong together.
        """
        found = Endpoint(address, port, bay, handler or bay.handle, identity, must)
        secured = self._context(found, identity) if identity is not None else None
        make = partial(Connection, found.handler, bay.clock.call_later, found.connections)
        found.server = await asyncio.get_running_loop().create_server(make, address, port, ssl=secured)
        found.port = int(found.server.sockets[0].getsockname()[1])
        self._open[address, found.port] = found
        return found

    @staticmethod
    def _context(endpoint: Endpoint, identity: Identity) -> ssl.SSLContext:
        """The listener's own. Each handshake goes on with the certificates of now, but whether the client needs one is
        taken from here: OpenSSL does not change that with the context."""
        tls.context(identity, must=endpoint.must)
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.verify_mode = ssl.CERT_REQUIRED if endpoint.must else ssl.CERT_OPTIONAL
        found.sni_callback = endpoint.choose
        return found

    async def close(self, address: str | None = None, port: int | None = None) -> None:
        """Close one, or all; their connections are cut."""
        keys = [*self._open] if address is None or port is None else [(address, port)]
        for key in keys:
            endpoint = self._open.pop(key, None)
            if endpoint is not None and endpoint.server is not None:
                endpoint.server.close()
                endpoint.cut()
                await endpoint.server.wait_closed()


__all__ = ["Answer", "CoeEndpoints", "Endpoint", "Request"]
