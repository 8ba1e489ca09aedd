"""What a label is to us: its name, whose it is, and what values it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

LabelKind = Literal["choice", "cidr", "cidrs", "integer", "boolean", "text", "json"]


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """What values a label takes.

    `allowed` is for kind "choice"; `minimum` and `maximum` are for kind "integer"; `pattern` is for kind "text", which
    it must match from end to end. An empty label is one that is not set.
    """

    kind: LabelKind
    default: str
    summary: str
    allowed: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 2**31 - 1
    pattern: str = r"[A-Za-z0-9_.:/@+-]{1,128}"


@dataclass(frozen=True)
class Label:
    """One label of some drivers."""

    name: str
    drivers: frozenset[str]
    """Names of drivers; `*` stands for every one."""
    rule: LabelRule
    test: str
    """`file::function` under tests/ that shows the effect."""
    but: frozenset[str] = frozenset()
    """Drivers that `*` does not mean."""

    def concerns(self, driver: str) -> bool:
        """Whether it takes effect in a driver."""
        return driver in self.drivers or ("*" in self.drivers and driver not in self.but)


EVERY: Final = frozenset({"*"})
"""Every driver."""
