"""Small things that every router needs: reading a JSON object, answering one, and filtering lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from cloudsim.errors import ApiFault, render
from cloudsim.store import Record

Body = dict[str, Any]
NO_CONTENT = 204
CLIENTS_ERROR = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect. "
    "The client is assumed to be in error."
)
_REFUSALS = {
    "compute": ("Malformed request body", "'{key}' is a required property"),
    "network": ("Body contains invalid data", "Unable to find '{key}' in request body"),
    "identity": (
        f"Expecting to find valid JSON in request body. {CLIENTS_ERROR}",
        f"Expecting to find {{key}} in request body. {CLIENTS_ERROR}",
    ),
}
"""What each service says to a body that is no JSON, and to one that lacks the object it is about."""
# Query parameters that steer a list rather than filter it.
PAGING = frozenset({"limit", "marker", "sort_key", "sort_dir", "sort", "fields", "page_reverse", "all_tenants"})


async def read(request: Request, key: str) -> Body:
    """The object under `key` in the request's JSON body. Raises ApiFault 400 when it is not there."""
    malformed, missing = _REFUSALS.get(request.url.path.split("/", 2)[1], _REFUSALS["compute"])
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise ApiFault(400, malformed, kind="HTTPBadRequest") from error
    if not isinstance(body, dict) or not isinstance(body.get(key), dict):
        raise ApiFault(400, missing.format(key=key, body=body), kind="HTTPBadRequest")
    found: Body = body[key]
    return found


def answer(body: Body, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return JSONResponse(body, status, headers=headers)


def empty(status: int = NO_CONTENT, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(status_code=status, headers=headers)


def base_url(request: Request) -> str:
    """Where the client reached us, without a slash at the end: addresses in bodies start with it."""
    return str(request.base_url).rstrip("/")


def select(bodies: list[Body], request: Request, *, ignore: frozenset[str] = frozenset()) -> list[Body]:
    """Filter by query parameters (repeated ones mean either; tags mean all), then apply `marker` and `limit`."""
    params = request.query_params
    for name in set(params) - PAGING - ignore:
        wanted = params.getlist(name)
        bodies = _tagged(bodies, wanted) if name == "tags" else _equal(bodies, name, wanted)
    if marker := params.get("marker"):
        ids = [b.get("id") for b in bodies]
        bodies = bodies[ids.index(marker) + 1 :] if marker in ids else []
    if (limit := params.get("limit", "")).isdigit() and int(limit) > 0:
        bodies = bodies[: int(limit)]
    if fields := params.getlist("fields"):
        bodies = [{f: b[f] for f in fields if f in b} for b in bodies]
    return bodies


def announcing(version: str) -> type[APIRoute]:
    """Routes whose answers, refusals too, say which microversion they are of; a 401 comes from before the service."""

    class Announcing(APIRoute):
        @override
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    response = await handler(request)
                except ApiFault as fault:
                    response = await render(request, fault)
                if response.status_code != 401:
                    asked = request.headers.get("OpenStack-API-Version", "")
                    response.headers["OpenStack-API-Version"] = asked if asked.startswith(version[:3]) else version
                return response

            return handle

    return Announcing


def next_link(request: Request, key: str, page: Sequence[Body | Record]) -> Body:
    """The link that a page brings when it is as long as was asked for; there may be nothing behind it, as in Nova."""
    limit = request.query_params.get("limit", "")
    if not page or not limit.isdigit() or len(page) != int(limit):
        return {}
    last = page[-1]
    query = dict(sorted(request.query_params.items()))
    query["marker"] = str(last.get("id") if isinstance(last, dict) else last.id)
    return {f"{key}_links": [{"rel": "next", "href": f"{base_url(request)}{request.url.path}?{urlencode(query)}"}]}


def _equal(bodies: list[Body], name: str, wanted: list[str]) -> list[Body]:
    """Bodies whose field is one of the wanted values; a field that a body does not have matches nothing."""
    allowed = {w.lower() if w.lower() in {"true", "false"} else w for w in wanted}
    return [b for b in bodies if as_text(b.get(name)) in allowed]


def _tagged(bodies: list[Body], wanted: list[str]) -> list[Body]:
    """Bodies that carry every wanted tag."""
    required = {tag for value in wanted for tag in value.split(",")}
    return [b for b in bodies if required <= set(b.get("tags") or ())]


def as_text(value: object) -> str:
    """A value as it would be written in a query."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
