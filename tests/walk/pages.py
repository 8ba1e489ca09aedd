"""Pages of the documentation as what is run of them: their ```sh blocks, each with its line and its section."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typing_extensions import override

ROOT: Final = Path(__file__).parents[2]
_FENCE: Final = re.compile(r"^\s*```(\w*)")
_HEADING: Final = re.compile(r"^(#+) ")
_GOES_ON: Final = re.compile(r"\\\n")
_HERE: Final = re.compile(r"(?<=<< )'?(\w+)'?(.*)\n(?:.*\n)*?\1$", re.MULTILINE)
_BEFORE: Final = r"(?:^|[|;&({`]) *(?:(?:!|do|then|else|if|elif|while|until|\w+=\S*) +)*"
_COMMAND: Final = re.compile(rf"{_BEFORE}([\w.-]+)(?= |[|;&)`]|$)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Commands of one fence; `line` is that of the first."""

    line: int
    section: int
    """Sections are counted from 0; one begins with every heading of the first two levels."""
    text: str

    @property
    def programs(self) -> frozenset[str]:
        """What stands where a command begins, outside of files that are written."""
        text = _HERE.sub(r"\2", _GOES_ON.sub(" ", self.text))
        return frozenset(_COMMAND.findall(text))


@dataclass(frozen=True)
class Page:
    """A page, by its path in the repository."""

    path: str

    @property
    def name(self) -> str:
        """For a user, a project and a folder."""
        return f"walk-{re.sub('[^a-z0-9]+', '-', self.path.removesuffix('.md').lower())}"

    @property
    def blocks(self) -> list[Block]:
        """What is run, from top to bottom."""
        return list(_blocks((ROOT / self.path).read_text(encoding="utf-8").splitlines()))

    @property
    def alone(self) -> bool:
        """Whether it breaks the cloud that all walk in."""
        return any("JEROBOAM_CONTROL" in block.text for block in self.blocks)

    @override
    def __str__(self) -> str:
        return self.path


def _blocks(lines: list[str]) -> Iterator[Block]:
    language: str | None = None
    begun = section = 0
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, begun = fence[1], number
        elif fence:
            if language == "sh":
                yield Block(begun + 1, section, "\n".join(lines[begun : number - 1]) + "\n")
            language = None
        elif language is None and (heading := _HEADING.match(line)):
            section += len(heading[1]) <= 2


_PATHS: Final = ("README.md", *sorted(str(one.relative_to(ROOT)) for one in ROOT.glob("docs/user-guide/*.md")))
PAGES: Final = tuple(sorted(map(Page, _PATHS), key=lambda page: page.alone))
"""What is walked; last come those that break the cloud."""
