"""Reading JSON of an engine, inside of `errors.sense`: what is missing or of another kind raises LookupError or
TypeError. And asking one of several servers that know the same, and telling the health of what they know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from shared.coe.port import CoeNode
from shared.domain.errors import CloudError

Doc = Mapping[str, Any]
"""A JSON object."""

LONGEST: Final = 253
"""Characters of a name or a reason: no engine's own names are longer, and what lies is not to fill our memory."""

S = TypeVar("S")
T = TypeVar("T")


def doc(value: object) -> Doc:
    """An object that must be there."""
    if not isinstance(value, Mapping):
        raise TypeError("no object")
    return value


def inner(data: Doc, *path: str) -> Doc:
    """An object within objects; an empty one where it is absent or null."""
    for key in path:
        value = data.get(key)
        data = {} if value is None else doc(value)
    return data


def docs(value: object) -> list[Doc]:
    """A list of objects; none for null, which Go writes for an empty list."""
    return [doc(one) for one in items(value)]


def items(value: object) -> list[object]:
    """A list; none for null."""
    if value is not None and not isinstance(value, list):
        raise TypeError("no list")
    return list(value or ())


def text(data: Doc, key: str) -> str:
    """A string that must be there."""
    value = data[key]
    if not isinstance(value, str):
        raise TypeError("no string")
    return value


def maybe(data: Doc, key: str) -> str:
    """A string; empty where it is absent or null."""
    return "" if data.get(key) is None else text(data, key)


def short(told: str) -> str:
    """Names and reasons as they are kept: cut to `LONGEST`."""
    return told[:LONGEST]


def number(data: Doc, key: str) -> float:
    """A number; 0 where it is absent or null."""
    value = data.get(key)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("no number")
    return float(value)


def whole(data: Doc, key: str) -> int:
    """A whole number that must be there, exactly."""
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no whole number")
    return value


def texts(data: Doc) -> dict[str, str]:
    """An object of strings."""
    return {key: text(data, key) for key in data}


async def first_of(servers: Sequence[S], ask: Callable[[S], Awaitable[T]]) -> T:
    """The first answer of several servers: the next one is asked when one does not answer, or answers 5xx or rubbish.

    `ask` must be safe to repeat. Raises the last CloudError.
    """
    *others, last = servers
    for server in others:
        try:
            return await ask(server)
        except CloudError as error:
            if 400 <= (error.status or 0) < 500:
                raise
    return await ask(last)


async def health_of(nodes: Awaitable[Iterable[CoeNode]]) -> dict[str, str]:
    """`Coe.health` of an engine that is well when it tells its nodes. A server that answers no, such as one without a
    leader, is told; raises CloudError when there is no answer at all."""
    try:
        found = list(await nodes)
    except CloudError as error:
        if error.status is None:
            raise
        return {"api": error.message}
    told = {"api": "ok"} | {f"{node.name}.Ready": str(node.ready) for node in found}
    return told | {f"{node.name}.problem": node.problem for node in found if node.problem}
