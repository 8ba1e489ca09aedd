"""JSON schemas in words, for the API reference."""

from __future__ import annotations

from typing import Any

Shape = dict[str, Any]

_BOUNDS = (("minimum", "≥ {}"), ("ge", "≥ {}"), ("maximum", "≤ {}"), ("le", "≤ {}"), ("exclusiveMinimum", "> {}"))
_LENGTHS = (("minItems", "at least {}"), ("maxItems", "at most {}"), ("maxLength", "at most {} characters"))


def kind(shape: Shape) -> str:
    """What a value may be: its type and its limits."""
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return "[an error](README.md#refusals)" if name in _REFUSALS else f"[{name}](#{name.lower()})"
    limits = [words.format(shape[key]) for key, words in (*_BOUNDS, *_LENGTHS) if key in shape]
    if pattern := shape.get("pattern"):
        # "](" would pass for a link in Markdown's readers that are simpler than they should be.
        shown = "of `/openapi.json`" if "](" in pattern else f"`{pattern.replace('|', chr(92) + '|')}`"
        limits.append(f"pattern {shown}")
    return ", ".join([_type(shape), *limits])


def references(node: object, document: Shape) -> dict[str, Shape]:
    """The named schemas that a part of the document leads to, but for those of refusals; by name."""
    found: dict[str, Shape] = {}
    waiting = [node]
    while waiting:
        match waiting.pop(0):
            case {"$ref": str(place)}:
                name = place.rpartition("/")[2]
                if name not in found and name not in _REFUSALS:
                    found[name] = document["components"]["schemas"][name]
                    waiting.append(found[name])
            case dict() as inner:
                waiting += inner.values()
            case list() as items:
                waiting += items
            case _:
                continue
    return found


_REFUSALS = frozenset({"ErrorBody", "StrangerBody", "UnsupportedVersion"})


def _type(shape: Shape) -> str:
    match shape:
        case {"anyOf": options}:
            return _one_of(options)
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array"}:
            return f"list of {kind(shape.get('items', {}))}"
        case {"type": "object", "additionalProperties": dict() as inner}:
            return f"object, values: {kind(inner)}"
        case {"format": str(form)}:
            return form
        case {"type": str(name)}:
            return name
        case _:
            return "anything"


def _one_of(options: list[Shape]) -> str:
    """Numbers and truth values may come as text too, as Magnum takes them; that is not repeated at each."""
    types = [option.get("type") for option in options]
    if sorted(filter(None, {*types} - {"null"})) in (["integer", "string"], ["boolean", "string"]):
        options = [option for option in options if option.get("type") != "string"]
    words = [kind(option) for option in options if option.get("type") != "null"]
    return " or ".join([*words, *(["null"] if "null" in types else [])])
