"""The OpenAPI document: what FastAPI knows, plus what holds for every path (`openapi_parts`)."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from services.api import openapi_parts as parts
from shared.contracts.http.links import ErrorBody, StrangerBody, UnsupportedVersion

_NO_AUTH: Final = frozenset({"/", "/v1", "/healthcheck", "/readyz"})
_BODIES: Final[tuple[type[BaseModel], ...]] = (ErrorBody, StrangerBody, UnsupportedVersion)
_BY_SECRET: Final = frozenset({"/v1/bays/{bay}/node-certificates"})
_PLACED: Final = frozenset({"/v1/bays", "/v1/clusters"})
"""Whose POST answers 202 with a Location, and with warnings."""


def describe(app: FastAPI) -> dict[str, Any]:
    """Make the document."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=parts.ABOUT, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for body in _BODIES:
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[body.__name__] = schema
    components["securitySchemes"] = {"token": parts.SECURITY, "node": parts.NODE_SECURITY}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    used = {tag for operations in document["paths"].values() for one in operations.values() for tag in one["tags"]}
    document["tags"] = [{"name": name, "description": words} for name, words in parts.TAGS.items() if name in used]
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    versioned = path.startswith("/v1")
    if versioned:
        operation.setdefault("parameters", []).append(parts.VERSION_PARAMETER)
    if path not in _NO_AUTH:
        # A node without a certificate yet has its secret in the body instead.
        by_node = [{"node": list[str]()}, *([{}] if path in _BY_SECRET else [])]
        operation["security"] = by_node if "nodes" in operation["tags"] else [{"token": []}]
        responses["401"] = _kept(responses.get("401")) or parts.stranger()
        for status in parts.REFUSALS.keys() - {"405"}:
            responses[status] = _kept(responses.get(status)) or parts.refusal(status)
    elif versioned:
        responses["406"] = parts.refusal("406")
    for status, response in responses.items():
        headers = _headers(path, method, status, versioned=versioned)
        response["headers"] = headers | response.get("headers", {})


def _kept(response: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a route says of a refusal of its own, if it does so with an example."""
    content = (response or {}).get("content", {})
    return response if any("example" in one or "examples" in one for one in content.values()) else None


def _headers(path: str, method: str, status: str, *, versioned: bool) -> dict[str, Any]:
    found: dict[str, Any] = dict(parts.REQUEST_ID)
    if versioned and status != "401":  # a stranger is not told of versions
        found |= parts.RANGE if status == "406" else parts.RANGE | parts.VERSION
    match method, status:
        case _, "401":
            found |= parts.CHALLENGE
        case _, "503" if path != "/readyz":
            found |= parts.RETRY_AFTER
        case _, "409":
            found |= parts.RETRY_AFTER
        case "post", "201" if "certificates" not in path:
            found |= parts.LOCATION
    if method == "post" and path in _PLACED and status in ("201", "202"):
        found |= parts.LOCATION | parts.WARNING
    return found
