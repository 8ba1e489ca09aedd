"""What each resource type accepts: `types.txt` as objects, and the checks that need nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cloudsim.heat.errors import StackValidationFailed
from cloudsim.heat.parameters import ParameterSchema


class Property(NamedTuple):
    """One property of a type.

    `renamed`: this is an old name for that property; `lookup`: it names an existing thing.
    """

    kind: str
    required: bool = False
    in_place: bool = False
    renamed: str = ""
    keys: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    lookup: str = ""


class TypeSchema(NamedTuple):
    """A resource type. Seconds are simulated; `attributes` holds "*" when any name may be asked for."""

    name: str
    properties: dict[str, Property]
    attributes: frozenset[str]
    create_seconds: float = 0.0
    delete_seconds: float = 0.0

    def canonical(self, values: dict[str, Any]) -> dict[str, Any]:
        """`values` under the present names of their properties."""
        if not any(self.properties[name].renamed for name in values):
            return values
        return {self.properties[name].renamed or name: value for name, value in values.items()}

    def check_names(self, given: Iterable[str], place: str) -> None:
        """Raise StackValidationFailed for a property that the type lacks, or lacks in `given`."""
        present = set()
        for name in given:
            found = self.properties.get(name)
            if found is None:
                raise StackValidationFailed(f"Property error: : {place}: : Unknown Property {name}")
            present.add(found.renamed or name)
        for name, wanted in self.properties.items():
            if wanted.required and name not in present:
                raise StackValidationFailed(f"Property error: : {place}: : Property {name} not assigned")

    def check_value(self, name: str, value: Any, place: str) -> Any:
        """The value in the property's kind. Raises StackValidationFailed; null stands for "not given"."""
        rule = self.properties[name]
        if value is None:
            return None
        try:
            result = _KINDS[rule.kind](value)
            if rule.allowed:
                _check_allowed(rule.allowed, result)
            if rule.keys:
                _check_keys(rule.keys, result)
        except (ValueError, TypeError) as error:
            raise StackValidationFailed(f"Property error: : {place}.{name}: : {error}") from None
        return result


def of_parameters(name: str, parameters: Mapping[str, ParameterSchema]) -> TypeSchema:
    """The schema of a nested template: its parameters are its properties; its outputs can be any attribute."""
    kinds = {"comma_delimited_list": "list", "json": "map_or_list"}
    properties = {
        key: Property(kinds.get(schema.type, schema.type), required=not schema.has_default, in_place=True)
        for key, schema in parameters.items()
    }
    return TypeSchema(name, properties, frozenset({"*"}))


def _check_allowed(allowed: frozenset[str], value: Any) -> None:
    if str(value) not in allowed:
        raise ValueError(f'"{value}" is not an allowed value [{", ".join(sorted(allowed))}]')


def _check_keys(keys: frozenset[str], value: Any) -> None:
    for item in value if isinstance(value, list) else [value]:
        if item is None:
            continue
        if not isinstance(item, Mapping):
            raise TypeError(f'"{item}" is not a map')
        if unknown := sorted(set(item) - keys):
            raise ValueError(f"Unknown Property {unknown[0]}")


def _string(value: Any) -> str:
    if isinstance(value, (Mapping, list)):
        raise TypeError("Value must be a string; got a map or list")
    return value if isinstance(value, str) else str(value)


def _number(value: Any) -> int | float:
    if isinstance(value, (Mapping, list)):
        raise TypeError("Value must be a number")
    if isinstance(value, (int, float)):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, (Mapping, list)):
        raise TypeError("Value must be an integer")
    if isinstance(value, float) and not value.is_integer():
        raise TypeError(f"Value '{value}' is not an integer")
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"Value '{value}' is not an integer") from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in {"true", "false"}:
        raise ValueError(f'"{value}" is not a valid boolean')
    return text == "true"


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value else []
    if not isinstance(value, (list, tuple)):
        raise TypeError(f'"{value}" is not a list')
    return value if isinstance(value, list) else list(value)


def _map(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f'"{value}" is not a map')
    return value


def _any(value: Any) -> Any:
    return value


_KINDS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "list": _list,
    "map": _map,
    "map_or_list": _any,
    "any": _any,
}


def _read(text: str) -> dict[str, TypeSchema]:
    types: dict[str, TypeSchema] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if line.startswith("type "):
            times = dict(word.split("=") for word in words[2:])
            current = TypeSchema(
                words[1], {}, frozenset(), float(times.get("create", 0)), float(times.get("delete", 0))
            )
            types[words[1]] = current
        elif words[0] == "@":
            types[current.name] = current = current._replace(attributes=frozenset(words[1:]))
        else:
            current.properties[words[0]] = _property(words[1], words[2:])
    return types


def _property(kind: str, flags: list[str]) -> Property:
    found: dict[str, Any] = {}
    for flag in flags:
        sign, rest = flag[0], flag[1:]
        if sign in "!~":
            found["required" if sign == "!" else "in_place"] = True
        elif sign == "{":
            found["keys"] = frozenset(rest.rstrip("}").split(","))
        elif sign == "=":
            found["allowed"] = frozenset(rest.split("|"))
        else:
            found["renamed" if sign == ">" else "lookup"] = rest
    return Property(kind, **found)


TYPES: dict[str, TypeSchema] = _read(Path(__file__).with_name("types.txt").read_text(encoding="utf-8"))
