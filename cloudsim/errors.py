"""One exception for every refusal, rendered as the service that was asked writes its errors.

Keystone, Nova, Neutron, Cinder, Glance and Heat each have a shape of their own; `shape` chooses by the first path part.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

# Nova's and Cinder's names for the outer key of an error body.
_COMPUTE_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    503: "serviceUnavailable",
}


_GLANCE_401 = (
    "This server could not verify that you are authorized to access the document you requested. Either you supplied "
    "the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials "
    "required."
)


class ApiFault(Exception):
    """A refusal with its HTTP status. `kind` is the error's class name where a service tells it (Neutron, Heat)."""

    def __init__(self, status: int, message: str, *, kind: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.headers = status, message, kind, headers or {}


def not_found(kind: str, record_id: str) -> ApiFault:
    """404 in the words that the services share."""
    return ApiFault(404, f"{kind} {record_id} could not be found.", kind=f"{kind.title().replace(' ', '')}NotFound")


async def render(request: Request, fault: Exception) -> Response:
    """FastAPI's handler of `ApiFault`."""
    if not isinstance(fault, ApiFault):
        raise fault
    body = shape(request.url.path, fault.status, fault.message, fault.kind)
    return JSONResponse(body, fault.status, headers=_challenge(request, fault.status) | fault.headers)


def _challenge(request: Request, status: int) -> dict[str, str]:
    """Where to log in, which every 401 names: Keystone its version's address, the services' middleware its root."""
    if status != 401:
        return {}
    version = "/v3" if request.url.path.startswith("/identity") else ""
    return {"WWW-Authenticate": f'Keystone uri="{str(request.base_url).rstrip("/")}/identity{version}"'}


def shape(path: str, status: int, message: str, kind: str = "") -> dict[str, Any]:
    """The error body of the service that owns `path`. A 401 is always Keystone's: its middleware answers it."""
    service = path.split("/", 2)[1]
    title = HTTPStatus(status).phrase
    if status != 401 and service in {"compute", "volume"}:
        wait = {"retryAfter": "0"} if status == 413 else {}
        return {_COMPUTE_KEYS.get(status, "computeFault"): {"code": status, "message": message} | wait}
    if service == "image":
        said = _GLANCE_401 if status == 401 else message
        return {"message": f"{said}<br /><br />\n\n\n", "code": f"{status} {title}", "title": title}
    if status != 401 and service == "load-balancer":
        return {"faultcode": "Client" if status < 500 else "Server", "faultstring": message, "debuginfo": None}
    if status != 401 and service == "key-manager":
        return {"code": status, "title": title, "description": message}
    if status != 401 and service == "network":
        return {"NeutronError": {"type": kind or title.replace(" ", ""), "message": message, "detail": ""}}
    if status != 401 and service == "orchestration":
        error = {"type": kind or title.replace(" ", ""), "message": message, "traceback": None}
        return {"code": status, "title": title, "explanation": message, "error": error}
    return {"error": {"code": status, "title": title, "message": message}}
