"""Fail-points: places where a test makes the process kill itself, as a power cut would.

A test creates the file DIR/NAME; the first process that passes the point removes the file and dies by SIGKILL.
The removal is the claim: `unlink` succeeds in exactly one process, so of two replicas only one dies.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_directory: Path | None = None


def configure(directory: Path | None) -> None:
    """Switch fail-points on (with a directory) or off (None), for this process."""
    global _directory  # noqa: PLW0603 - one switch per process, set in main
    _directory = directory


def hit(name: str) -> None:
    """Die here if a test asked for it; costs one comparison when fail-points are off.

    Args:
        name: the point, e.g. ``create.stack:before`` (letters, digits, ``_``, ``-``, ``.`` and ``:``, no slash).
    """
    if _directory is None:
        return
    try:
        (_directory / name).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
