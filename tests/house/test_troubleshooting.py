"""docs/troubleshooting* explain every sentence that the services can say, and none that they no longer say.

A row of their tables is one or several sentences as code, and in the other cell what they mean and what to do. A new
sentence in the code fails here with its place and the row to be written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.house.sentences import plain, shapes, shapes_of, shell_shapes
from tests.house.tree import text, with_suffix

FIRST: Final = Path("docs/troubleshooting.md")
PAGES: Final = [FIRST, *(path for path in with_suffix(".md") if path.parent == Path("docs/troubleshooting"))]
_SAID: Final = ("what is said", "the reason ends with")
"""How the tables of sentences are headed; others are about other things."""

_CELL: Final = re.compile(r"(?<!\\)\|")
_CODE: Final = re.compile(r"(`+)(.+?)\1")


def test_every_sentence_of_the_code_is_explained() -> None:
    known = {words for words, _ in _explained()}
    missing = [
        f"{one.place}: add to a table of {FIRST} or {FIRST.with_suffix('')}/: | `{one.words}` | … |"
        for one in shapes()
        if one.words not in known
    ]
    assert not missing, "\n".join(missing)


def test_every_sentence_of_the_pages_is_in_the_code() -> None:
    said = {one.words for one in shapes()}
    gone = [f"{place}: nobody says any more: {words}" for words, place in _explained() if words not in said]
    assert not gone, "\n".join(gone)


def test_a_sentence_is_explained_once() -> None:
    assert [words for words, count in Counter(words for words, _ in _explained()).items() if count > 1] == []


def test_every_row_says_what_to_do() -> None:
    silent = [
        f"{path}:{line}" for path in PAGES for line, cells in _rows(path) if len(cells) != 2 or not cells[1].strip()
    ]
    assert silent == []


def test_every_status_of_a_refusal_is_in_the_table() -> None:
    """The statuses of the classes of errors, and the two that no class has: 405 and 500."""
    sources = [text(Path(name)) for name in ("shared/domain/errors.py", "services/api/errors.py")]
    named = {int(number) for source in sources for number in re.findall(r"\bstatus\b[^=\n]*= (\d{3})\n", source)}
    statuses = {405, 500, *named}
    listed = {int(number) for number in re.findall(r"^\| (\d{3}) \|", text(FIRST), re.MULTILINE)}
    assert listed == statuses


def test_what_nodes_say_is_found() -> None:
    script = """
        die() { echo "$*"; }
        systemctl start "$unit" || fail "volume $1 could not be mounted at ${2:-"$(pwd)"}: $(tail -n "1" log)"
        wait_for "$(left)" "etcd to answer" curl http://127.0.0.1
        fail "$*"
    """
    assert [one.words for one in shell_shapes(script, "x.sh")] == [
        "volume … could not be mounted at …: …",
        "waited in vain for etcd to answer",
    ]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('raise NotFound(f"Image {name} could not be found.")', ["Image … could not be found."]),
        ('said = "Nova does not have it" + f" in {zone}."', ["Nova does not have it in …."]),
        ('_WORDS = {"pods": "Pods are gone: use {}."}', ["Pods are gone: use …."]),
        ('raise Conflict("It is " + why)', ["It is …"]),
        ("f\"{what}: {'Look at the bay.' if ill else other}\"", ["Look at the bay."]),
        ('"""A module, or a function, says so."""', []),
        ('_log.info("An event that is logged")', []),
        ('raise StaleLease("The lease is gone.")', []),
        ('conn.execute("SELECT a FROM b WHERE c")', []),
        ('field("name of it", summary="A summary of a path")', []),
    ],
)
def test_what_counts_as_a_sentence(code: str, found: list[str]) -> None:
    assert [one.words for one in shapes_of(code, "x.py")] == found


def _explained() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        for line, cells in _rows(path):
            for _, words in _CODE.findall(cells[0]):
                yield plain(words.replace("\\|", "|")), f"{path}:{line}"


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of the tables of sentences, each with its line's number."""
    inside = False
    for number, line in enumerate(text(path).splitlines(), 1):
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
        if not cells:
            inside = False
        elif cells[0] in _SAID:
            inside = True
        elif inside and not set(cells[0]) <= {"-"}:
            yield number, cells
