"""Reading a HOT template as far as it can be read before anything exists: parameters, conditions, texts.

What depends on a resource that does not exist yet is `Unknown`, with a bound on its length, so that sizes can still be
told from above. Nothing here judges a template: Heat does, and the tests of every driver do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast

import yaml

Node = Mapping[str, object]

WORD: Final = 255
"""Longest id, name or address; Heat's and Nova's names end there."""
ADDRESS: Final = 45
"""Longest IP address as text: IPv6 with IPv4 at its end."""
COMMAND: Final = 2048
"""Longest signal command of a wait handle: a URL with the stack's long name, and a token of up to 1,500 bytes."""
LIST: Final = 16_384
"""Longest list, or other long value, that is made of what does not exist yet."""
_SIGNALS: Final = frozenset({"curl_cli", "endpoint", "token"})
_WORDS: Final = ("address", "id", "name", "port", "mtu", "cidr")
"""Attributes whose names end so are one word; any other may be long."""
_RANDOM: Final = 512
"""Longest OS::Heat::RandomString."""
_TRUE: Final = frozenset({"t", "true", "on", "y", "yes", "1"})


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that Heat knows only once something exists; as text it has at most `bound` bytes."""

    bound: int = WORD


@lru_cache(maxsize=64)
def parse(text: str) -> Node:
    """A template as a map. The same text is read once: a driver's templates are the same for all of its bays.

    Raises:
        ValueError: it is no template.
    """
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is a safe one
    except yaml.YAMLError as error:
        raise ValueError(f"A template is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("A template is no map.")  # noqa: TRY004 - its text is wrong, not a type of ours
    return document


def section(document: Node, name: str) -> Mapping[str, Node]:
    """A section of a template or of a part of it; empty when it is not there."""
    return cast("Mapping[str, Node]", document.get(name) or {})


def hidden_parameters(template: str) -> frozenset[str]:
    """Names of the parameters that Heat shows to nobody."""
    return frozenset(name for name, one in section(parse(template), "parameters").items() if one.get("hidden") is True)


@dataclass(frozen=True)
class Scope:
    """One template with values for its parameters: what the functions in it give."""

    document: Node
    given: Mapping[str, object]
    """By parameter; parts may be Unknown. Parameters that are left out have their default."""
    files: Mapping[str, str] = field(default_factory=dict)

    def resources(self) -> tuple[dict[str, Node], int]:
        """The resources that there will be, by name, and how many conditions leave out.

        One whose condition cannot be told yet is counted in.
        """
        declared = section(self.document, "resources")
        kept = {name: one for name, one in declared.items() if self.holds(one.get("condition", True)) is not False}
        return kept, len(declared) - len(kept)

    def parameter(self, name: str) -> object:
        """A parameter's value in its type; Unknown when it has neither value nor default."""
        schema = section(self.document, "parameters").get(name, {})
        value = self.given.get(name)
        value = schema.get("default") if value is None else value
        return Unknown() if value is None else _cast(value, str(schema.get("type", "string")))

    def holds(self, condition: object) -> bool | None:
        """Whether a condition, named or written out, is true; None when that cannot be told yet."""
        if isinstance(condition, bool):
            return condition
        if isinstance(condition, str):
            return self.holds(section(self.document, "conditions").get(condition))
        if not isinstance(condition, Mapping):
            return None
        (function, argument), *_ = condition.items()
        match function, argument:
            case "not", _:
                found = self.holds(argument)
                return None if found is None else not found
            case "equals", [left, right]:
                values = self.value(left), self.value(right)
                return None if any(map(_vague, values)) else values[0] == values[1]
            case "and", [*parts]:
                return _all([self.holds(part) for part in parts])
            case "or", [*parts]:
                none = _all([_opposite(self.holds(part)) for part in parts])
                return _opposite(none)
            case _:
                value = self.value(condition)
                return value if isinstance(value, bool) else None

    def value(self, node: object) -> object:
        """What a part of the template comes to."""
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, Mapping):
            return node
        if len(node) == 1:
            (function, argument), *_ = node.items()
            if function in _FUNCTIONS:
                return _FUNCTIONS[function](self, argument)
            if function in _VAGUE:
                return Unknown(LIST)
        return {key: self.value(item) for key, item in node.items()}


def bound(value: object) -> int:
    """How many bytes a value has at most as text."""
    if isinstance(value, Unknown):
        return value.bound
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping):
        return 2 + sum(bound(key) + bound(item) + 6 for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(bound(item) + 4 for item in value)
    return len(str(value))


def _vague(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_vague, value.values()))
    return any(map(_vague, value)) if isinstance(value, list) else isinstance(value, Unknown)


def _all(parts: list[bool | None]) -> bool | None:
    if False in parts:
        return False
    return None if None in parts else True


def _opposite(found: bool | None) -> bool | None:
    return None if found is None else not found


def _cast(value: object, kind: str) -> object:
    """A parameter's value in the parameter's type, as Heat reads it."""
    if isinstance(value, Unknown):
        return value
    match kind:
        case "number" if isinstance(value, str):
            return float(value) if "." in value else int(value)
        case "boolean" if isinstance(value, str):
            return value.strip().lower() in _TRUE
        case "comma_delimited_list" if isinstance(value, str):
            return [item.strip() for item in value.split(",")] if value else []
        case "json" if isinstance(value, str):
            return json.loads(value)
        case "string" if not isinstance(value, str):
            return json.dumps(value) if isinstance(value, Mapping | list) and not _vague(value) else _text(value)
        case _:
            return value


def _text(value: object) -> object:
    if _vague(value):
        return Unknown(bound(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _get_param(scope: Scope, argument: object) -> object:
    name, *path = argument if isinstance(argument, list) else [argument]
    value = scope.parameter(str(name))
    for step in map(scope.value, path):
        match value:
            case Mapping() if str(step) in value:
                value = value[str(step)]
            case list() if str(step).isdigit() and int(str(step)) < len(value):
                value = value[int(str(step))]
            case _:
                return Unknown()
    return value


def _get_attr(scope: Scope, argument: object) -> object:
    resource, *path = argument if isinstance(argument, list) else [argument]
    declared = section(scope.document, "resources").get(str(resource), {})
    if declared.get("type") == "OS::Heat::RandomString":
        length = scope.value(section(declared, "properties").get("length", 32))
        return Unknown(length if isinstance(length, int) else _RANDOM)
    if declared.get("type") == "OS::Heat::ResourceGroup":
        return _of_members(scope, declared, path)
    attribute = next((step for step in reversed(path) if isinstance(step, str)), "")
    if attribute in _SIGNALS:
        return Unknown(COMMAND)
    return Unknown(_word(attribute) if attribute.endswith(_WORDS) else LIST)


def _word(attribute: str) -> int:
    return ADDRESS if attribute.endswith("address") else WORD


def _of_members(scope: Scope, group: Node, path: list[object]) -> object:
    """A group's attribute: one value per member, for an attribute that is a word."""
    count = scope.value(section(group, "properties").get("count", 1))
    match path:
        case [str(attribute)] if isinstance(count, int) and attribute.endswith(_WORDS):
            return [Unknown(_word(attribute))] * count
        case _:
            return Unknown(LIST)


def _get_resource(scope: Scope, argument: object) -> object:
    return Unknown()


def _get_file(scope: Scope, argument: object) -> object:
    name = scope.value(argument)
    if not isinstance(name, str) or name not in scope.files:
        raise ValueError(f"A template reads the file {name}, which the stack does not have.")
    return scope.files[name]


def _if(scope: Scope, argument: object) -> object:
    condition, then, otherwise = cast("list[object]", argument)
    found = scope.holds(condition)
    if found is None:
        either = scope.value(then), scope.value(otherwise)
        return Unknown(max(map(bound, either)))
    return scope.value(then if found else otherwise)


def _list_join(scope: Scope, argument: object) -> object:
    delimiter, *lists = cast("list[object]", argument)
    parts: list[object] = []
    for one in map(scope.value, lists):
        parts += one if isinstance(one, list) else [one]
    if any(map(_vague, parts)):
        return Unknown(sum(bound(part) + bound(delimiter) for part in parts))
    return str(delimiter).join(str(_text(part)) for part in parts)


def _str_split(scope: Scope, argument: object) -> object:
    delimiter, text, *index = cast("list[object]", argument)
    value = scope.value(text)
    if isinstance(value, str):
        parts = value.split(str(delimiter))
        return parts[int(str(index[0]))] if index else parts
    return Unknown(min(WORD if index else LIST, bound(value)))


def _str_replace(scope: Scope, argument: object) -> object:
    given = cast("Node", argument)
    text, params = scope.value(given["template"]), cast("Node", scope.value(given["params"]))
    if not isinstance(text, str):
        return Unknown(bound(text) + sum(map(bound, params.values())))
    if _vague(dict(params)):
        longer = (text.count(key) * max(0, bound(value) - bound(key)) for key, value in params.items())
        return Unknown(bound(text) + sum(longer))
    for key, value in sorted(params.items(), key=lambda item: -len(item[0])):
        text = text.replace(key, str(_text(value)))
    return text


_FUNCTIONS: Final = {
    "get_param": _get_param,
    "get_attr": _get_attr,
    "get_resource": _get_resource,
    "get_file": _get_file,
    "if": _if,
    "list_join": _list_join,
    "str_replace": _str_replace,
    "str_split": _str_split,
}
_VAGUE: Final = frozenset(
    {"str_replace_strict", "str_replace_vstrict", "repeat", "map_merge", "map_replace", "digest", "filter"}
    | {"list_concat", "list_concat_unique", "yaql", "contains", "make_url", "resource_facade"}
)
"""Functions that are not evaluated here; where a count or a size depends on one, `footprint` says so."""
