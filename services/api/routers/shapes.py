"""What the OpenAPI document says of parameters and bodies that are read by hand, because Magnum's words are wanted."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

PAGE: Final[list[dict[str, Any]]] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": text,
        "schema": schema,
    }
    for name, text, schema in (
        ("marker", "uuid of the last item of the page before", {"type": "string", "format": "uuid"}),
        ("limit", "items on a page; more than the server's limit is cut to it", {"type": "integer", "minimum": 1}),
        ("sort_key", "attribute to sort by; id means in order of creation", {"type": "string", "default": "id"}),
        ("sort_dir", "direction", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}),
    )
]


def parameters(*extra: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` with query parameters."""
    return {"parameters": list(extra)}


def body(model: type[BaseModel], example: object) -> dict[str, Any]:
    """`openapi_extra` with a JSON body of this model."""
    content = {"schema": model.model_json_schema(), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def patch_body(model: type[BaseModel], example: object) -> dict[str, Any]:
    """`openapi_extra` with a JSON patch."""
    content = {"schema": {"type": "array", "items": model.model_json_schema()}, "example": example}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": content, "application/json-patch+json": content},
        }
    }
