"""Reading labels by their rules, the same way in every driver."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from shared.domain.errors import InvalidInput
from shared.drivers.contract import LabelRule


def checked(rules: Mapping[str, LabelRule], labels: Mapping[str, str], name: str) -> str:
    """Give a label's value, or its default when it is not set or empty; raises InvalidInput when it is out of range."""
    rule = rules[name]
    value = labels.get(name) or rule.default
    reason = _complaint(rule, value)
    if reason:
        raise InvalidInput(f"Label {name} is {value!r}; {reason}.", field=f"labels/{name}")
    return value


def _complaint(rule: LabelRule, value: str) -> str:
    match rule.kind:
        case "choice":
            return "" if value in rule.allowed else f"allowed: {', '.join(rule.allowed)}"
        case "integer":
            fits = value.isascii() and value.isdigit() and rule.minimum <= int(value) <= rule.maximum
            return "" if fits else f"allowed: a number from {rule.minimum} to {rule.maximum}"
        case "cidr":
            try:
                IPv4Network(value)
            except (AddressValueError, NetmaskValueError, ValueError):
                return "allowed: an IPv4 network in CIDR form, such as 10.100.0.0/16"
            return "" if "/" in value else "allowed: an IPv4 network with its prefix length"
