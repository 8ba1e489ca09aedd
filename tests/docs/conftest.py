"""The site, built once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.tree import ROOT


@dataclass(frozen=True)
class Site:
    """What `mkdocs build --strict` made, and what it said."""

    folder: Path
    code: int
    said: str

    def pages(self) -> list[Path]:
        """Its pages but for the one of 404, whose links are a server's."""
        return sorted(path for path in self.folder.rglob("*.html") if path.name != "404.html")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Pages with faults are built all the same, but for a diagram that cannot be drawn."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    return Site(folder, done.returncode, done.stderr)
