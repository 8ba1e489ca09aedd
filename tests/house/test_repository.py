"""The repository speaks of itself alone, is installed from hashes, keeps no secrets, and decides in forty lines."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files, text, with_suffix

LOCKS = ("requirements.lock", "requirements-dev.lock")
LONGEST_DECISION = 40

_PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)(\[[a-z0-9,._-]+\])?==(?P<version>[^\s;]+)( ; .+)?$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}$")

# Written in pieces, so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(
    "(?<![\\w.${}/-])/(" + "|".join(("wor" + "k", "roo" + "t", "home/[a-z]+", "Users/")) + r")\b/?"
)
INDEX_HOSTS = re.compile(
    "|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "--(extra-)?ind" + "ex-url", r"proxy\.go" + r"lang\.org"))
)
PRIVATE_KEY = re.compile("-----BEGIN [A-Z ]*PRIV" + "ATE KEY-----")
_SECRET_NAME = re.compile(r"PASSWORD|SECRET(?!S_DIR)|TOKEN|MASTER_KEY|PRIVATE_KEY")
_WRITES_SECRET = re.compile(r"(>|-out|-keyout)\s*\S*(key|password|secret)\S*")
_KEEPS_PRIVATE = re.compile(r"umask 0?77|chmod 0?600|install -m 0?600")


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, INDEX_HOSTS, PRIVATE_KEY], ids=["paths", "hosts", "keys"])
def test_nothing_names_a_machine_an_index_or_holds_a_key(pattern: re.Pattern[str]) -> None:
    """A private key's first line may be spelled in code that looks for it or writes it, where a quote follows."""
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in files()
        for number, line in enumerate(text(path).splitlines(), 1)
        if pattern.search(line) and not (pattern is PRIVATE_KEY and path.suffix == ".py")
    ]
    assert found == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(name: str) -> None:
    strange = [f"{name}:{number}: {line}" for number, line in _meaningful(name) if not _is_pin_or_hash(line)]
    assert strange == []
    assert [pin for pin, hashes in _pins(name).items() if not hashes] == []


def test_the_locks_agree_and_hold_what_the_project_needs() -> None:
    run, dev = (set(_pins(name)) for name in LOCKS)
    assert run - dev == set(), "pinned differently for the tests"
    project = tomllib.loads(text(Path("pyproject.toml")))
    wanted = {_canonical(need) for need in project["project"]["dependencies"]}
    assert wanted - {pin.partition("==")[0] for pin in run} == set()
    wanted_by_tests = {_canonical(need) for need in project["dependency-groups"]["dev"]}
    assert wanted_by_tests - {pin.partition("==")[0] for pin in dev} == set()


def test_example_settings_hold_no_secret() -> None:
    examples = [path for path in with_suffix(".env", ".yml", ".yaml", under=("deploy",)) if path.is_file()]
    examples.append(Path("deploy/example.env"))
    filled = [
        f"{path}: {line.strip()}"
        for path in examples
        for line in text(path).splitlines()
        if (match := re.match(r"\s*([A-Z_]+)\s*[=:]\s*(\S+)", line))
        and _SECRET_NAME.search(match[1])
        and not match[1].endswith("_FILE")
        and not match[2].startswith("${")
    ]
    assert filled == []


def test_examples_that_write_secrets_keep_them_private() -> None:
    """A command block that writes a key, password or secret says first who may read it."""
    open_blocks = [
        f"{path}: {block.strip().splitlines()[0]}"
        for path in with_suffix(".md")
        for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", text(path), re.DOTALL)
        if _WRITES_SECRET.search(block) and not _KEEPS_PRIVATE.search(block)
    ]
    assert open_blocks == []
    makers = [path for path in files() if path.name == "make-secrets"]
    assert [str(path) for path in makers if not _KEEPS_PRIVATE.search(text(path))] == []


def test_secrets_and_runs_are_not_committed() -> None:
    ignored = text(Path(".gitignore")).splitlines()
    assert {".venv/", ".jeroboam/"} <= set(ignored)
    assert {"secrets/", ".env"} <= set(text(Path("deploy/.gitignore")).splitlines()) | set(ignored)


def test_decisions_are_numbered_short_and_whole() -> None:
    *records, contents = sorted(path for path in with_suffix(".md") if path.parent == Path("docs/decisions"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(len(records))]
    for path in records:
        lines = text(path).splitlines()
        assert len(lines) <= LONGEST_DECISION, f"{path} has {len(lines)} lines"
        assert re.fullmatch(rf"# {path.name[:4]} .+", lines[0]), f"{path} begins with {lines[0]!r}"
        headings = [line for line in lines if line.startswith("## ")]
        assert headings == ["## Context", "## Decision", "## Consequences"], path
    listed = re.findall(r"^\| \[(\d{4})\]\((.+)\) \|", text(contents), re.MULTILINE)
    assert listed == [(path.name[:4], path.name) for path in records[1:]], contents


def test_the_licence_is_whole() -> None:
    licence = text(Path("LICENSE"))
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def _meaningful(name: str) -> list[tuple[int, str]]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [(number, line.removesuffix(" \\")) for number, line in enumerate(lines, 1) if line and line[0] != "#"]


def _is_pin_or_hash(line: str) -> bool:
    return bool(_PIN.match(line) or _HASH.match(line))


def _pins(name: str) -> dict[str, int]:
    """name==version to the number of its hashes."""
    pins: dict[str, int] = {}
    current = ""
    for _, line in _meaningful(name):
        if match := _PIN.match(line):
            current = f"{match['name']}=={match['version']}"
            pins.setdefault(current, 0)
        elif current:
            pins[current] += 1
    return pins


def _canonical(requirement: str) -> str:
    name = re.split(r"[\[<>=~! ;]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
