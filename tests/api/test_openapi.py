"""The OpenAPI document is whole: every path, parameter, header, body and status, each with words and an example.

Each test lists every gap by its place, so that its failure is the list of what is left to write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs
import pytest
import schemathesis
from schemathesis.core.result import Err

from tests.api.harness import VERSION, System

Json = dict[str, Any]
Operation = tuple[str, Json]
"""`GET /v1/bays` and what the document says of it."""

PUBLIC: Final = {"/", "/v1", "/healthcheck", "/readyz"}
EMPTY: Final = {"204", "304"}
RANGE: Final = (VERSION, "OpenStack-API-Minimum-Version", "OpenStack-API-Maximum-Version", "Vary")


@pytest.fixture(scope="module")
def document(system: System) -> Json:
    """As anybody gets it, without a token."""
    answer = system.call("GET", "/openapi.json", user=None)
    assert answer.status_code == 200
    found: Json = answer.json()
    return found


@pytest.fixture(scope="module")
def operations(document: Json) -> list[Operation]:
    """Every method of every path."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_openapi_3_1(document: Json) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    broken = [str(result.err()) for result in schema.get_all_operations() if isinstance(result, Err)]
    assert document["openapi"].startswith("3.1")
    assert_no_gaps(broken)


def test_every_reference_leads_somewhere(document: Json) -> None:
    assert_no_gaps(f"{where}: {ref}" for where, ref in _references(document) if not _leads(document, ref))


def test_the_document_itself_is_described(document: Json) -> None:
    info, used = document["info"], {tag for _, one in _operations(document) for tag in one.get("tags", [])}
    gaps = [f"info: no {key}" for key in ("title", "version", "summary", "description") if not info.get(key)]
    told = {tag["name"]: tag.get("description") for tag in document.get("tags", [])}
    gaps += [f"tags: {tag} has no description" for tag in sorted(used) if not told.get(tag)]
    schemes = document["components"]["securitySchemes"]
    gaps += [f"security scheme {name}: no description" for name, one in schemes.items() if not one.get("description")]
    assert_no_gaps(gaps)


def test_every_operation_has_its_words(operations: list[Operation]) -> None:
    gaps = [
        f"{label}: no {key}"
        for label, operation in operations
        for key in ("summary", "description", "tags", "operationId", "responses")
        if not operation.get(key)
    ]
    identifiers = [operation.get("operationId") for _, operation in operations]
    gaps += [f"operationId {one} twice" for one in set(identifiers) if identifiers.count(one) > 1]
    assert_no_gaps(gaps)


def test_every_parameter_has_words_and_an_example(operations: list[Operation]) -> None:
    gaps = []
    for label, operation in operations:
        for parameter in operation.get("parameters", []):
            where = f"{label}: {parameter['in']} parameter {parameter['name']}"
            gaps += [f"{where}: no description"] if not parameter.get("description") else []
            gaps += [f"{where}: no example"] if not _has_example(parameter) else []
            gaps += [f"{where}: no schema"] if not parameter.get("schema") else []
    assert_no_gaps(gaps)


def test_every_path_of_version_1_takes_a_microversion(operations: list[Operation]) -> None:
    assert_no_gaps(
        f"{label}: no parameter {VERSION}"
        for label, operation in operations
        if label.split()[1].startswith("/v1")
        and not any(p["name"] == VERSION and p["in"] == "header" for p in operation.get("parameters", []))
    )


def test_every_body_has_a_schema_and_an_example(operations: list[Operation]) -> None:
    gaps = []
    for label, operation in operations:
        if "requestBody" in operation:
            content = operation["requestBody"].get("content", {})  # an empty schema means: not looked at
            gaps += [f"{label}: body {kind}: no schema" for kind, one in content.items() if "schema" not in one]
            gaps += [f"{label}: body {kind}: no example" for kind, one in content.items() if not _has_example(one)]
        elif label.startswith("POST"):
            gaps.append(f"{label}: no body is described")
    assert_no_gaps(gaps)


def test_every_status_has_words_and_a_schema_and_an_example_or_is_empty(operations: list[Operation]) -> None:
    gaps = []
    for label, operation in operations:
        for status, response in operation["responses"].items():
            where = f"{label}: {status}"
            gaps += [f"{where}: no description"] if not response.get("description") else []
            if status in EMPTY:
                gaps += [f"{where}: has a body"] if response.get("content") else []
            else:
                gaps += _content_gaps(where, response)
    assert_no_gaps(gaps)


def test_every_refusal_names_its_body(operations: list[Operation]) -> None:
    gaps = []
    for label, operation in operations:
        for status, response in operation["responses"].items():
            if int(status) >= 400 and label.split()[1] not in PUBLIC:
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                gaps += [f"{label}: {status}: its body has no schema"] if not schema else []
    assert_no_gaps(gaps)


def test_every_answer_names_its_headers(operations: list[Operation]) -> None:
    gaps = []
    for label, operation in operations:
        for status, response in operation["responses"].items():
            headers = response.get("headers", {})
            wanted = _wanted_headers(label, status)
            gaps += [f"{label}: {status}: header {name} is not described" for name in wanted - headers.keys()]
            for name, header in headers.items():
                missing = [key for key in ("description", "schema") if not header.get(key)]
                missing += [] if _has_example(header) else ["example"]
                gaps += [f"{label}: {status}: header {name}: no {key}" for key in missing]
    assert_no_gaps(gaps)


def test_what_needs_a_token_says_so(operations: list[Operation]) -> None:
    gaps = []
    for label, operation in operations:
        closed = label.split()[1] not in PUBLIC
        gaps += [f"{label}: security is not described"] if closed and not operation.get("security") else []
        gaps += [f"{label}: asks for a token that nobody needs"] if not closed and operation.get("security") else []
        gaps += [f"{label}: 401 is not described"] if closed and "401" not in operation["responses"] else []
    assert_no_gaps(gaps)


def test_examples_are_what_the_schemas_say(document: Json, operations: list[Operation]) -> None:
    gaps = []
    for label, operation in operations:
        for where, holder in _holders(operation):
            for example in _examples(holder):
                schema = {**holder.get("schema", {}), "components": document["components"]}
                errors = jsonschema_rs.Draft202012Validator(schema).iter_errors(example)
                gaps += [f"{label}: {where}: example: {_place(error)}{error.message[:300]}" for error in errors]
    assert_no_gaps(gaps)


def assert_no_gaps(gaps: Iterator[str] | list[str]) -> None:
    """Fail with all of them, one a line."""
    found = sorted(gaps)
    if found:
        pytest.fail(f"{len(found)} gaps:\n" + "\n".join(found), pytrace=False)


def _operations(document: Json) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _references(node: object, where: str = "#") -> Iterator[tuple[str, str]]:
    """Each `$ref` and the place where it stands; what an example holds is not looked at."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield where, node["$ref"]
        for key, value in node.items():
            if key not in {"example", "examples"}:
                yield from _references(value, f"{where}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _references(value, f"{where}/{number}")


def _leads(document: Json, ref: str) -> bool:
    found: object = document
    for part in ref.removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return ref.startswith("#/") and found is not None


def _wanted_headers(label: str, status: str) -> set[str]:
    wanted = {"X-OpenStack-Request-ID"}
    if label.split()[1].startswith("/v1") and status != "401":  # a stranger is not told of versions
        wanted |= set(RANGE[1:] if status == "406" else RANGE)
    wanted |= {"WWW-Authenticate"} if status == "401" else set()
    wanted |= {"Retry-After"} if status == "503" and "/readyz" not in label else set()
    wanted |= {"Location"} if status == "201" and label.startswith("POST") and "certificates" not in label else set()
    return wanted


def _content_gaps(where: str, holder: Json) -> list[str]:
    content = holder.get("content")
    if not content:
        return [f"{where}: neither a schema nor said to be empty"]
    gaps = [f"{where} {kind}: no schema" for kind, one in content.items() if not one.get("schema")]
    return gaps + [f"{where} {kind}: no example" for kind, one in content.items() if not _has_example(one)]


def _place(error: jsonschema_rs.ValidationError) -> str:
    return "".join(f"{part}: " for part in error.instance_path)


def _has_example(holder: Json) -> bool:
    return bool(list(_examples(holder)))


def _examples(holder: Json) -> Iterator[object]:
    """Examples as OpenAPI 3.1 lets one write them: beside the schema or inside it."""
    schema = holder.get("schema", {})
    for one in (holder, schema):
        if "example" in one:
            yield one["example"]
    yield from (one["value"] for one in holder.get("examples", {}).values() if "value" in one)
    yield from schema.get("examples", [])


def _holders(operation: Json) -> Iterator[tuple[str, Json]]:
    """Everything in an operation that has a schema and may have an example."""
    for parameter in operation.get("parameters", []):
        yield f"parameter {parameter['name']}", parameter
    for kind, one in operation.get("requestBody", {}).get("content", {}).items():
        yield f"body {kind}", one
    for status, response in operation["responses"].items():
        for kind, one in response.get("content", {}).items():
            yield f"{status} {kind}", one
        for name, header in response.get("headers", {}).items():
            yield f"{status} header {name}", header
