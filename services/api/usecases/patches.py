"""JSON patch as Magnum understands it (contract §1.10.6): add, replace, remove on the root, and keys of labels.

`read_patch` checks the list; `apply_patch` gives the attributes that would be, changing nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

import orjson
from pydantic import Field

from shared.contracts.http.base import WireBody, bad
from shared.domain.errors import InvalidInput

_PATH: Final = r"^/[\w-]+(/.{1,255})?$"
_MOST: Final = 100
_PAIR: Final = re.compile(r"[^=\s{}'\"]+=.*")


class PatchItem(WireBody):
    """One change."""

    argument: ClassVar[str] = "patch"

    op: Literal["replace", "add", "remove"]
    path: Annotated[str, Field(max_length=300, pattern=_PATH)]
    value: Any = None
    """Any JSON; what it may be, the attribute decides."""

    @property
    def root(self) -> str:
        """The attribute's name."""
        return self.path.split("/")[1]

    @property
    def key(self) -> str | None:
        """The key inside the attribute, for `/labels/KEY`."""
        parts = self.path.split("/", 2)
        return parts[2].replace("~1", "/").replace("~0", "~") if len(parts) > 2 else None


@dataclass(frozen=True)
class Rules:
    """What a resource lets a patch touch."""

    internal: frozenset[str]
    mandatory: frozenset[str]


def read_patch(data: object) -> list[PatchItem]:
    """The patch in decoded JSON.

    Raises:
        InvalidInput: with Magnum's sentence.
    """
    if not isinstance(data, list):
        raise bad("patch", data, f"Value not a valid list: {str(data)[:255]}")
    if len(data) > _MOST:
        raise bad("patch", f"{len(data)} items", f"Value should have at most {_MOST} items.")
    items = [PatchItem.read(item) for item in data]
    for item in items:
        if item.op != "remove" and item.value is None:
            raise InvalidInput("'add' and 'replace' operations needs value", field=item.root)
    return items


def apply_patch(attributes: Mapping[str, object], patch: Sequence[PatchItem], rules: Rules) -> dict[str, object]:
    """What the attributes would be; a removed one is absent.

    Raises:
        InvalidInput: an item cannot be applied.
    """
    result = dict(attributes)
    for item in patch:
        _check(item, result, rules)
        if item.key is None:
            _change(result, item.root, item)
        else:
            result[item.root] = _change_label(result, item)
    return result


def literal(value: object, *, lists: bool = False) -> object:
    """A map (or list) that arrived as text, JSON or a Python literal, as some clients send labels; else the value.

    A literal can spell what no JSON body can hold (bytes, lone surrogates, U+0000); such a text is no map.
    """
    if not isinstance(value, str):
        return value
    for parse in (orjson.loads, ast.literal_eval):
        try:
            found = parse(value)
            if isinstance(found, (dict | list) if lists else dict) and b"\\u0000" not in orjson.dumps(found):
                return found
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
    return value


def labels_of(value: object) -> object:
    """Labels that arrived as text: a map as in `literal`, or `a=1,b=2` of the oldest clients; else the value itself."""
    found = literal(value)
    if not isinstance(found, str) or not all(map(_PAIR.fullmatch, found.split(","))):
        return found
    return dict(pair.split("=", 1) for pair in found.split(","))


def _check(item: PatchItem, attributes: Mapping[str, object], rules: Rules) -> None:
    root = f"/{item.root}"
    if item.root in rules.internal:
        raise InvalidInput(f"'{root}' is an internal attribute and can not be updated", field=item.root)
    if item.op == "remove" and item.key is None and item.root in rules.mandatory:
        raise InvalidInput(f"'{root}' is a mandatory attribute and can not be removed", field=item.root)
    if item.root not in attributes:
        if item.op == "add":
            raise InvalidInput(
                f"Adding a new attribute {root} to the root of the resource is not allowed.", field=item.root
            )
        raise _cannot(item, f"can't {item.op} a non-existent object '{item.root}'")
    if item.key is not None and item.root != "labels":
        raise _cannot(item, f"'{root}' has no members")
    if item.op == "add" and item.key is None and attributes[item.root] is not None:
        raise InvalidInput(
            f"The attribute {root} has existed, please use 'replace' operation instead.", field=item.root
        )


def _change(attributes: dict[str, object], name: str, item: PatchItem) -> None:
    if item.op == "remove":
        attributes[name] = None
    else:
        attributes[name] = labels_of(item.value) if name == "labels" else item.value


def _change_label(attributes: Mapping[str, object], item: PatchItem) -> dict[str, object]:
    found = literal(attributes[item.root]) or {}
    if not isinstance(found, dict):
        raise bad("labels", found, f"Value not a valid dict: {str(found)[:255]}")
    key = item.key or ""
    if item.op != "add" and key not in found:
        raise _cannot(item, f"can't {item.op} a non-existent object '{key}'")
    if item.op == "remove":
        return {name: value for name, value in found.items() if name != key}
    return {**found, key: item.value}


def _cannot(item: PatchItem, reason: str) -> InvalidInput:
    shown = re.sub(r"\s+", " ", str([item.model_dump(exclude_none=True)]))[:255]
    return InvalidInput(f"Couldn't apply patch '{shown}'. Reason: {reason}", field=item.root)
