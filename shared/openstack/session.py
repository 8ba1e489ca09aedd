"""A session: the transport, whose token, in which project. All thin clients speak through one.

`CloudSession.call` is the only way out: wait for a slot, ask the circuit, add the token, send, sort the answer. A 401
drops the token and tries once more (a 401 means that nothing was done). Nothing else is ever tried twice here: the
worker retries, and looks before it acts again.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

import structlog

from shared.domain.errors import CloudError, InvalidInput
from shared.openstack.answers import Doc
from shared.openstack.circuit import Gate, Gates
from shared.openstack.errors import Rubbish, refused, title
from shared.openstack.tokens import ScopedToken, TokenSource
from shared.openstack.transport import Answer, Transport
from shared.runtime.deadline import Deadline
from shared.runtime.telemetry import CLOUD_CALLS, CLOUD_SECONDS

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the object in it where one was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    doc: Doc | None

    def json(self) -> Doc:
        """The object of a call that asked for one."""
        if self.doc is None:
            raise TypeError("this call did not ask for JSON")
        return self.doc


@dataclass(frozen=True, slots=True)
class CloudSession:
    """Calls with one source of tokens. Cheap to make; connections, slots and circuits are shared by the process."""

    transport: Transport
    tokens: TokenSource
    gates: Gates
    base_urls: Mapping[str, str] = field(default_factory=dict)
    """Endpoints that the settings fix and the catalog does not decide (Keystone)."""

    async def get(
        self, service: str, path: str, *, params: Mapping[str, str] | None = None, resource: str | None = None
    ) -> Doc | None:
        """A JSON object, None when there is no such thing (404).

        Raises:
            CloudError: anything else that is wrong.
        """
        try:
            reply = await self.call(service, "GET", path, params=params, resource=resource, wants_json=True)
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        return reply.json()

    async def send(self, service: str, method: str, path: str, json: object, *, resource: str | None = None) -> Doc:
        """A mutating call whose answer is a JSON object."""
        return (await self.call(service, method, path, json=json, resource=resource, wants_json=True)).json()

    async def delete(self, service: str, path: str, *, resource: str | None = None) -> bool:
        """Delete; False when it was gone already."""
        try:
            await self.call(service, "DELETE", path, resource=resource)
        except CloudError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def pages(self, service: str, path: str, key: str, *, params: Mapping[str, str] | None = None) -> list[Doc]:
        """The whole list under `key`, page by page. Only the marker of a "next" link is used, never its host.

        Raises:
            CloudError: also for 404, see `listing`.
        """
        asked = dict(params or {})
        found: list[Doc] = []
        while True:
            page = await self.listing(service, path, params=asked)
            found += page.docs(key)
            marker = _next_marker(page, key)
            if marker is None or marker == asked.get("marker"):
                return found
            asked["marker"] = marker

    async def listing(self, service: str, path: str, *, params: Mapping[str, str] | None = None) -> Doc:
        """A collection, as one page.

        Raises:
            CloudError: also for 404, retryable. A collection is always there, so 404 comes from a proxy or a wrong
                endpoint; taken for an empty list it would make us believe that everything is gone.
        """
        try:
            return (await self.call(service, "GET", path, params=params, wants_json=True)).json()
        except CloudError as error:
            if error.status != 404:
                raise
            text = f"{error.message.rstrip('.')}: nothing answers there where {title(service)} lists things."
            raise CloudError(text, service=service, status=404, retryable=True) from None

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        json: object | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        resource: str | None = None,
        wants_json: bool = False,
    ) -> Reply:
        """One call within the call limit, waiting for slot and token included; statuses below 400 return.

        Args:
            path: below the service's versioned endpoint, begins with "/", user's words passed through `segment`.
            resource: what it is about, for the error.
            wants_json: an answer that is not a JSON object is an error.

        Raises:
            CircuitOpen: held back, nothing was sent.
            CloudError: refused, failed, or no answer.
        """
        deadline = Deadline.after(self.transport.call_limit)
        gate = self.gates.of(service)
        exchange = _Exchange(service, method, path, json, params, headers or {}, resource, wants_json)
        async with _slot(gate, deadline):
            reply, used = await self._once(exchange, gate, deadline)
            if reply.status == 401 and self.tokens.invalidate(used.token):
                reply, used = await self._once(exchange, gate, deadline)
        if reply.status >= 400:
            raise refused(service, reply.status, reply.headers, reply.body, resource=resource, hide=used.token)
        return reply

    async def _once(self, exchange: _Exchange, gate: Gate, deadline: Deadline) -> tuple[Reply, ScopedToken]:
        scoped = await self._token(deadline)
        url = self.base_urls.get(exchange.service) or scoped.endpoints.url(exchange.service)
        gate.circuit.admit()
        started = time.perf_counter()
        status = "none"
        try:
            answer = await self.transport.send(
                exchange.service,
                exchange.method,
                url + exchange.path,
                headers={"X-Auth-Token": scoped.token, **exchange.headers},
                json=exchange.json,
                params=exchange.params,
                limit=deadline.remaining(),
            )
            status = str(answer.status)
            reply = exchange.read(answer)
        except CloudError as error:
            error.resource = error.resource or exchange.resource
            if error.retryable:  # no answer or rubbish; a refusal by the egress policy says nothing about the service
                gate.circuit.failed()
            raise
        finally:
            exchange.record(status, time.perf_counter() - started)
        (gate.circuit.failed if answer.status >= 500 else gate.circuit.succeeded)()
        return reply, scoped

    async def _token(self, deadline: Deadline) -> ScopedToken:
        try:
            async with deadline.limit():
                return await self.tokens.token()
        except TimeoutError:
            raise CloudError("Keystone gave no token in time.", service="identity", retryable=True) from None


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One call as asked for, tried once or (after a 401) twice."""

    service: str
    method: str
    path: str
    json: object | None
    params: Mapping[str, str] | None
    headers: Mapping[str, str]
    resource: str | None
    wants_json: bool

    def read(self, answer: Answer) -> Reply:
        doc = None
        if self.wants_json and answer.status < 400:
            if answer.status >= 300:
                raise Rubbish(self.service, "a redirect, which we do not follow", status=answer.status)
            doc = Doc.parse(self.service, answer.body)
        return Reply(answer.status, answer.headers, answer.body, doc)

    def record(self, status: str, seconds: float) -> None:
        CLOUD_CALLS.labels(self.service, self.method, status).inc()
        CLOUD_SECONDS.labels(self.service).observe(seconds)
        _log.debug(
            "cloud call", cloud=self.service, method=self.method, path=self.path, status=status, ms=round(seconds * 1e3)
        )


def addressable(value: str) -> bool:
    """Whether a user's word can be one path segment; services undo the quoting of "/" before they read the path."""
    return value not in {"", ".", ".."} and "/" not in value


def segment(value: str) -> str:
    """A word as one path segment.

    Raises:
        InvalidInput: it would change the path.
    """
    if not addressable(value):
        raise InvalidInput(f"'{value}' cannot be the id of anything in the cloud.")
    return quote(value, safe="")


@asynccontextmanager
async def _slot(gate: Gate, deadline: Deadline) -> AsyncIterator[None]:
    try:
        async with deadline.limit():
            await gate.slots.acquire()
    except TimeoutError:
        service = gate.circuit.service
        raise CloudError(
            f"Too many calls to {title(service)} are waiting.", service=service, retryable=True, counts=False
        ) from None
    try:
        yield
    finally:
        gate.slots.release()


def _next_marker(page: Doc, key: str) -> str | None:
    """The marker of the next page: Nova, Neutron and Cinder put links under `<key>_links`, Glance a path at `next`."""
    link = page.data.get("next")
    if f"{key}_links" in page.data:
        link = next((one.text("href") for one in page.docs(f"{key}_links") if one.maybe("rel") == "next"), None)
    if not isinstance(link, str):
        return None
    return next(iter(parse_qs(urlsplit(link).query).get("marker", ())), None)
