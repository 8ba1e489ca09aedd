"""What differs between two clouds that answer the same, written as placeholders: `<id:1>`, `<time>`, `<address:2>`.

A placeholder with a number or a name stands for one value wherever it comes up in a conversation; one without stands
for any value of its kind. `Replacer` puts them into what a cloud said, `pattern` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

PLACEHOLDER: Final = re.compile(r"<(\w+)(?::([^<>]+))?>")

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KINDS: Final[Mapping[str, str]] = {
    "id": rf"(?:{_UUID}|[0-9a-f]{{32}})",
    "request": rf"(?:req-)?{_UUID}",
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d",
    "micros": r"\d{6}",
    "mac": r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    "fingerprint": r"(?:[0-9a-f]{2}:){15}[0-9a-f]{2}",
    "address": r"\d+\.\d+\.\d+\.\d+",
    "short": r"[a-z0-9]{12}",
    "word": r"\S+",
}
"""What each kind looks like; any other (`text`, `secret`, `token` …) is any text that is not empty."""

_FOUND: Final = re.compile(
    r"(?P<time>\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?P<micros>\.\d{6})?"
    r"|(?P<stamp>\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"
    rf"|(?P<request>\breq-{_UUID})"
    rf"|(?P<id>(?<![0-9a-f-])(?:{_UUID}|[0-9a-f]{{32}})(?![0-9a-f]))"
    r"|(?P<fingerprint>\b(?:[0-9a-f]{2}:){15}[0-9a-f]{2}\b)"
    r"|(?P<mac>\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b)"
    r"|(?P<token>gAAAA[\w-]{60,}=*)"
)
_BY_KEY: Final[Mapping[str, str]] = {
    "secret": "secret",
    "value": "secret",
    "private_address": "address",
    "adminPass": "secret",
    "hostId": "text",
    "checksum": "text",
    "os_hash_value": "text",
    "OS-EXT-SRV-ATTR:host": "text",
    "OS-EXT-SRV-ATTR:hypervisor_hostname": "text",
    "OS-EXT-SRV-ATTR:instance_name": "text",
    "OS-EXT-SRV-ATTR:reservation_id": "text",
    "binding:host_id": "text",
    "os-vol-host-attr:host": "text",
    "audit_ids": "audit",
    "ip_address": "address",
    "addr": "address",
    "floating_ip_address": "address",
    "fixed_ip_address": "address",
    "vip_address": "address",
    "updated": "text",
}
"""Fields whose whole text is one volatile value."""
NUMBER: Final = "<number>"
"""Stands for any whole number."""
_NUMBERS: Final = frozenset({"id", "revision_number", "standard_attr_id"})
_NUMBERED: Final = frozenset({"id", "address", "audit", "token", "secret", "short"})
_MADE_UP: Final = re.compile(r"[0-]*(?:4000-8000-)?[0-]*|f+")
_HEAT_NAME: Final = re.compile(r"(?<=-)(?P<short>(?=[0-9]*[a-z])(?=[a-z]*[0-9])[a-z0-9]{12})(?![a-z0-9])")


@dataclass(slots=True)
class Replacer:
    """Replaces volatile values of one conversation. `known`: values of the cloud, by the placeholder for each."""

    known: Mapping[str, str]
    _given: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def learn(self, value: str, kind: str) -> None:
        """From here on this value is written as a placeholder of this kind."""
        if len(value) > 3:
            self._named(value, kind)

    def json(self, value: object, key: str = "") -> object:
        """A JSON value with placeholders in it, keys of objects included."""
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.json(item, str(name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.json(item, key) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and key in _NUMBERS:
            return NUMBER
        return self._field(value, key) if isinstance(value, str) else value

    def told(self, value: object) -> object:
        """A JSON value of ours with placeholders for what the cloud has told; the rest is ours and stays."""
        if isinstance(value, Mapping):
            return {str(self.told(name)): self.told(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.told(item) for item in value]
        return self._filled(value) if isinstance(value, str) else value

    def text(self, value: str) -> str:
        """A text with placeholders in it."""
        value = self._filled(value)
        return _outside(_HEAT_NAME, self._match, _outside(_FOUND, self._match, value))

    def _filled(self, value: str) -> str:
        for one in sorted((*self.known, *self._given), key=len, reverse=True):
            value = value.replace(one, self.known.get(one) or self._given[one])
        return value

    def _field(self, value: str, key: str) -> str:
        kind = _BY_KEY.get(key, "")
        shown = self.text(value)
        if not kind or not value or PLACEHOLDER.fullmatch(shown) or (key == "ip_address" and "/" in value):
            return shown
        return self._named(value, kind) if kind in _NUMBERED else f"<{kind}>"

    def _match(self, found: re.Match[str]) -> str:
        kind, value = str(found.lastgroup), found[0]
        if found.re is _FOUND and found["time"]:
            return "<time>" + (".<micros>" if found["micros"] else "")
        if kind == "stamp":
            return "<time>"
        if kind == "id" and _MADE_UP.fullmatch(value):
            return value
        return self._named(value, kind) if kind in _NUMBERED else f"<{kind}>"

    def _named(self, value: str, kind: str) -> str:
        if value not in self._given:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._given[value] = f"<{kind}:{self._counts[kind]}>"
        return self._given[value]


def pattern(recorded: str, bound: Mapping[str, str]) -> tuple[re.Pattern[str], list[str]]:
    """What a text may be by a recorded one, and the placeholders that its groups bind."""
    parts, names, at = list[str](), list[str](), 0
    for found in PLACEHOLDER.finditer(recorded):
        parts.append(re.escape(recorded[at : found.start()]))
        at = found.end()
        if found[0] in bound:
            parts.append(re.escape(bound[found[0]]))
        elif found[0] in names:
            parts.append(rf"(?P=g{names.index(found[0])})")
        elif found[2]:
            parts.append(f"(?P<g{len(names)}>{_KINDS.get(found[1], '.+')})")
            names.append(found[0])
        else:
            parts.append(_KINDS.get(found[1], ".+"))
    return re.compile("".join(parts) + re.escape(recorded[at:]), re.DOTALL), names


def filled(recorded: object, bound: Mapping[str, str]) -> object:
    """A recorded request with its placeholders replaced. Raises KeyError for one that nothing was bound to."""
    if isinstance(recorded, Mapping):
        return {str(filled(name, bound)): filled(item, bound) for name, item in recorded.items()}
    if isinstance(recorded, list):
        return [filled(item, bound) for item in recorded]
    return PLACEHOLDER.sub(lambda found: bound[found[0]], recorded) if isinstance(recorded, str) else recorded


def _outside(what: re.Pattern[str], replace: Callable[[re.Match[str]], str], value: str) -> str:
    """Substitute only in what is not a placeholder already."""
    parts, at = list[str](), 0
    for found in PLACEHOLDER.finditer(value):
        parts += [what.sub(replace, value[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*parts, what.sub(replace, value[at:])])
