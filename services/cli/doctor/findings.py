"""What a check says: a line for people, and what to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from shared.domain.errors import CloudError


class Level(StrEnum):
    """How a prerequisite stands."""

    OK = "ok"
    WARNING = "warning"
    """Something works less well, or not for everybody."""
    MISSING = "missing"
    """Bays cannot be made, or cannot be deleted, until it is mended."""


@dataclass(frozen=True)
class Finding:
    """One prerequisite as it was found. Neither text holds a secret."""

    area: str
    level: Level
    what: str
    todo: str = ""
    """What to do, the exact command where there is one."""

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Area:
    """Makes findings of one area."""

    name: str

    def ok(self, what: str) -> Finding:
        """It is as it should be."""
        return Finding(self.name, Level.OK, what)

    def warning(self, what: str, todo: str = "") -> Finding:
        """It works less well, or not for everybody."""
        return Finding(self.name, Level.WARNING, what, todo)

    def missing(self, what: str, todo: str = "") -> Finding:
        """It does not work."""
        return Finding(self.name, Level.MISSING, what, todo)

    async def guarded(self, check: Callable[[], Awaitable[Iterable[Finding]]], todo: str = "") -> list[Finding]:
        """What the check found; a cloud that refuses or does not answer is a finding too."""
        try:
            return list(await check())
        except CloudError as error:
            return [self.missing(error.message, todo)]
