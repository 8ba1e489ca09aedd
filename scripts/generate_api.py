"""Write docs/reference/api/ from the gateway's own OpenAPI document (`python -m scripts.generate_api [--check]`).

One page a resource. What a field of an answer means is taken from its class, else from the request that has a field of
that name, else from `api_words`; a test wants a meaning for every one.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import httpx
from fastapi import APIRouter
from fastapi.routing import APIRoute

from scripts.api_schemas import Shape, kind, references
from scripts.api_words import HEAD, WORDS
from services.api import routers
from services.api.app import make_app
from services.api.openapi_parts import REFUSALS, TAGS, VERSION_PARAMETER
from services.api.routers.versions import SINCE
from services.api.settings import ApiSettings
from shared.contracts import http
from shared.runtime import logging

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference" / "api"
_BY_HEART: Final = frozenset({"401", *REFUSALS})
_UNSAID: Final = "Successful Response"
"""FastAPI's words where a route has none."""

_EXAMPLES_CUT: Final = 2400
"""Characters of an example answer that a page shows."""


@cache
def document() -> Shape:
    """What `/openapi.json` answers."""
    answer: Shape = asked("/openapi.json").raise_for_status().json()
    return answer


def asked(path: str) -> httpx.Response:
    """What the gateway answers to a GET of one of its pages that need neither token nor database."""
    settings = ApiSettings(
        database_url="postgresql://nobody@127.0.0.1/none", keystone_url="http://127.0.0.1/v3", service_password="none"
    )
    logging.configure("generate", "ERROR")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=make_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9511") as client:
            return await client.get(path)

    return asyncio.run(ask())


def pages() -> dict[str, str]:
    """File name → text, of the whole reference."""
    by_tag = _by_tag()
    described = {tag: words for tag, words in TAGS.items() if tag in by_tag and tag != "gone"}
    texts = {"README.md": _overview(described, by_tag)}
    texts |= {f"{tag}.md": _page(tag, words, by_tag[tag]) for tag, words in described.items()}
    return texts


def meaning(owner: str, field: str, shape: Shape) -> str:
    """What a field is for; "" when nobody has said it."""
    said = shape.get("description") or WORDS.get(f"{owner}.{field}") or _docstrings(owner).get(field)
    return " ".join((said or WORDS.get(field) or _requested().get(field) or "").split())


def silent() -> list[str]:
    """The fields that have no meaning."""
    shapes = {**document()["components"]["schemas"], **{shape["title"]: shape for shape in _bodies()}}
    return [
        f"{owner}.{field}"
        for owner, shape in shapes.items()
        for field, one in shape.get("properties", {}).items()
        if not meaning(owner, field, one)
    ]


def _by_tag() -> dict[str, list[tuple[str, str, Shape]]]:
    found: dict[str, list[tuple[str, str, Shape]]] = {}
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return found


def _overview(described: Mapping[str, str], by_tag: Mapping[str, list[tuple[str, str, Shape]]]) -> str:
    lines = [HEAD.format(version=VERSION_PARAMETER["description"], header=VERSION_PARAMETER["name"])]
    lines += ["## Resources", "", "| resource | is | requests |", "| --- | --- | --- |"]
    lines += [f"| [{tag}]({tag}.md) | {words} | {len(by_tag[tag])} |" for tag, words in described.items()]
    gone = sorted({path for _, path, _ in by_tag["gone"]})
    lines += ["", f"{TAGS['gone']} Each answers 404: {', '.join(f'`{path}`' for path in gone)}."]
    lines += ["", "## Refusals", "", "| status | means | for example |", "| --- | --- | --- |"]
    lines += ["| 401 | The token is missing, unknown or expired. | |"]
    lines += [f"| {status} | {words} | {_code(detail)} |" for status, (words, detail) in REFUSALS.items()]
    return "\n".join(lines) + "\n"


def _page(tag: str, words: str, operations: list[tuple[str, str, Shape]]) -> str:
    lines = [
        f"# {tag.replace('_', ' ').capitalize()}",
        "",
        "Drawn from `/openapi.json` by `make generate`; do not edit.",
    ]
    lines += ["", words, "", "| request | does |", "| --- | --- |"]
    lines += [f"| `{method} {path}` | {_to(operation['summary'])} |" for method, path, operation in operations]
    for method, path, operation in operations:
        lines += ["", *_operation(method, path, operation)]
    shapes = references([operation["responses"] for _, _, operation in operations], document())
    if shapes:
        lines += ["", "## Bodies of answers"]
    for name, shape in shapes.items():
        lines += ["", f"### {name}", "", _sentence(shape.get("description", "")), "", *_fields(name, shape)]
    return "\n".join(lines) + "\n"


def _operation(method: str, path: str, operation: Shape) -> Iterator[str]:
    yield f"## {operation['summary']}"
    description = operation.get("description", "")
    since = None if "from microversion" in description else _since().get((method, path))
    yield from ("", f"`{method} {path}`" + (f", from microversion 1.{since}" if since else ""), "")
    if description:
        yield from (" ".join(description.split()), "")
    wanted = [one for one in operation.get("parameters", ()) if one["name"] != VERSION_PARAMETER["name"]]
    if wanted:
        yield from ("| parameter | in | value | meaning |", "| --- | --- | --- | --- |")
        for one in wanted:
            where = one["in"] + (", required" if one.get("required") else "")
            yield f"| `{one['name']}` | {where} | {kind(one['schema'])} | {_cell(one.get('description', ''))} |"
        yield ""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    shape: Shape = content.get("schema", {})
    if "items" in shape:
        yield from ("The body is a JSON patch, a list of:", "")
        shape = shape["items"]
    if "properties" in shape:
        yield from _fields(shape["title"], shape)
        yield ""
    yield from _answers(operation["responses"])
    yield from ("", "```bash", _curl(method, path, wanted, content), "```")
    yield from _shown(operation["responses"])


def _fields(owner: str, shape: Shape) -> Iterator[str]:
    if "properties" not in shape:
        return
    yield from ("| field | value | meaning |", "| --- | --- | --- |")
    required = shape.get("required", ()) if shape.get("additionalProperties") is False else ()
    for name, one in shape["properties"].items():
        must = ", **required**" if name in required else ""
        default = one.get("default")
        usual = f", default `{json.dumps(default)}`" if default is not None else ""
        yield f"| `{name}` | {kind(one)}{must}{usual} | {_cell(meaning(owner, name, one))} |"


def _answers(responses: Shape) -> Iterator[str]:
    yield from ("| answer | body | when |", "| --- | --- | --- |")
    common = []
    for status, response in sorted(responses.items()):
        words = response.get("description", "")
        if status in _BY_HEART and words in {"", *(said for said, _ in REFUSALS.values())} | {_stranger()}:
            common.append(status)
            continue
        forms: list[Shape] = list(response.get("content", {}).values())
        shape = forms[0].get("schema") if forms else None
        words = words.replace(_UNSAID, "")
        yield f"| {status} | {kind(shape) if shape else 'none'} | {_cell(words)} |"
    if common:
        yield f"| {', '.join(common)} | [an error](README.md#refusals) | |"


def _shown(responses: Shape) -> Iterator[str]:
    """The example of the first answer that is no refusal."""
    for status, response in responses.items():
        for form, content in response.get("content", {}).items():
            if status < "300" and "example" in content:
                example = content["example"]
                text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
                if len(text) > _EXAMPLES_CUT:
                    text = text[:_EXAMPLES_CUT].rpartition("\n")[0] + "\n…"
                yield from ("", f"```{'json' if 'json' in form else 'text'}", text.rstrip(), "```")
                return


def _curl(method: str, path: str, wanted: list[Shape], content: Shape) -> str:
    for one in wanted:
        if one["in"] == "path":
            example = one.get("example") or next(iter(one["schema"].get("examples", ())), f"${one['name'].upper()}")
            path = path.replace(f"{{{one['name']}}}", str(example))
    verb = "" if method == "GET" or (method == "POST" and content) else f" -X {method}"
    body = f" -d '{json.dumps(content['example'], ensure_ascii=False)}'" if content.get("example") else ""
    address = path.replace("/v1", "$API", 1) if path.startswith("/v1") else f"${{API%/v1}}{path}"
    return f'curl -s{verb} -H "X-Auth-Token: $TOKEN" -H "$VERSION" "{address}"{body}'


@cache
def _classes() -> Mapping[str, type]:
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(http.__path__, f"{http.__name__}."):
        found |= dict(inspect.getmembers(importlib.import_module(module.name), inspect.isclass))
    return found


@cache
def _docstrings(owner: str) -> Mapping[str, str]:
    """The texts below the fields of a class and of those that it is made of."""
    found: dict[str, str] = {}
    for cls in reversed(_classes()[owner].__mro__ if owner in _classes() else ()):
        if not cls.__module__.startswith("shared."):
            continue
        body = ast.parse(inspect.getsource(cls)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = words
                case _:
                    continue
    return found


def _bodies() -> Iterator[Shape]:
    for operations in document()["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            shape = content.get("schema", {})
            shape = shape.get("items", shape)
            if "title" in shape:
                yield shape


@cache
def _requested() -> Mapping[str, str]:
    """Field → what the requests that have it say of it."""
    return {
        field: one["description"]
        for shape in _bodies()
        for field, one in shape.get("properties", {}).items()
        if one.get("description")
    }


@cache
def _since() -> Mapping[tuple[str, str], int]:
    """Method and path → the microversion from which on it is there, where that is not the first."""
    names = [one.name for one in pkgutil.iter_modules(routers.__path__, f"{routers.__name__}.")]
    return {
        (method, route.path): SINCE[dependency.dependency]
        for name in names
        for route in getattr(importlib.import_module(name), "router", APIRouter()).routes
        if isinstance(route, APIRoute)
        for dependency in route.dependencies
        if dependency.dependency in SINCE
        for method in route.methods or ()
    }


@cache
def _stranger() -> str:
    said: str = document()["paths"]["/v1/bays"]["get"]["responses"]["401"]["description"]
    return said


def _to(summary: str) -> str:
    return summary[0].lower() + summary[1:]


def _sentence(text: str) -> str:
    return " ".join(text.partition("(contract")[0].split()).rstrip()


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check say which are stale; returns the exit status."""
    wanted = {FOLDER / name: text for name, text in pages().items()}
    extra = sorted(set(FOLDER.glob("*.md")) - set(wanted))
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in [*stale, *extra]:
            sys.stderr.write(f"docs/reference/api/{path.name} is stale: run make generate\n")
        return 1 if stale or extra else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    for path in extra:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
