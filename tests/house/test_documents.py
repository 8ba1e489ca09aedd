"""Documents name only what exists: links, headings, files, functions, `make` targets; generated ones are fresh."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scripts import generate_settings
from scripts.test import SUITES
from tests.house.tree import ROOT, text, with_suffix

DOCUMENTS = with_suffix(".md")

_LINK = re.compile(r"\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_SYMBOL = re.compile(r"`(?P<name>[A-Za-z_]\w*(\.\w+)*)(\(\))?`")
_TARGET = re.compile(r"^(?:\$ )?make(?: [A-Z_]+=\S+)* (?P<target>[a-z][a-z-]*)", re.MULTILINE)
_PATH = re.compile(r"(?:shared|services|cloudsim|tests|docs|deploy|scripts|benchmarks|\.ci)/[\w./-]+")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    """Relative links to files, headings and, where a link's words are `name` in a Python file, to that name."""
    assert [problem for link in _links(document) if (problem := _problem(document, *link))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_paths_in_code_exist(document: Path) -> None:
    """Paths with a placeholder (`<name>`, `*`, `…`) are recipes for files to come."""
    named = {path.rstrip("./") for span in _spans(document) if (path := _as_path(span))}
    missing = [path for path in named if not (ROOT / path).exists() and not (ROOT / document.parent / path).exists()]
    assert sorted(missing) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_make_targets_exist(document: Path) -> None:
    commands = [*_spans(document), *_FENCE.findall(text(document))]
    named = {match["target"] for command in commands for match in _TARGET.finditer(command)}
    assert named - _targets() == set()


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [Path("README.md")]
    while waiting:
        document = waiting.pop()
        if document in seen:
            continue
        seen.add(document)
        waiting += [path for _, target in _links(document) if (path := _document(document, target))]
    ours = {path for path in DOCUMENTS if path.parts[0] == "docs" or len(path.parts) == 1}
    assert sorted(map(str, ours - seen)) == []


def test_contributing_lists_every_suite() -> None:
    first_cells = re.findall(r"^\| (`.+?`) \|", text(Path("CONTRIBUTING.md")), re.MULTILINE)
    listed = {name for cell in first_cells for name in _CODE.findall(cell)}
    assert {suite.name for suite in SUITES} - listed == set()


def test_the_settings_are_the_code_s() -> None:
    stale = "run: python -m scripts.generate_settings"
    assert text(Path("docs/settings.md")) == generate_settings.render(), stale


def test_every_setting_has_a_meaning() -> None:
    silent = [
        f"{cls.__name__}.{name}"
        for cls in generate_settings.PROCESSES.values()
        for name, field in cls.model_fields.items()
        if not generate_settings.meaning(name, field)
    ]
    assert silent == []


def test_the_settings_named_in_documents_exist() -> None:
    """The environment files of deploy/ have names of their own, which compose turns into these."""
    known = {f"JEROBOAM_{name.upper()}" for cls in generate_settings.PROCESSES.values() for name in cls.model_fields}
    known |= set(re.findall(r"JEROBOAM_[A-Z_]*[A-Z]", " ".join(text(path) for path in _readers())))
    named = {
        (str(document), name)
        for document in DOCUMENTS
        for name in re.findall(r"JEROBOAM_[A-Z_]*[A-Z]", text(document))
        if name not in known
    }
    assert named == set()


def _readers() -> Iterator[Path]:
    """Files that read variables outside the settings classes: the Makefile, deploy/, tests, the Postgres finder."""
    yield Path("Makefile")
    yield Path("shared/runtime/postgres_programs.py")
    yield from (path for path in with_suffix(".py", ".yml", ".env", under=("services", "deploy", "tests")))


def _links(document: Path) -> list[tuple[str, str]]:
    prose = _FENCE.sub("", text(document))
    return [(match["words"], match["target"]) for match in _LINK.finditer(prose)]


def _problem(document: Path, words: str, target: str) -> str | None:
    if re.match(r"[a-z]+:", target):
        return None
    place, _, heading = target.partition("#")
    path = (ROOT / document.parent / place).resolve() if place else ROOT / document
    if not path.exists():
        return f"{target}: no such file"
    if heading and heading not in _headings(path):
        return f"{target}: no such heading"
    symbol = _SYMBOL.fullmatch(words)
    if path.suffix == ".py" and symbol and not symbol["name"].endswith(".py") and symbol["name"] not in _names(path):
        return f"{target} has no {symbol['name']}"
    return None


def _document(document: Path, target: str) -> Path | None:
    path = (ROOT / document.parent / target.partition("#")[0]).resolve()
    if path.is_dir():
        path /= "README.md"
    return path.relative_to(ROOT) if path.suffix == ".md" and path.is_relative_to(ROOT) and path.exists() else None


def _spans(document: Path) -> list[str]:
    return _CODE.findall(_FENCE.sub("", text(document)))


def _as_path(span: str) -> str | None:
    match = _PATH.match(span.removeprefix("./"))
    placeholder = any(mark in span for mark in "<>*…{}[ ")
    return match[0] if match and not placeholder else None


@cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z][a-z-]*):", text(Path("Makefile")), re.MULTILINE))


@cache
def _headings(path: Path) -> frozenset[str]:
    """The anchors that GitHub makes of a document's headings."""
    prose = _FENCE.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ +(.+?)\s*$", prose, re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


@cache
def _names(path: Path) -> frozenset[str]:
    """Everything that a module defines, members of classes as `Class.member`."""
    return frozenset(_defined(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _defined(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield prefix + node.name
            case ast.ClassDef():
                yield prefix + node.name
                yield from _defined(node.body, f"{prefix}{node.name}.")
            case ast.Assign():
                yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name
            case _:
                continue
