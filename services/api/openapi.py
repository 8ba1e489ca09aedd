"""The OpenAPI document: what FastAPI knows, plus what holds for every path."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api.microversion import HEADER, HIGHEST, WORD
from shared.contracts.http.links import ErrorBody

_VERSION_HEADER: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": f"microversion, 1.1 to 1.{HIGHEST} or latest; absent: 1.1",
    "schema": {"type": "string"},
    "example": f"{WORD} latest",
}
_REFUSALS: Final = {
    "400": "The request is wrong in itself; the detail names field, value and what is allowed.",
    "403": "The policy does not allow it, or the project's quota is used up.",
    "404": "No such thing that the caller may see.",
    "406": "Not at this microversion, or not in this form.",
    "409": "A name means several things.",
    "413": "The body is too long.",
    "500": "A mistake of ours; the request id finds it in the logs.",
    "503": "We, or the cloud service that is named, cannot answer now; see Retry-After.",
}
_NO_AUTH: Final = frozenset({"/", "/v1", "/healthcheck", "/readyz"})


def describe(app: FastAPI) -> dict[str, Any]:
    """Make the document."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    error = ErrorBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(error.pop("$defs", {}))
    schemas["ErrorBody"] = error
    components["securitySchemes"] = {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return document


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if path.startswith("/v1"):
        operation.setdefault("parameters", []).append(_VERSION_HEADER)
        responses["406"] = _refusal("406")
    if path in _NO_AUTH:
        return
    operation["security"] = [{"token": []}]
    responses["401"] = {"description": "The token is missing, unknown or expired, or may not be used for this path."}
    for status in _REFUSALS:
        responses[status] = _refusal(status)


def _refusal(status: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorBody"}
    return {"description": _REFUSALS[status], "content": {"application/json": {"schema": schema}}}
