"""What differs between a recorded answer and another one: status, headers, keys, types, values, bindings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from scripts.record_answers.placeholders import NUMBER, pattern


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One difference. `kind`: "lacks" a key, "adds" one, or "is" something else; `where` is a dotted path."""

    kind: str
    where: str
    note: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """How an allow-list names it."""
        return f"{self.kind} {self.where}"

    @override
    def __str__(self) -> str:
        """For a report."""
        return f"{self.key}: {self.note}"


Found = list[Difference]
Bound = dict[str, str]


def differences(recorded: Any, actual: Any, bound: Bound, where: str = "") -> Found:
    """All differences; placeholders of the recorded answer that are met for the first time are added to `bound`."""
    if isinstance(recorded, str) and isinstance(actual, str):
        return _texts(_sorted_query(recorded), _sorted_query(actual), bound, where)
    if isinstance(recorded, Mapping) and isinstance(actual, Mapping):
        return _objects(recorded, actual, bound, where)
    if isinstance(recorded, list) and isinstance(actual, list):
        return _lists(recorded, actual, bound, where)
    if recorded == NUMBER and isinstance(actual, int):
        return []
    same = type(recorded) is type(actual) and recorded == actual
    return [] if same else [Difference("is", where, f"{_short(recorded)} in the recording, {_short(actual)} here")]


def shapes(recorded: Any, actual: Any, where: str) -> Found:
    """Only the differences of keys and types; entries of lists are all held against the recorded list's first."""
    if isinstance(recorded, Mapping) and isinstance(actual, Mapping):
        shared = [name for name in recorded if name in actual]
        return _keys(recorded, actual, where) + [
            one for name in shared for one in shapes(recorded[name], actual[name], _inside(where, name))
        ]
    if isinstance(recorded, list) and isinstance(actual, list):
        return [one for item in actual for one in shapes(recorded[0], item, f"{where}[]")] if recorded else []
    if type(recorded) is type(actual):
        return []
    return [Difference("is", where, f"{type(recorded).__name__} in the recording, {type(actual).__name__} here")]


def _objects(recorded: Mapping[str, Any], actual: Mapping[str, Any], bound: Bound, where: str) -> Found:
    """Keys may be placeholders too, once something else has bound them."""
    named = {bound.get(name, name): item for name, item in recorded.items()}
    found = _keys(named, actual, where)
    for name in [one for one in named if one in actual]:
        found += differences(named[name], actual[name], bound, _inside(where, name))
    return found


def _keys(recorded: Mapping[str, Any], actual: Mapping[str, Any], where: str) -> Found:
    lacks = [
        Difference("lacks", _inside(where, name), _short(recorded[name])) for name in recorded if name not in actual
    ]
    return lacks + [
        Difference("adds", _inside(where, name), _short(actual[name])) for name in actual if name not in recorded
    ]


def _lists(recorded: list[Any], actual: list[Any], bound: Bound, where: str) -> Found:
    """In any order: each recorded entry is held against the one here that is most like it."""
    left, found = list(actual), Found()
    for item in recorded:
        trials = [(len(differences(item, one, dict(bound))), place) for place, one in enumerate(left)]
        if not trials:
            found.append(Difference("lacks", f"{where}[]", _short(item)))
            continue
        found += differences(item, left.pop(min(trials)[1]), bound, f"{where}[]")
    return found + [Difference("adds", f"{where}[]", _short(one)) for one in left]


def _texts(recorded: str, actual: str, bound: Bound, where: str) -> Found:
    expected, names = pattern(recorded, bound)
    match = expected.fullmatch(actual)
    if match is None:
        return [Difference("is", where, f"{_short(recorded)} in the recording, {_short(actual)} here")]
    bound.update({name: match[f"g{number}"] for number, name in enumerate(names)})
    return []


def _sorted_query(text: str) -> str:
    """An address with its query's parts in order and its colons as themselves, which mean the same either way."""
    address, mark, query = text.partition("?")
    if not mark or not re.fullmatch(r"(?:<url:|http).*|/\S*", address):
        return text
    return f"{address}?{'&'.join(sorted(query.replace('%3A', ':').split('&')))}"


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}…"
