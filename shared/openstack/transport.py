"""The seam between us and the HTTP library: the `httpx` API, carried by aiohttp. Changing either is a change here only.

What it promises, whatever the library does:

- no call outlives its limit, body included, but for a stream, which is limited in silence instead;
- every address is judged by the egress policy at the moment it is dialled;
- no redirect is followed, no proxy or cookie of the environment is used;
- **a mutating call is sent at most once.** aiohttp sends PUT and DELETE again by itself when the connection drops
  before the answer, so mutating calls go through a session of their own whose middleware turns that drop into an error
  that aiohttp does not retry, and on a fresh connection each, so that a kept-alive connection which the
  server has just closed cannot be the reason;
- headers and bodies never appear in an exception or a log line.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport
from typing_extensions import override

from shared.openstack.errors import Rubbish, no_answer
from shared.runtime.egress import EgressPolicy

_READS = frozenset({"GET", "HEAD"})
_LARGEST_BODY = 64 * 1024 * 1024
_KEEP_ALIVE = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: any status, the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Flow:
    """An answer whose body is still coming: any status."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport:
    """One process's connections to the cloud. `call_limit` is in seconds; `cafile` adds nothing to, but replaces, the
    system's certificate authorities."""

    def __init__(
        self, egress: EgressPolicy, *, call_limit: float = 30.0, connections: int = 256, cafile: str | None = None
    ) -> None:
        self.call_limit = call_limit
        self._client = _new_client(egress, call_limit, connections, ssl.create_default_context(cafile=cafile))

    async def send(
        self,
        service: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: object | None = None,
        params: Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> Answer:
        """One exchange, sent at most once when it may change something. `limit` (seconds) can only shorten the limit.

        Raises:
            CloudError: no (whole) answer; retryable, but what it did is unknown.
            EgressRefused: the policy forbids the address.
        """
        seconds = self.call_limit if limit is None else min(limit, self.call_limit)
        with _told(service, seconds):
            async with asyncio.timeout(seconds):
                return await self._exchange(service, self._request(method, url, headers, json, params))

    @asynccontextmanager
    async def stream(
        self, service: str, url: str, *, headers: Mapping[str, str], params: Mapping[str, str], silence: float
    ) -> AsyncIterator[Flow]:
        """A read whose body comes bit by bit, for as long as it likes; the connection is closed at the end.

        Its head must come within the call limit, and then something every `silence` seconds.

        Raises:
            CloudError: as `send`, also while the body is read.
            EgressRefused: the policy forbids the address.
        """
        request = self._client.build_request(
            "GET", url, params=params, headers=headers, timeout=httpx.Timeout(self.call_limit, read=silence)
        )
        with _told(service, self.call_limit):
            async with asyncio.timeout(self.call_limit):
                response = await self._client.send(request, stream=True)
        try:
            async with aclosing(_chunks(service, response, silence)) as chunks:
                yield Flow(response.status_code, response.headers, chunks)
        finally:
            await response.aclose()

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], json: object | None, params: Mapping[str, str] | None
    ) -> httpx.Request:
        content = None if json is None else orjson.dumps(json)
        kind = {} if json is None else {"Content-Type": "application/json"}
        return self._client.build_request(
            method, url, params=params, content=content, headers={"Accept": "application/json", **kind, **headers}
        )

    async def _exchange(self, service: str, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_BODY:
                    raise Rubbish(service, f"more than {_LARGEST_BODY} bytes", status=response.status_code)
            return Answer(response.status_code, response.headers, bytes(body))
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


@contextmanager
def _told(service: str, seconds: float) -> Iterator[None]:
    """Every way of not answering as one `CloudError`."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        # httpx-aiohttp names a dropped connection a timeout too; the cause tells them apart.
        why = _reason(error) if isinstance(error.__cause__, aiohttp.ClientConnectionError) else ""
        raise no_answer(service, why or f"no answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError) as error:
        raise no_answer(service, _reason(error)) from None


async def _chunks(service: str, response: httpx.Response, silence: float) -> AsyncGenerator[bytes]:
    with _told(service, silence):
        async for chunk in response.aiter_bytes():
            yield chunk


class _ByMethod(httpx.AsyncBaseTransport):
    """Reads over kept-alive connections, everything else over `writes`."""

    def __init__(self, reads: httpx.AsyncBaseTransport, writes: httpx.AsyncBaseTransport) -> None:
        self._reads = reads
        self._writes = writes

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        chosen = self._reads if request.method in _READS else self._writes
        return await chosen.handle_async_request(request)

    @override
    async def aclose(self) -> None:
        await self._reads.aclose()
        await self._writes.aclose()


class _Dropped(aiohttp.ClientConnectionError):
    """The connection of a mutating call dropped; of a class that aiohttp does not send again for."""


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent, and aiohttp does not try again
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _Dropped("the connection dropped before the answer") from None


def _new_client(egress: EgressPolicy, limit: float, connections: int, tls: ssl.SSLContext) -> httpx.AsyncClient:
    def session(*, writes: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=connections,
            ssl=tls,
            socket_factory=egress.socket_factory,
            happy_eyeballs_delay=None,  # it would swallow the policy's refusal
            force_close=writes,
            keepalive_timeout=None if writes else _KEEP_ALIVE,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            middlewares=(_sent_once,) if writes else (),
        )

    # The sessions are made at first use: they belong to the running loop.
    transport = _ByMethod(
        AiohttpTransport(verify=tls, client=lambda: session(writes=False)),
        AiohttpTransport(verify=tls, client=lambda: session(writes=True)),
    )
    return httpx.AsyncClient(transport=transport, timeout=limit, follow_redirects=False, trust_env=False)


def _reason(error: BaseException) -> str:
    """Why there was no answer; the library's own words only where they name nothing but host and port."""
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    if isinstance(cause, aiohttp.ClientConnectorError):
        return f"cannot connect to {cause.host}:{cause.port} ({cause.os_error.strerror or 'TLS or name failure'})"
    if isinstance(cause, aiohttp.ServerTimeoutError):
        return "it took too long"
    if isinstance(cause, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | httpx.NetworkError):
        return "the connection dropped before the whole answer came"
    return f"the exchange broke ({type(cause).__name__})"
