"""The door that every request passes, outermost first:

    1. a request id, on every answer;
    2. the path: no trailing slash, and `/bays` is `/v1/bays`, without a redirect;
    3. who asks: a token that Keystone knows, but for the public paths, so that a new path is closed by default;
    4. below /v1 the microversion, whose headers every answer there carries;
    5. `Accept`: JSON is all there is, but for event streams.

It is plain ASGI, because Starlette's own middleware classes cost a task and a stream per request.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api import microversion
from services.api.errors import render
from services.api.request import BASE_URL, STATE, Facts
from shared.domain.errors import InvalidInput, NotAcceptable
from shared.openstack.validate import TokenValidator

_log = structlog.get_logger(__name__)

REQUEST_ID: Final = "X-OpenStack-Request-ID"
PUBLIC: Final = frozenset({"/", "/v1", "/healthcheck", "/readyz", "/openapi.json", "/docs"})
_NODE_CALL = re.compile(r"/v1/(nodes/self(/credential)?|bays/[^/]+/node-certificates)")
"""What nodes call, who have no token; each handler asks for the node's own proof."""
_ANY_FORM: Final = frozenset({"/healthcheck", "/readyz", "/openapi.json", "/docs"})
_BARE: Final = (
    *("/bays", "/baymodels", "/clusters", "/clustertemplates", "/certificates", "/credentials", "/quotas", "/stats"),
    *("/mservices", "/dead_letters", "/operations", "/federations"),
    *("/pods", "/services", "/rcs", "/containers", "/nodes", "/x509keypairs"),
)
_JSON: Final = (
    *("*/*", "application/*", "application/json", "application/json-patch+json"),
    "application/vnd.openstack.magnum.v1+json",
)
_STREAM: Final = "text/event-stream"
_HOST = re.compile(r"[A-Za-z0-9._\-]{1,255}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")
_GLOBAL_ID = re.compile(r"[\w-]{1,64}")


class Door:
    """Wraps the application. `validator` is asked for at each request, since it lives as long as the process runs."""

    def __init__(self, app: ASGIApp, *, validator: Callable[[], TokenValidator], public_url: str | None = None) -> None:
        self._app = app
        self._validator = validator
        self._public_url = public_url.rstrip("/") if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (or the lifespan, which passes through)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reply = _Reply(send, f"req-{uuid4()}")
        began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=reply.request_id, global_request_id=_global_id(headers))
        try:
            scope["path"] = _path(scope["path"])
            await self._admit(scope, headers, reply)
            await self._app(scope, receive, reply)
        except Exception as error:
            if reply.complete:
                return  # answered and logged by the application's own handler
            if reply.started:
                _log.exception("failed after the answer had begun")
                raise
            reply.cause = error
            await render(error, challenge=self._validator().challenge)(scope, receive, reply)
        finally:
            _log_request(scope, reply, time.perf_counter() - began)

    async def _admit(self, scope: Scope, headers: Headers, reply: _Reply) -> None:
        path: str = scope["path"]
        base_url = self._public_url or base_url_of(scope, headers)
        scope[BASE_URL] = base_url
        caller = None
        token = headers.get("X-Auth-Token") or ""
        if path not in PUBLIC and _NODE_CALL.fullmatch(path) is None:
            caller = await self._validator().validate(
                token, service_token=headers.get("X-Service-Token"), method=scope["method"], path=path
            )
        if path == "/v1" or path.startswith("/v1/"):
            reply.headers = microversion.range_headers()
            version = microversion.negotiate(",".join(headers.getlist(microversion.HEADER)))
            reply.headers[microversion.HEADER] = f"{microversion.WORD} 1.{version}"
            if caller is not None:
                scope[STATE] = Facts(caller, token, version, base_url)
        if path not in _ANY_FORM:
            _check_accept(headers, (*_JSON, _STREAM) if path.endswith("/events") else _JSON)


class _Reply:
    """`send`, with our headers on the answer."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.headers: dict[str, str] = {}
        self.started = False
        self.complete = False
        self.status = 0
        self.cause: Exception | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self.request_id
            for name, value in self.headers.items():
                headers[name] = value
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True


def _log_request(scope: Scope, reply: _Reply, seconds: float) -> None:
    """One line a request: 5xx as a warning with its cause, probes only for those who debug.

    The path is the route's, with its braces, so that lines can be counted; what the caller put there is not logged.
    """
    route = getattr(scope.get("route"), "path", None)
    facts = scope.get(STATE)
    level = _log.warning if reply.status >= 500 else _log.debug if route in _ANY_FORM else _log.info
    level(
        "request",
        method=scope["method"],
        path=route or "(no route)",
        status=reply.status,
        seconds=round(seconds, 3),
        project=facts.caller.project_id if isinstance(facts, Facts) else None,
        cause=f"{type(reply.cause).__name__}: {reply.cause}"[:500] if reply.cause and reply.status >= 500 else None,
    )


def base_url_of(scope: Scope, headers: Headers) -> str:
    """Where we are as the caller sees us, through a proxy too.

    Raises:
        InvalidInput: a Host that cannot be one; it would end up in our links.
    """
    proto = (headers.get("X-Forwarded-Proto") or "").partition(",")[0].strip().lower()
    host = (headers.get("X-Forwarded-Host") or headers.get("Host") or "").partition(",")[0].strip()
    if not host:
        address, port = scope.get("server") or ("localhost", None)
        host = f"{address}:{port}" if port else str(address)
    if not _HOST.fullmatch(host):
        raise InvalidInput(f"Invalid input for field/attribute Host. Value: '{host[:255]}'. It is not a host name.")
    return f"{proto if proto in ('http', 'https') else scope['scheme']}://{host}"


def _path(path: str) -> str:
    if "\0" in path:
        raise InvalidInput("The path holds the character U+0000.")
    path = path.rstrip("/") or "/"
    if path.startswith(_BARE) and any(path == bare or path.startswith(f"{bare}/") for bare in _BARE):
        return f"/v1{path}"
    return path


def _check_accept(headers: Headers, forms: Collection[str]) -> None:
    accepted = (headers.get("Accept") or "").strip()
    if not accepted:
        return
    kinds = [part.partition(";")[0].strip().lower() for part in accepted.split(",")]
    if not any(kind in forms for kind in kinds):
        raise NotAcceptable("The only form of answer is application/json")


def _global_id(headers: Headers) -> str | None:
    given = headers.get(REQUEST_ID) or ""
    return given if _GLOBAL_ID.fullmatch(given) else None
