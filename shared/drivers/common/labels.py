"""Reading labels by their rules, the same way in every driver."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Final

from shared.domain.errors import InvalidInput
from shared.domain.labels import LabelRule
from shared.drivers.common.known_labels import MAGNUM_LABELS
from shared.drivers.contract import Driver

MOST_WARNINGS: Final = 20
"""A warning travels in a header, and guessing costs time; of what is more only the number is told."""
_ALIKE: Final = 0.75
_TRUE: Final = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE: Final = frozenset({"false", "0", "no", "off", "f", "n"})
_LONGEST_SHOWN: Final = 64
_MOST_DIGITS: Final = 18
"""Python refuses to read numbers of thousands of digits with an error of another kind."""


def judge_labels(driver: Driver, labels: Mapping[str, str]) -> list[str]:
    """What the user should know about labels that take no effect: sentences, without line breaks or quotation marks.

    Raises:
        InvalidInput: a label that takes effect has a value that the driver cannot use; the field is `labels/<name>`.
    """
    for name in driver.label_rules:
        checked(driver.label_rules, labels, name)
    idle = sorted(labels.keys() - driver.label_rules.keys())
    warnings = [_warning(driver, name) for name in idle[:MOST_WARNINGS]]
    if len(idle) > MOST_WARNINGS:
        warnings.append(f"{len(idle) - MOST_WARNINGS} more labels have no effect with driver {driver.name}.")
    return warnings


def _warning(driver: Driver, name: str) -> str:
    shown = _shown(name)
    if name in MAGNUM_LABELS:
        return f"Label '{shown}' has no effect with driver {driver.name}."
    alike = difflib.get_close_matches(name[:_LONGEST_SHOWN], driver.label_rules, n=1, cutoff=_ALIKE)
    meant = f"; did you mean {alike[0]}?" if alike else "; it has no effect."
    return f"Label '{shown}' is not known to driver {driver.name}{meant}"


def _shown(name: str) -> str:
    """A label's name as a header can carry it: what might end a quotation or a line is replaced."""
    short = name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..."
    return "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "?" for letter in short
    )


def checked(rules: Mapping[str, LabelRule], labels: Mapping[str, str], name: str) -> str:
    """Give a label's value, or its default when it is not set or empty; raises InvalidInput when it is out of range."""
    rule = rules[name]
    value = labels.get(name) or rule.default
    reason = _complaint(rule, value)
    if reason:
        shown = value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."
        raise InvalidInput(f"Label {name} is {shown!r}; {reason}.", field=f"labels/{name}")
    return value


def truth(rules: Mapping[str, LabelRule], labels: Mapping[str, str], name: str) -> bool | None:
    """A boolean label's value; None when it is not set and has no default."""
    value = checked(rules, labels, name).lower()
    return None if not value else value in _TRUE


def _complaint(rule: LabelRule, value: str) -> str:
    if not value:
        return ""
    if "@@" in value:
        return "it must not contain '@@', which Heat fills in"
    match rule.kind:
        case "choice":
            return "" if value in rule.allowed else f"allowed: {', '.join(rule.allowed)}"
        case "boolean":
            return "" if value.lower() in _TRUE | _FALSE else "allowed: true or false"
        case "integer":
            number = int(value) if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else -1
            fits = number >= 0 and rule.minimum <= number <= rule.maximum
            return "" if fits else f"allowed: a number from {rule.minimum} to {rule.maximum}"
        case "cidr":
            return _network_complaint(value)
        case "cidrs":
            return next(filter(None, (_network_complaint(one.strip()) for one in value.split(","))), "")
        case "text":
            return "" if re.fullmatch(rule.pattern, value) else f"it must match {rule.pattern}"
        case "json":
            return _object_complaint(value)


def _network_complaint(value: str) -> str:
    try:
        IPv4Network(value)
    except (AddressValueError, NetmaskValueError, ValueError):
        return "allowed: an IPv4 network in CIDR form, such as 10.100.0.0/16"
    return "" if "/" in value else "allowed: an IPv4 network with its prefix length"


def _object_complaint(value: str) -> str:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return "Json format error: allowed is a JSON object of texts"
    fits = isinstance(found, dict) and all(isinstance(one, str) for one in found.values())
    return "" if fits else "allowed: a JSON object of texts"
