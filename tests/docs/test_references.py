"""The references are the code's: drawn anew they are the same, and they leave nothing out."""

from __future__ import annotations

import re
from html import escape

from scripts import generate_api, generate_events, generate_policy
from shared.runtime import telemetry
from tests.docs.markup import parsed
from tests.house.tree import ROOT


def test_the_api_reference_is_the_openapi_document_s() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in generate_api.FOLDER.glob("*.md")}
    drawn = generate_api.pages()
    stale = [name for name in sorted({*kept, *drawn}) if kept.get(name) != drawn.get(name)]
    assert stale == [], "run: make generate"


def test_every_field_of_the_api_has_a_meaning() -> None:
    assert generate_api.silent() == []


def test_every_request_is_in_the_reference() -> None:
    text = "\n".join(generate_api.pages().values())
    missing = [
        f"{method.upper()} {path}"
        for path, operations in generate_api.document()["paths"].items()
        for method, operation in operations.items()
        if f"`{method.upper()} {path}`" not in text and "gone" not in operation["tags"]
    ]
    assert missing == []


def test_the_events_reference_is_the_asyncapi_document_s() -> None:
    assert generate_events.TARGET.read_text(encoding="utf-8") == generate_events.render(), "run: make generate"


def test_the_policy_sample_is_the_rules() -> None:
    assert (ROOT / "docs" / "policy.yaml.sample").read_text(encoding="utf-8") == generate_policy.render()


def test_every_figure_is_in_the_operator_guide() -> None:
    """Metrics by the names that Prometheus gets; no alert asks for another."""
    known = {family.name + "_total" * (family.type == "counter") for family in telemetry.REGISTRY.collect()}
    day_2 = (ROOT / "docs/operator-guide/day-2.md").read_text(encoding="utf-8")
    alerts = (ROOT / "docs/operator-guide/alerts.md").read_text(encoding="utf-8")
    assert known - set(re.findall(r"`(jeroboam_\w+)`", day_2)) == set()
    assert set(re.findall(r"expr: .*?(jeroboam_\w+)", alerts)) - known == set()


def test_the_gateway_s_own_page_of_the_api_loads_nothing() -> None:
    answer = generate_api.asked("/docs")
    page = parsed(answer.text)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert page.loads == []
    assert page.links == ["openapi.json"]
    assert [path for path in generate_api.document()["paths"] if escape(path) not in answer.text] == []
