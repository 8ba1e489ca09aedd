"""The way into a bay's own APIs: one lean HTTP layer for all engines.

    dialer = Dialer(egress)                                       one a process
    channel = dialer.channel("docker", "https://172.24.4.9:2376", tls(authorities_pem, client))
    data = await channel.get("/v1.24/nodes", {"filters": "…"})    JSON of a 2xx answer
    answer = await channel.call("POST", "/v1.24/nodes/x/update", json=…, allow={404})
    await channel.close()

What it promises, whatever the other end does:

- a call ends within its limit, body included; it connects only where the egress policy allows;
- every failure is a `CloudError` of that service (shared/coe/errors.py) or `EgressRefused`;
- no redirect is followed, no cookie or proxy of the environment is used, no answer is unpacked or longer than
  `LARGEST`;
- a call that may change something is sent at most once;
- no body, header or key appears in an exception, but for the reason that an API gives for its refusal.

A channel's connections live as long as the channel: for one look or one drain, never for the life of a bay.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import orjson
from yarl import URL

from shared.coe.errors import NotLetIn, Rubbish, no_answer, refused, words
from shared.coe.port import CALL_SECONDS
from shared.domain.errors import CloudError
from shared.runtime.egress import EgressPolicy

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of one answer. 5,000 pods are 25 MB; more than that comes in pages."""

_AT_ONCE: Final = 4
"""Connections to one server."""
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "jeroboam-scaler"}


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate and its private key, both PEM; the key is kept out of the repr."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    service: str
    status: int
    headers: Mapping[str, str]
    """Names are compared without regard to case."""
    body: bytes
    proven: bool
    """Whether the server has shown a certificate of the bay's authorities."""

    def json(self) -> object:
        """The body as JSON. Raises Rubbish when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise Rubbish(self.service, f"{len(self.body)} bytes that are not JSON", status=self.status) from None

    def words(self) -> str:
        """What it says of what went wrong, as far as that may be quoted."""
        return words(self.body, proven=self.proven)

    def refusal(self) -> CloudError:
        """The error that it is."""
        return refused(self.service, self.status, self.body, proven=self.proven)


def tls(authorities: str, client: ClientCertificate | None = None) -> ssl.SSLContext:
    """A context that trusts these authorities (PEM) and no others, and shows `client` to servers that ask for one.

    Raises ValueError for what cannot be read, or a key that is not the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=authorities)
        if client is not None:
            with _as_file(f"{client.certificate}\n{client.key}") as path:
                context.load_cert_chain(path)
    except ssl.SSLError as error:
        raise ValueError(f"certificates that cannot be used ({error.reason})") from None
    return context


@dataclass(frozen=True, slots=True)
class Dialer:
    """How this process connects to bays; `seconds` is the limit of one call."""

    egress: EgressPolicy
    seconds: float = CALL_SECONDS

    def channel(self, service: str, base: str, tls: ssl.SSLContext | None = None) -> Channel:
        """Calls to one server: `service` is "kubernetes", "docker", "mesos" or "marathon", `base` its URL without a
        path. Nothing is connected yet."""
        return Channel(service, base, lambda: self._session(tls), self.seconds, secured=tls is not None)

    def _session(self, tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=_AT_ONCE,
            ssl=tls or True,
            socket_factory=self.egress.socket_factory,
            happy_eyeballs_delay=None,  # it would swallow the policy's refusal
            use_dns_cache=False,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            trust_env=False,
            auto_decompress=False,  # nobody asked for packed bytes, and they may grow without bounds
            timeout=aiohttp.ClientTimeout(total=None),  # ours is around it
            middlewares=(_sent_once,),
        )


class Channel:
    """Calls to one server of a bay."""

    def __init__(
        self, service: str, base: str, session: Callable[[], aiohttp.ClientSession], seconds: float, *, secured: bool
    ) -> None:
        self.service = service
        self.not_let_in = False
        """Whether the server has refused our certificate, or may have, also where the caller made something else of
        that. A server with TLS 1.3 refuses it after the handshake, and where our request crosses its words they are
        lost: the connection just drops."""
        self._base = base.rstrip("/")
        self._new_session = session
        self._session: aiohttp.ClientSession | None = None
        self._seconds = seconds
        self._secured = secured

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> object:
        """The JSON of a 2xx answer. Raises CloudError."""
        return (await self.call("GET", path, params=params)).json()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object | None = None,
        kind: str = "application/json",
        allow: Collection[int] = (),
    ) -> Answer:
        """One exchange. `json` is sent as a body of type `kind`; the answer's status is 2xx or one of `allow`.

        Raises:
            CloudError: another status, no (whole) answer within the limit, or one that makes no sense. Not retryable
                where the API said no.
            EgressRefused: the policy forbids the address.
        """
        try:
            answer = await self._exchange(method, path, params, json, kind)
            if not (200 <= answer.status < 300 or answer.status in allow):
                raise answer.refusal()
        except NotLetIn:
            self.not_let_in = True
            raise
        return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(
        self, method: str, path: str, params: Mapping[str, str] | None, json: object | None, kind: str
    ) -> Answer:
        headers = None if json is None else {"Content-Type": kind}
        data = None if json is None else orjson.dumps(json)
        with _told(self.service, self._seconds), self._watched():
            session = self._session = self._session or self._new_session()
            url = URL(self._base + path)
            async with (
                asyncio.timeout(self._seconds),
                session.request(
                    method, url, params=params, data=data, headers=headers, allow_redirects=False
                ) as response,
            ):
                body = await self._body(response)
                return Answer(self.service, response.status, response.headers, body, self._secured)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except aiohttp.ClientConnectorError:
            raise  # it did not come to a request
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, _Dropped):
            self.not_let_in = self.not_let_in or self._secured
            raise

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if (response.content_length or 0) > LARGEST:
            raise self._too_long(response.status)
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > LARGEST:
                raise self._too_long(response.status)
        return bytes(body)

    def _too_long(self, status: int) -> CloudError:
        return Rubbish(self.service, f"more than {LARGEST} bytes", status=status)


class _Dropped(aiohttp.ClientConnectionError):
    """The connection of a changing call dropped; of a class that aiohttp does not send again for."""


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends PUT and DELETE again by itself when a kept connection drops before the answer."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == "GET" or _tls_error(error) is not None:
            raise
        raise _Dropped("the connection dropped before the answer") from None


@contextmanager
def _told(service: str, seconds: float) -> Iterator[None]:
    """Every way of not answering as one `CloudError`."""
    try:
        yield
    except TimeoutError:
        raise no_answer(service, f"no whole answer within {seconds:g} s") from None
    except aiohttp.ClientResponseError:
        raise Rubbish(service, "it is not HTTP") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _failure(service, error) from None


def _failure(service: str, error: BaseException) -> CloudError:
    """Why there was no answer; the library's own words only where they hold nothing but host and port."""
    wrong = _tls_error(error)
    if isinstance(wrong, ssl.SSLCertVerificationError):
        return no_answer(service, f"its certificate is not one of this bay ({wrong.verify_message})")
    if wrong is not None and "ALERT" in (wrong.reason or ""):
        return NotLetIn(service, (wrong.reason or "").lower().replace("_", " "))
    if wrong is not None:
        return no_answer(service, f"TLS failed ({(wrong.reason or 'unknown').lower().replace('_', ' ')})")
    if isinstance(error, aiohttp.ClientConnectorError):
        return no_answer(
            service, f"cannot connect to {error.host}:{error.port} ({error.os_error.strerror or 'no way'})"
        )
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        return no_answer(service, "the connection dropped before the whole answer came")
    return no_answer(service, f"the exchange broke ({type(error).__name__})")


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """What went wrong in TLS, wherever aiohttp has wrapped it."""
    while error is not None:
        # An error of aiohttp about a certificate is of the ssl module's kind, too, but without its attributes.
        if isinstance(error, ssl.SSLError) and not isinstance(error, aiohttp.ClientError):
            return error
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path that OpenSSL can read a key from, for a moment: in memory, or where there is no memfd in a file that only
    we may read."""
    if hasattr(os, "memfd_create"):
        descriptor, path = os.memfd_create("client"), ""
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(text)
        yield path
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            os.unlink(path)  # noqa: PTH108 - the pair of mkstemp
