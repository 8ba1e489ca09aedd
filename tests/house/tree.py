"""The repository as the house tests see it: its files, without what tools and runs leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_LEFT_BEHIND: Final = frozenset({"__pycache__", "dist", "node_modules", "secrets"})
_KEPT: Final = frozenset({".ci", ".gitignore"})

PRODUCT: Final = ("shared", "services", "cloudsim", "deploy", "scripts", "benchmarks")
"""Folders whose content people run. Tests are held to the same sizes, and may speak of what product code may not."""


@cache
def files() -> tuple[Path, ...]:
    """Every file, relative to the root, in order."""
    return tuple(sorted(path.relative_to(ROOT) for path in _walk()))


def with_suffix(*suffixes: str, under: tuple[str, ...] = ()) -> list[Path]:
    """The files with one of these suffixes, of these folders or of all."""
    return [path for path in files() if path.suffix in suffixes and (not under or path.parts[0] in under)]


def text(path: Path) -> str:
    """A file's text; bytes that are none are shown as such."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def _walk() -> Iterator[Path]:
    for folder, names, found in os.walk(ROOT):
        names[:] = [name for name in names if _ours(name)]
        yield from (Path(folder) / name for name in found if _ours(name) and not name.endswith(".pyc"))


def _ours(name: str) -> bool:
    return name in _KEPT or (not name.startswith(".") and name not in _LEFT_BEHIND)
