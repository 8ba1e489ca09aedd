"""The documentation is a site: whole, without a broken link, and it loads nothing from the Internet."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from scripts import docs_site
from tests.docs.conftest import Site
from tests.docs.markup import read
from tests.house.tree import ROOT

SHOWN = [*sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")), *docs_site.outside()]
_ELSEWHERE = re.compile(r"(https?:)?//")
_FETCHED_BY_CSS = re.compile(r"(?:url\(|@import)\s*[\"']?(https?:)?//")


def test_it_is_built_without_a_warning(site: Site) -> None:
    assert [line for line in site.said.splitlines() if not line.startswith("INFO")] == []
    assert site.code == 0


def test_nothing_is_loaded_from_elsewhere(site: Site) -> None:
    """Neither by the pages nor by their styles and pictures; nor is there what makes the theme fetch Mermaid."""
    found = []
    for path in site.pages():
        page = read(path)
        found += [f"{path.relative_to(site.folder)}: {one}" for one in page.loads if _ELSEWHERE.match(one)]
        found += [f"{path.relative_to(site.folder)}: a diagram for the reader to draw"] * ("mermaid" in page.classes)
    for path in [*site.folder.rglob("*.css"), *site.folder.rglob("*.svg")]:
        picture = read(path).loads if path.suffix == ".svg" else []
        found += [f"{path.relative_to(site.folder)}: {one}" for one in picture if _ELSEWHERE.match(one)]
        found += [path.name] * bool(_FETCHED_BY_CSS.search(path.read_text(encoding="utf-8")))
    assert found == []


def test_every_link_leads_somewhere(site: Site) -> None:
    """Looked up in what was built, so that what the hook makes of links is held to it too."""
    known = {path: read(path) for path in site.pages()}
    broken = []
    for path, page in known.items():
        for link in (*page.links, *page.loads):
            if re.match(r"[a-z]+:|//", link):
                continue
            place, _, anchor = unquote(link).partition("#")
            target = (path.parent / place).resolve() if place else path
            fine = target.exists() and (not anchor or target not in known or anchor in known[target].anchors)
            broken += [] if fine else [f"{path.relative_to(site.folder)}: {link}"]
    assert broken == []


@pytest.mark.parametrize("document", SHOWN)
def test_the_site_shows_what_the_repository_shows(document: str, site: Site) -> None:
    """As many headings, tables, lists, items and blocks as CommonMark with GitHub's tables sees in the file."""
    source = (ROOT / document).read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark").enable("table").parse(source)
    headings = Counter(token.tag for token in tokens if token.type == "heading_open")
    diagrams = sum(token.type == "fence" and token.info == "mermaid" for token in tokens)
    wanted = {
        "table": sum(token.type == "table_open" for token in tokens),
        "ol": sum(token.type == "ordered_list_open" for token in tokens),
        "ul": sum(token.type == "bullet_list_open" for token in tokens),
        "li": sum(token.type == "list_item_open" for token in tokens),
        "pre": sum(token.type in ("fence", "code_block") for token in tokens) - diagrams,
        **{tag: headings[tag] for tag in ("h1", "h2", "h3", "h4")},
        "img": diagrams + source.count("!["),
    }
    shown = read(_built(document, site)).shown
    assert {tag: shown[tag] for tag in wanted} == wanted


def _built(document: str, site: Site) -> Path:
    place = document.removeprefix("docs/") if document.startswith("docs/") else docs_site.BELOW + document
    return site.folder / (
        place.removesuffix(".md").removesuffix("README") + ("index" * place.endswith("README.md")) + ".html"
    )
