"""The words of the fidelity tables: an answer of Magnum's, a call, and how our answer differs and why.

What Magnum does is taken from its contract (`contract.md` §1). Where its releases differ at one microversion, 16.x
speaks up to 1.10, since it was the last that had bays, and the newest from 1.11 on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

FIRST: Final = 1
LAST: Final = 14
EVERY: Final = tuple(range(FIRST, LAST + 1))
ANY: Final = "…"
"""In a text: whatever stands there."""

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What is answered. The keys of a body are those of a view of `fields`."""

    status: int
    view: str = ""
    """Empty: the body is not looked at."""
    many: str = ""
    """The key under which a list of that view lies."""
    text: str | None = None
    """The detail of a refusal, with `{names}` of the world's values; None: any."""
    location: bool = False
    """Whether a header `Location` says where the new thing is."""


@dataclass(frozen=True)
class Differs:
    """Our answer where it is not Magnum's, and why."""

    answer: Answer
    why: str


@dataclass(frozen=True)
class Call:
    """A request, Magnum's answers from a microversion on, and from which microversions on ours differ."""

    request: str
    """Method and path, with `{names}` of the world's values."""
    magnum: Mapping[int, Answer]
    ours: Mapping[int, Differs | None] = field(default_factory=dict)
    body: object = None
    raw: bytes | None = None
    user: str | None = "demo"
    headers: Mapping[str, str] = field(default_factory=dict)
    given: str = ""
    """What the world must be before each call: a method of `World`."""
    at: tuple[int, ...] = EVERY
    note: str = ""
    """What is wrong with it, or what is special about it, for people."""
    shown: bool = True
    """Whether the document has a line for it."""

    @property
    def method(self) -> str:
        """GET, POST and so on."""
        return self.request.split()[0]

    @property
    def path(self) -> str:
        """The path, with its placeholders and query."""
        return self.request.split()[1]

    def wanted(self, version: int) -> Answer:
        """What Magnum answers."""
        found = since(self.magnum, version)
        assert found is not None, f"{self.request}: nothing is said of 1.{version}"
        return found

    def differs(self, version: int) -> Differs | None:
        """How our answer differs; None: not at all."""
        return since(self.ours, version)


@dataclass(frozen=True)
class Seen:
    """What was answered."""

    status: int
    keys: frozenset[str] | None
    text: str
    location: str | None


def since(spans: Mapping[int, T], version: int) -> T | None:
    """The value of the span that the microversion lies in."""
    begun = [begin for begin in spans if begin <= version]
    return spans[max(begun)] if begun else None


def is_like(pattern: str, text: str) -> bool:
    """Whether the text is what the pattern says, in which `…` is anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split(ANY))), text, re.DOTALL) is not None


def refused(
    request: str,
    status: int,
    text: str | None,
    *,
    body: object = None,
    at: int = LAST,
    ours: Answer | None = None,
    why: str = "",
    note: str = "",
    user: str | None = "demo",
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
    given: str = "",
) -> Call:
    """A call at one microversion, which Magnum answers with this status and text."""
    return Call(
        request,
        {at: Answer(status, text=text)},
        {} if ours is None else {at: Differs(ours, why)},
        body=body,
        raw=raw,
        user=user,
        headers=headers or {},
        given=given,
        at=(at,),
        note=note,
    )


def hiding_all_but_the_first(calls: Sequence[Call], note: str) -> tuple[Call, ...]:
    """Calls that are told in one line of the document, with that note."""
    first, *others = calls
    return replace(first, note=note), *(replace(call, shown=False) for call in others)
