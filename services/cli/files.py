"""Files for a person's own eyes: written whole or not at all, and readable by nobody else at any moment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, all 0700; one that is there stays as it is."""
    for one in (*reversed(folder.parents), folder):
        if not one.is_dir():
            one.mkdir(mode=0o700, exist_ok=True)


def put(files: Mapping[Path, str]) -> None:
    """Write the files, 0600, over what is there.

    All are written beside their places first and moved only when each is whole: a full disk leaves the old ones as
    they were, and a key never meets another certificate's file for longer than two renames take.
    """
    made: list[tuple[Path, Path]] = []
    try:
        for path, text in files.items():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 from its first byte on
            made.append((Path(name), path))
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for beside, path in made:
            beside.replace(path)
    finally:
        for beside, _ in made:
            beside.unlink(missing_ok=True)
