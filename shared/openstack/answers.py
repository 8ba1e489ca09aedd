"""Reading what the cloud answered: a field that is missing or of the wrong kind is a `Rubbish` error, not a crash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from shared.openstack.errors import Rubbish


@dataclass(frozen=True, slots=True)
class Doc:
    """A JSON object that a service sent. Every reader raises `Rubbish` when the API's promise is broken."""

    service: str
    data: Mapping[str, object]

    @classmethod
    def parse(cls, service: str, body: bytes) -> Doc:
        """The object in an answer's body."""
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Rubbish(service, f"{len(body)} bytes that are not JSON") from error
        if not isinstance(data, dict):
            raise Rubbish(service, f"JSON of type {type(data).__name__} where an object was promised")
        return cls(service, data)

    def text(self, key: str) -> str:
        """A string that must be there."""
        value = self.data.get(key)
        if not isinstance(value, str):
            raise self._broken(key, "a string")
        return value

    def maybe(self, key: str) -> str | None:
        """A string that may be absent or null."""
        return None if self.data.get(key) is None else self.text(key)

    def number(self, key: str, default: int | None = None) -> int:
        """An integer; `default` when absent or null. A number written as a string counts (Nova does that)."""
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value.removeprefix("-").isdecimal():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._broken(key, "a number")
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A boolean; `default` when absent."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            raise self._broken(key, "true or false")
        return value

    def doc(self, key: str) -> Doc:
        """An object that must be there."""
        value = self.data.get(key)
        if not isinstance(value, dict):
            raise self._broken(key, "an object")
        return Doc(self.service, cast("dict[str, object]", value))

    def maybe_doc(self, key: str) -> Doc:
        """An object; an empty one when absent or null."""
        return Doc(self.service, {}) if self.data.get(key) is None else self.doc(key)

    def docs(self, key: str) -> list[Doc]:
        """A list of objects that must be there."""
        value = self.data.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._broken(key, "a list of objects")
        return [Doc(self.service, item) for item in value]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty when absent or null."""
        value = self.data.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._broken(key, "a list of strings")
        return tuple(value)

    def strings(self, key: str) -> dict[str, str]:
        """An object whose values are taken as strings; empty when absent or null."""
        return {
            name: value if isinstance(value, str) else _plain(value) for name, value in self.maybe_doc(key).data.items()
        }

    def _broken(self, key: str, promised: str) -> Rubbish:
        return Rubbish(self.service, f"{key!r} is not {promised}")


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()
