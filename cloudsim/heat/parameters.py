"""Parameters of a template: types, defaults, constraints, and how they are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from cloudsim.heat.errors import StackValidationFailed

_KEYS = frozenset({"type", "label", "description", "default", "hidden", "constraints", "immutable", "tags"})
_TRUE = frozenset({"t", "true", "on", "y", "yes", "1"})
_FALSE = frozenset({"f", "false", "off", "n", "no", "0"})


class ParameterSchema:
    """One parameter. `default` is of the parameter's type already; `has_default` tells a default of null from none."""

    __slots__ = ("constraints", "default", "description", "has_default", "hidden", "immutable", "label", "name", "type")

    def __init__(self, name: str, raw: Any) -> None:
        place = f"parameters.{name}"
        if not isinstance(raw, Mapping):
            raise StackValidationFailed(f"{place}: must be a map")
        if unknown := sorted(set(raw) - _KEYS):
            raise StackValidationFailed(f"{place}: Invalid key '{unknown[0]}' for parameter ({name})")
        self.name: str = name
        self.type = str(raw.get("type") or "")
        if self.type not in _CASTS:
            raise StackValidationFailed(
                f"{place}: Invalid type ({self.type})"
                if self.type
                else f"{place}: Missing parameter type for parameter: {name}"
            )
        self.label, self.description = raw.get("label", name), raw.get("description", "")
        self.hidden, self.immutable = raw.get("hidden") in (True, "true"), raw.get("immutable") in (True, "true")
        self.constraints: list[Any] = list(raw.get("constraints") or ())
        for constraint in self.constraints:
            if not isinstance(constraint, Mapping) or not set(constraint) & set(_CHECKS):
                raise StackValidationFailed(f"{place}: Invalid constraint {constraint!r}")
        self.has_default = "default" in raw
        self.default: Any = self.cast(raw["default"]) if self.has_default and raw["default"] is not None else None

    def cast(self, value: Any) -> Any:
        """The value in the parameter's type, its constraints checked.

        Raises StackValidationFailed; hidden values are not told.
        """
        try:
            result = _CASTS[self.type](value)
            self._check(result)
        except (ValueError, TypeError) as error:
            why = "the value is not allowed" if self.hidden else str(error)
            raise StackValidationFailed(f"Parameter '{self.name}' is invalid: {why}") from None
        return result

    def _check(self, value: Any) -> None:
        """Raise ValueError for the first constraint that the value breaks."""
        for constraint in self.constraints:
            for kind, rule in constraint.items():
                check = _CHECKS.get(kind)
                if check is not None and (problem := check(value, rule)):
                    raise ValueError(constraint.get("description") or problem)

    def shown(self, value: Any) -> str:
        """The value as `GET stack` writes it: text always, asterisks when hidden."""
        if self.hidden:
            return "******"
        if self.type == "json":
            return json.dumps(value)
        if self.type == "comma_delimited_list":
            return ",".join(str(item) for item in value or ())
        return "" if value is None else str(value)

    def document(self) -> dict[str, Any]:
        """What `POST /validate` says about it."""
        names = {
            "string": "String",
            "number": "Number",
            "json": "Json",
            "comma_delimited_list": "CommaDelimitedList",
            "boolean": "Boolean",
        }
        body: dict[str, Any] = {"Type": names[self.type], "Label": self.label, "Description": self.description}
        body["NoEcho"] = "true" if self.hidden else "false"
        return body | ({"Default": self.default} if self.has_default else {})


def _string(value: Any) -> str:
    if isinstance(value, (Mapping, list)):
        raise TypeError("Value must be a string")
    return value if isinstance(value, str) else str(value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("Value must be a number")
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(f"Unrecognized value '{value}', acceptable values are: {', '.join(sorted(_TRUE | _FALSE))}")
    return text in _TRUE


def _json(value: Any) -> Any:
    if isinstance(value, (Mapping, list)):
        return value
    if isinstance(value, str):
        try:
            return json.loads(value or "{}")
        except ValueError as error:
            raise ValueError(f"Value must be valid JSON: {error}") from error
    raise ValueError("Value must be valid JSON")


def _comma_delimited_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        raise TypeError("Value must be a comma-delimited list string")
    return [part.strip() for part in value.split(",")] if value.strip() else []


_CASTS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
    "comma_delimited_list": _comma_delimited_list,
}


def _outside(rule: Mapping[str, Any], size: float) -> bool:
    return size < float(rule.get("min", size)) or size > float(rule.get("max", size))


def _length(value: Any, rule: Any) -> str:
    return f"length ({len(value)}) is out of range {_bounds(rule)}" if _outside(rule, len(value)) else ""


def _range(value: Any, rule: Any) -> str:
    return f"{value} is out of range {_bounds(rule)}" if _outside(rule, float(value)) else ""


def _bounds(rule: Mapping[str, Any]) -> str:
    return f"(min: {rule.get('min', 'None')}, max: {rule.get('max', 'None')})"


def _allowed_values(value: Any, rule: Any) -> str:
    values = value if isinstance(value, list) else [value]
    allowed = {str(item) for item in rule}
    wrong = [item for item in values if str(item) not in allowed]
    return f'"{wrong[0]}" is not an allowed value [{", ".join(str(item) for item in rule)}]' if wrong else ""


def _allowed_pattern(value: Any, rule: Any) -> str:
    return "" if re.fullmatch(rule, str(value)) else f'"{value}" does not match pattern "{rule}"'


def _modulo(value: Any, rule: Any) -> str:
    return "" if value % rule["step"] == rule["offset"] else f"{value} is not {rule['offset']} modulo {rule['step']}"


def _accepted(_value: Any, _rule: Any) -> str:
    return ""


_CHECKS: dict[str, Callable[[Any, Any], str]] = {
    "length": _length,
    "range": _range,
    "allowed_values": _allowed_values,
    "allowed_pattern": _allowed_pattern,
    "modulo": _modulo,
    "custom_constraint": _accepted,
}
