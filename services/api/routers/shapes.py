"""What the OpenAPI document says of parameters and bodies that are read by hand, because Magnum's words are wanted."""

from __future__ import annotations

from types import UnionType
from typing import Any, Final

from pydantic import BaseModel

UUID_EXAMPLE: Final = "0c7d5f8e-8a0b-4c55-9a62-6f7a7bd0d1c3"

PAGE: Final[list[dict[str, Any]]] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": text,
        "schema": schema,
        "example": example,
    }
    for name, text, schema, example in (
        ("marker", "uuid of the last item of the page before", {"type": "string", "format": "uuid"}, UUID_EXAMPLE),
        ("limit", "items on a page; more than the server's limit is cut to it", {"type": "integer", "minimum": 1}, 100),
        (
            "sort_key",
            "attribute to sort by; id means in order of creation",
            {"type": "string", "default": "id"},
            "name",
        ),
        ("sort_dir", "direction", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}, "desc"),
    )
]


def parameters(*extra: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` with query parameters."""
    return {"parameters": list(extra)}


def schema_of(model: type[BaseModel]) -> Any:
    """The model's schema in one piece: references inside it would lead nowhere from within the document."""
    schema = model.model_json_schema()
    parts: dict[str, Any] = schema.pop("$defs", {})

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return whole(parts[node["$ref"].rpartition("/")[2]])
        return {key: whole(item) for key, item in node.items()}

    return whole(schema)


def body(model: type[BaseModel], example: object) -> dict[str, Any]:
    """`openapi_extra` with a JSON body of this model."""
    content = {"schema": schema_of(model), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def patch_body(model: type[BaseModel], example: object) -> dict[str, Any]:
    """`openapi_extra` with a JSON patch."""
    content = {"schema": {"type": "array", "items": schema_of(model)}, "example": example}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": content, "application/json-patch+json": content},
        }
    }


def shown(model: type[BaseModel] | UnionType, example: object, description: str = "") -> dict[str, Any]:
    """An answer of `responses`: its model, with an example, which never shows through a reference."""
    said = {"description": description} if description else {}
    return {"model": model, "content": {"application/json": {"example": example}}, **said}


_ANYTHING: Final = {"description": "anything"}

NO_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,
        "description": "not looked at: clients send none, [], or a content type alone",
        "content": {
            "application/json": {"schema": _ANYTHING, "example": []},
            "application/octet-stream": {"schema": _ANYTHING, "example": ""},
        },
    }
}
"""`openapi_extra` of a change that needs no body."""
