"""What our services can say to people, read from their source: every text in it that is a sentence.

A shape is such a text with `…` where a value stands: f"Image {name} could not be found." is `Image … could not be
found.` All sentences are taken but those that nobody is told outside of logs and documents, so that no new way of
saying something slips through. What a service of the cloud says itself, and what begins in the midst of a sentence, is
a value like others.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from typing_extensions import override

from tests.house.tree import files, text, with_suffix

SPEAK: Final = (
    *("services/api", "services/certs", "services/provisioner", "services/scaler"),
    *("shared/coe", "shared/contracts/http", "shared/db/repositories", "shared/domain", "shared/drivers"),
    *("shared/openstack", "shared/runtime/egress.py", "shared/worker"),
)
"""Whose words reach users: in answers, in status_reason, health_status_reason, bay_faults, operations and decisions."""

SILENT: Final = (
    "services/api/openapi_parts.py",  # the OpenAPI document, and its examples
    "services/api/policy_file.py",  # at a gateway's start, to its operator
    "services/api/policy_rules.py",  # rules, in oslo.policy's language
    "services/api/routers/examples.py",
    "services/api/routers/node_shapes.py",
    "services/api/routers/root.py",
    "services/certs/authority.py",  # mistakes of ours, which end in the log
    "services/certs/envelope.py",  # the same, and at the start
    "services/certs/master_key.py",  # at the start of certs, to its operator
    "services/certs/rewrap.py",  # a command for operators
    "shared/domain/bay_state.py",  # docs/bay-states.md
    "shared/domain/operation.py",  # the same
    "shared/openstack/auth.py",  # commands, and a service's start
    "shared/openstack/stackwatch.py",  # the log and `jeroboam doctor`
)

_UNSEEN_CALLS: Final = re.compile(
    r"_?log\..*|text|Path|re\.compile|Field|ConfigDict|Step|Flow|(Value|Key|Type|Runtime|Assertion|Index|Connection)Error"
    r"|StaleLease|IllegalTransition|SealError|EnvelopeError|kubernetes_words"
)
_UNSEEN_KEYWORDS: Final = frozenset({"summary", "description", "help", "responses", "openapi_extra", "title"})
_SQL: Final = re.compile(r"\b(SELECT|UPDATE|INSERT|FROM|WHERE|JOIN|ORDER BY|LIMIT|CASE|WITH|ALTER)\b")
_BEGINS: Final = re.compile(r"[A-Z…'\"]")
_NO_WORDS: Final = re.compile(r"[…\W\d_]*")
_NOT_PROSE: Final = re.compile(r"Content-[A-Z]|.*\$1|.*\.crt")


_NO_SCRIPT: Final = frozenset({".py", ".yaml", ".json", ".md", ".service", ".timer"})
_GIVES_UP: Final = re.compile(r"\b(?P<what>fail|die|wait_for (?:\"[^\"]*\"|\S+)) \"")


class Shape(NamedTuple):
    """A sentence with `…` for its values, and where the code says it."""

    words: str
    place: str


@cache
def shapes() -> tuple[Shape, ...]:
    """All there are, in the order of the files: first the services' words, then those of nodes."""
    sources = [path for path in with_suffix(".py", under=("services", "shared")) if str(path).startswith(SPEAK)]
    ours = [one for path in sources if str(path) not in SILENT for one in _of(path)]
    scripts = [path for path in files() if path.parts[:2] == ("shared", "drivers") and path.suffix not in _NO_SCRIPT]
    return (*ours, *(one for path in scripts for one in shell_shapes(text(path), str(path))))


def shell_shapes(code: str, place: str) -> list[Shape]:
    """What a node's script says as it gives up, by its functions `fail`, `die` and `wait_for`."""
    found = []
    for match in _GIVES_UP.finditer(code):
        words = _quoted(code, match.end())
        if match["what"].startswith("wait_for"):
            words = f"waited in vain for {words}"
        if len(re.findall(r"[A-Za-z']{2,}", words)) >= 2 and not words.startswith("usage:"):
            found.append(Shape(plain(words), f"{place}:{code.count(chr(10), 0, match.start()) + 1}"))
    return found


def shapes_of(code: str, place: str, *, raised: bool = False) -> list[Shape]:
    """The sentences of some code; `raised`: only of what it raises."""
    reader = _Reader()
    tree = ast.parse(code)
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.Raise)) if raised else (tree,):
        reader.visit(node)
    return [Shape(plain(words), f"{place}:{line}") for line, words in reader.found if _is_sentence(words)]


def _of(path: Path) -> list[Shape]:
    """What a router holds besides is its part of the OpenAPI document."""
    router = path.parts[:3] == ("services", "api", "routers") and path.stem != "leftovers"
    return shapes_of(text(path), str(path), raised=router)


def _quoted(code: str, start: int) -> str:
    """A shell's text up to its closing quote, with `…` for what the shell puts in."""
    words, at = "", start
    while code[at] != '"':
        if code.startswith(("$(", "${"), at):
            at, words = _end(code, at), f"{words}…"
        elif match := re.compile(r"\$(\w+|[*@#?!])").match(code, at):
            at, words = match.end(), f"{words}…"
        else:
            at += code[at] == "\\"
            at, words = at + 1, words + code[at]
    return words


def _end(code: str, at: int) -> int:
    """Behind the bracket that closes what begins at `$(` or `${`."""
    depth = 0
    while True:
        depth += (code[at] in "({") - (code[at] in ")}")
        at += 1
        if depth == 0 and code[at - 1] in ")}":
            return at


def plain(words: str) -> str:
    """One form for a shape in the code and on the page."""
    return re.sub(r"…[… ]*…", "…", " ".join(words.split())).strip()


def _is_sentence(words: str) -> bool:
    if "\n" in words or len(words.split()) < 3 or not _BEGINS.match(words) or _SQL.search(words):
        return False
    return not _NOT_PROSE.match(words) and len(re.findall(r"[A-Za-z']{2,}", words)) >= 1


class _Reader(ast.NodeVisitor):
    """Collects texts with their lines, past what nobody is told."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    @override
    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    @override
    def visit_Call(self, node: ast.Call) -> None:
        if not _UNSEEN_CALLS.fullmatch(ast.unparse(node.func)):
            self.generic_visit(node)

    @override
    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in _UNSEEN_KEYWORDS:
            self.generic_visit(node)

    @override
    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.found.append((node.lineno, _words(node) or ""))
        for part in node.values:  # a sentence may stand inside another's value
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    @override
    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.found.append((node.lineno, re.sub(r"\{\w*\}", "…", node.value)))

    @override
    def visit_BinOp(self, node: ast.BinOp) -> None:
        words = _words(node)
        if words is None:
            self.generic_visit(node)
        else:
            self.found.append((node.lineno, words))


def _words(node: ast.expr) -> str | None:
    """The text that an expression makes, None if it makes none that can be read here."""
    match node:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = _words(left), _words(right)
            return None if one is None and other is None else (one or "…") + (other or "…")
        case _:
            return None
