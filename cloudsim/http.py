"""Small things that every router needs: reading a JSON object, answering one, and filtering lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from cloudsim.errors import ApiFault

Body = dict[str, Any]
NO_CONTENT = 204
# Query parameters that steer a list rather than filter it.
PAGING = frozenset({"limit", "marker", "sort_key", "sort_dir", "sort", "fields", "page_reverse", "all_tenants"})


async def read(request: Request, key: str) -> Body:
    """The object under `key` in the request's JSON body. Raises ApiFault 400 when it is not there."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise ApiFault(400, f"Malformed request body: {error}", kind="HTTPBadRequest") from error
    if not isinstance(body, dict) or not isinstance(body.get(key), dict):
        raise ApiFault(400, f"Resource body required: an object under '{key}'.", kind="HTTPBadRequest")
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
