"""Reading secrets from files that only their owner can read."""

from __future__ import annotations

import stat
from pathlib import Path

from shared.domain.errors import JeroboamError


class UnsafeSecretFile(JeroboamError):
    """A file that should hold a secret is missing, empty, or open to others."""


def read_secret_file(path: Path) -> str:
    """The file's text without surrounding space.

    Raises:
        UnsafeSecretFile: it cannot be read, is empty, or gives others than its owner any right.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except OSError as error:
        raise UnsafeSecretFile(f"{path} cannot be read: {error.strerror}.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnsafeSecretFile(f"{path} is open to others (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}")
    if not text:
        raise UnsafeSecretFile(f"{path} is empty.")
    return text
