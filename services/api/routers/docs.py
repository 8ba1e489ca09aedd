"""`/docs`: the API to read, drawn from the OpenAPI document on this side. The page loads nothing and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_STYLE: Final = """
body { font: 16px/1.5 sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
summary { cursor: pointer; } code, pre { background: #f3f3f3; } pre { overflow: auto; padding: 0.5rem; }
table { border-collapse: collapse; } td, th { border: 1px solid #ccc; padding: 0.2rem 0.6rem; text-align: left; }
"""
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


@router.get("/docs")
async def read(request: Request) -> HTMLResponse:
    """Every request with its parameters, an example of its body, and its answers."""
    return HTMLResponse("\n".join(_page(request.app.openapi())), headers=_HEADERS)


def _page(document: dict[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f"<h1>{title}</h1><p>{escape(document['info']['summary'])}. The same for programs: "
    yield "<a href=openapi.json>openapi.json</a>.</p>"
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>"
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if operation["tags"][0] == tag["name"]:
                    yield from _operation(method, path, operation)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<details><summary><code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}</summary>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    rows = [(one["name"], one["in"], one.get("description", "")) for one in operation.get("parameters", ())]
    yield from _table(("parameter", "in", "meaning"), rows)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if body.get("example"):
        yield f"<p>A body:</p><pre>{escape(json.dumps(body['example'], indent=2, ensure_ascii=False))}</pre>"
    answers = [(status, answer.get("description", "")) for status, answer in sorted(operation["responses"].items())]
    yield from _table(("answer", "when"), answers)
    yield "</details>"


def _table(heads: tuple[str, ...], rows: list[Any]) -> Iterator[str]:
    if rows:
        yield f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"
        yield from (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        yield "</table>"
