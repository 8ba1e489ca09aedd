"""The functions of HOT that work on plain values, each taking its one evaluated argument.

Faults are `ValueError`s in plain words.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

Value = Any


def as_text(value: Value) -> str:
    """A value as Heat pastes it into text: nothing for null, JSON for maps and lists."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value)
    return str(value)


def str_replace(argument: Value) -> str:
    """Longer keys first; what was put in is not searched again."""
    return "".join(text for text, _ in _replaced(argument, strict=False, name="str_replace"))


def str_replace_strict(argument: Value) -> str:
    """As `str_replace`, but every key must occur."""
    return "".join(text for text, _ in _replaced(argument, strict=True, name="str_replace_strict"))


def _replaced(argument: Value, *, strict: bool, name: str) -> list[tuple[str, bool]]:
    if not isinstance(argument, Mapping) or set(argument) != {"template", "params"}:
        raise ValueError(f'"{name}" syntax should be a map with "template" and "params"')
    params = argument["params"]
    if not isinstance(params, Mapping):
        raise TypeError(f'"{name}" parameters must be a mapping')
    pieces, unused = [(as_text(argument["template"]), False)], []
    for key in sorted(params, key=lambda key: (-len(key), key)):
        if not key:
            raise ValueError(f'"{name}" has an empty key')
        before = len(pieces)
        pieces = _split(pieces, key, as_text(params[key]))
        if len(pieces) == before:
            unused.append(key)
    if strict and unused:
        raise ValueError(f"The following params were not found in the template: {','.join(sorted(unused))}")
    return pieces


def _split(pieces: list[tuple[str, bool]], key: str, value: str) -> list[tuple[str, bool]]:
    """Put `value` between the parts of every piece that is not itself a replacement."""
    result: list[tuple[str, bool]] = []
    for text, done in pieces:
        if done or key not in text:
            result.append((text, done))
            continue
        first, *others = text.split(key)
        result.append((first, False))
        for part in others:
            result += ((value, True), (part, False))
    return result


def list_join(argument: Value) -> str:
    """`[delimiter, list, …]`; the lists follow one another."""
    if not isinstance(argument, Sequence) or isinstance(argument, str) or len(argument) < 2:
        raise ValueError('"list_join" needs a delimiter and a list')
    delimiter, *lists = argument
    items: list[str] = []
    for values in lists:
        if isinstance(values, str) or not isinstance(values, (Sequence, type(None))):
            raise TypeError(f'"list_join" must operate on a list, not {as_text(values)!r}')
        items += [as_text(value) for value in values or ()]
    return as_text(delimiter).join(items)


def str_split(argument: Value) -> Value:
    """`[delimiter, text, index?]`."""
    if not isinstance(argument, list) or len(argument) not in {2, 3}:
        raise ValueError('"str_split" needs a delimiter, a string and perhaps an index')
    parts = as_text(argument[1]).split(as_text(argument[0])) if argument[1] is not None else []
    if len(argument) == 2:
        return parts
    try:
        return parts[int(argument[2])]
    except IndexError as error:
        raise ValueError(f'Incorrect index to "str_split" should be between 0 and {len(parts) - 1}') from error


def repeat(argument: Value) -> list[Value]:
    """`{template, for_each, permutations?}`: every combination, or item by item when permutations is false."""
    if not isinstance(argument, Mapping) or not {"template", "for_each"} <= set(argument) <= {
        "template",
        "for_each",
        "permutations",
    }:
        raise ValueError('"repeat" syntax should be a map with "template", "for_each" and perhaps "permutations"')
    for_each = argument["for_each"]
    if not isinstance(for_each, Mapping):
        raise TypeError('The "for_each" argument to "repeat" must contain a map')
    lists = [list(values or ()) for values in for_each.values()]
    if argument.get("permutations", True):
        rows: Sequence[tuple[Value, ...]] = list(itertools.product(*lists))
    elif len({len(values) for values in lists}) > 1:
        raise ValueError('The lists of "repeat" without permutations must have the same length')
    else:
        rows = list(zip(*lists, strict=True))
    return [substitute(argument["template"], dict(zip(for_each, row, strict=True))) for row in rows]


def substitute(template: Value, replacements: Mapping[str, Value]) -> Value:
    """`template` with keys replaced in all its text; a text that is nothing but a key becomes the value itself."""
    if isinstance(template, str):
        for key, value in replacements.items():
            if template == key:
                return value
            template = template.replace(key, as_text(value)) if key in template else template
        return template
    if isinstance(template, Mapping):
        return {substitute(key, replacements): substitute(value, replacements) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [substitute(value, replacements) for value in template]
    return template


def digest(argument: Value) -> str:
    """`[algorithm, text]`."""
    if not isinstance(argument, list) or len(argument) != 2 or argument[0] not in hashlib.algorithms_available:
        raise ValueError('"digest" needs an algorithm that exists and a string')
    return hashlib.new(argument[0], as_text(argument[1]).encode()).hexdigest()


def map_merge(argument: Value) -> dict[str, Value]:
    """`[map, …]`; the last wins."""
    merged: dict[str, Value] = {}
    for part in _list_of("map_merge", argument):
        if part is not None and not isinstance(part, Mapping):
            raise ValueError('Incorrect arguments: items to merge by "map_merge" must be maps')
        merged.update(part or {})
    return merged


def map_replace(argument: Value) -> dict[str, Value]:
    """`[map, {keys: {…}, values: {…}}]`."""
    source, rules = _list_of("map_replace", argument, length=2)
    if not isinstance(source, Mapping) or not isinstance(rules, Mapping) or not set(rules) <= {"keys", "values"}:
        raise ValueError('"map_replace" needs a map and a map with "keys" and "values"')
    keys, values = rules.get("keys") or {}, rules.get("values") or {}

    def replaced(value: Value) -> Value:
        return values.get(value, value) if isinstance(value, (str, int, float)) else value

    return {str(keys.get(key, key)): replaced(value) for key, value in source.items()}


def list_concat(argument: Value) -> list[Value]:
    """`[list, …]`."""
    result: list[Value] = []
    for part in _list_of("list_concat", argument):
        if part is not None and not isinstance(part, (list, tuple)):
            raise ValueError('Incorrect arguments: items to concat by "list_concat" must be lists')
        result += part or ()
    return result


def list_concat_unique(argument: Value) -> list[Value]:
    """As `list_concat`, first occurrence of each item only."""
    result: list[Value] = []
    for item in list_concat(argument):
        if item not in result:
            result.append(item)
    return result


def contains(argument: Value) -> bool:
    """`[value, sequence]`."""
    value, sequence = _list_of("contains", argument, length=2)
    if not isinstance(sequence, (list, tuple, str, Mapping)):
        raise TypeError('Second argument to "contains" should be a sequence')
    return value in sequence


def filter_list(argument: Value) -> list[Value]:
    """`[values to leave out, list]`."""
    unwanted, items = _list_of("filter", argument, length=2)
    if not isinstance(unwanted, list) or not isinstance(items, list):
        raise TypeError('"filter" only works with lists')
    return [item for item in items if item not in unwanted]


def make_url(argument: Value) -> str:
    """`{scheme, username, password, host, port, path, query, fragment}`, all optional."""
    if not isinstance(argument, Mapping):
        raise TypeError('"make_url" needs a map')
    part = {key: value for key, value in argument.items() if value not in (None, "")}
    unknown = set(part) - {"scheme", "username", "password", "host", "port", "path", "query", "fragment"}
    if unknown:
        raise ValueError(f'Invalid arguments to "make_url": {", ".join(sorted(unknown))}')
    host = as_text(part.get("host", ""))
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    user = quote(as_text(part["username"]), "") if "username" in part else ""
    user += ":" + quote(as_text(part["password"]), "") if "password" in part else ""
    place = (f"{user}@" if user else "") + host + (f":{part['port']}" if "port" in part else "")
    path = as_text(part.get("path", ""))
    path = f"/{path}" if path and not path.startswith("/") and place else path
    url = (f"{part['scheme']}:" if "scheme" in part else "") + (f"//{place}" if place else "") + quote(path)
    query = part.get("query")
    url += "?" + (urlencode(query) if isinstance(query, Mapping) else as_text(query)) if query else ""
    return url + (f"#{quote(as_text(part['fragment']))}" if "fragment" in part else "")


def equals(argument: Value) -> bool:
    """`[a, b]`."""
    first, second = _list_of("equals", argument, length=2)
    return bool(first == second)


def negate(argument: Value) -> bool:
    """Logical not."""
    return not _truth("not", argument)


def every(argument: Value) -> bool:
    """Logical and of two or more."""
    return all(_truth("and", item) for item in _list_of("and", argument))


def some(argument: Value) -> bool:
    """Logical or of two or more."""
    return any(_truth("or", item) for item in _list_of("or", argument))


def _truth(name: str, value: Value) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f'Invalid condition "{as_text(value)}" in "{name}"')
    return value


def _list_of(name: str, argument: Value, length: int | None = None) -> list[Value]:
    if not isinstance(argument, list) or (length is not None and len(argument) != length):
        size = f" of {length} items" if length else ""
        raise ValueError(f'Arguments to "{name}" must be a list{size}')
    return argument
