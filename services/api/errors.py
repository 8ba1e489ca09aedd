"""Errors as Magnum's clients read them (contract §1.6), and the two bodies that differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

import orjson
import structlog
from starlette.responses import Response

from shared.db.health import is_away
from shared.domain.errors import ClientFault, CloudError, Conflict, NotAcceptable, Unauthorized, Unavailable

_log = structlog.get_logger(__name__)

AWAY = "The database does not answer now."
UNSEEN = "Something went wrong here; the request id finds it in our logs."


NODE_CHALLENGE = "Jeroboam-Node"
"""How nodes prove themselves: a signature by their certificate's key, see docs/driver-contract.md."""


class TooLarge(ClientFault):
    """The body is longer than we read."""

    status: ClassVar[int] = 413


class TooMany(ClientFault):
    """More than we look at now; `retry_after` is in seconds."""

    status: ClassVar[int] = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotProven(ClientFault):
    """A node's call whose certificate, time or signature does not hold."""

    status: ClassVar[int] = 401


class Unsupported(NotAcceptable):
    """A microversion out of range, with Magnum's special body (contract §1.4)."""

    def __init__(self, message: str, *, lowest: str, highest: str) -> None:
        super().__init__(message)
        self.lowest = lowest
        self.highest = highest


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(content), status, dict(headers or {}), "application/json")


def refusal(status: int, detail: str, *, code: str, headers: Mapping[str, str] | None = None) -> Response:
    """The body of every refusal; its title is the detail up to the first full stop."""
    title = detail.partition(".")[0] or HTTPStatus(status).phrase
    item = {"request_id": "", "code": code, "status": status, "title": title, "detail": detail, "links": []}
    return answer({"errors": [item]}, status, headers)


def render(error: Exception, *, challenge: str = "Keystone") -> Response:
    """The answer for whatever was raised. What nobody foresaw is logged and hides its words."""
    match error:
        case Unauthorized():
            said = {"code": 401, "title": "Unauthorized", "message": error.message}
            return answer({"error": said}, 401, {"WWW-Authenticate": challenge})
        case Unsupported():
            return _unsupported(error)
        case Conflict() if error.retry_after is not None:
            return refusal(409, error.message, code=error.code, headers={"Retry-After": str(error.retry_after)})
        case TooMany():
            return refusal(429, error.message, code=error.code, headers={"Retry-After": str(error.retry_after)})
        case NotProven():
            return refusal(401, error.message, code=error.code, headers={"WWW-Authenticate": NODE_CHALLENGE})
        case ClientFault():
            code = "" if error.status == 406 else error.code
            return refusal(error.status, error.message, code=code)
        case Unavailable():
            return refusal(503, error.message, code=error.code, headers={"Retry-After": str(error.retry_after)})
        case CloudError():
            return _cloud(error)
        case _ if is_away(error):
            _log.error("database away", error=f"{type(error).__name__}: {error}"[:200])
            return refusal(503, AWAY, code="server", headers={"Retry-After": "5"})
        case _:
            _log.error("unforeseen", exc_info=error)
            return refusal(500, UNSEEN, code="server")


def _cloud(error: CloudError) -> Response:
    """The cloud's refusals are the caller's to mend, since the caller's own token was used; its silence is not."""
    if error.retryable or error.status is None or error.status >= 500:
        wait = max(1, math.ceil(error.retry_after or 5))
        return refusal(503, error.message, code="server", headers={"Retry-After": str(wait)})
    return refusal(403 if error.status in (401, 403) else 400, error.message, code="client")


def _unsupported(error: Unsupported) -> Response:
    item = {
        "code": "magnum.microversion-unsupported",
        "title": "Requested microversion is unsupported",
        "description": error.message,
        "min_version": error.lowest,
        "max_version": error.highest,
        "links": [{"rel": "help", "href": "http://docs.openstack.org/api-guide/compute/microversions.html"}],
    }
    return answer({"errors": [item]}, 406)
