"""The commands of the operator guide, read from its own page, so that what is tested is what operators are told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "operator-guide" / "install.md"
HEADING: Final = "Service user, roles, endpoint"
USER: Final = "jeroboam"
"""How the page calls service user and service."""


def commands(user: str) -> str:
    """The page's block for a service user of another name: a cloud may have a `jeroboam` at work already."""
    section = re.search(rf"^## {HEADING}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert section, f"{PAGE.name} has no heading {HEADING!r}."
    block = re.search(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    assert block, f"{PAGE.name} has no sh block under {HEADING!r}."
    return re.sub(rf"(?<![\w/]){USER}(?![\w/])", user, block[1])
