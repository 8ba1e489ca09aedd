"""The words in which people read why a nodegroup grows or shrinks. Pure."""

from __future__ import annotations

from typing import Final

_SHOWN: Final = 3


def nodes(number: int) -> str:
    """So many."""
    return f"{number} node" if number == 1 else f"{number} nodes"


def more(number: int) -> str:
    """That so many more are what is wanted."""
    return "1 more node fits" if number == 1 else f"{number} more nodes fit"


def had(number: int) -> str:
    """The verb of so many."""
    return "has had" if number == 1 else "have had"


def minutes(seconds: float) -> str:
    """So long, in whole ones."""
    number = round(seconds / 60)
    return f"{number} minutes" if number != 1 else "a minute"


def work(names: tuple[str, ...], word: str) -> str:
    """How much waits and some of it by name: "3 pods wait (web-1: 500m cpu)"."""
    number = len(names)
    shown = "; ".join(names[:_SHOWN]) + (f"; and {number - _SHOWN} more" if number > _SHOWN else "")
    return f"{number} {word[:-1]} waits ({shown})" if number == 1 else f"{number} {word} wait ({shown})"
