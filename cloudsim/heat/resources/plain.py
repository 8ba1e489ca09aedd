"""OS::Heat types that hold a value: Value, RandomString, None, and the three that make user-data."""

from __future__ import annotations

import json
import random
import string
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml
from typing_extensions import override

from cloudsim.heat.errors import ResourceFailure, StackValidationFailed
from cloudsim.heat.resources.base import Kind, Props, Waiting, physical_name
from cloudsim.heat.stack import Resource
from cloudsim.heat.textual import as_text

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine


class Nothing(Kind):
    """OS::Heat::None: takes any property, has any attribute, is nothing."""

    @override
    def prepare(self, stack: Any, definition: Any) -> dict[str, Any]:
        """Any property will do."""
        return {}

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Only a name."""
        resource.physical_id = physical_name(resource)
        return None


class Value(Kind):
    """OS::Heat::Value: its value, in the type that is asked for."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Keep the value."""
        resource.physical_id = physical_name(resource)
        resource.data = _typed(props.get("value"), props.get("type"))
        return None

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Keep the new value."""
        resource.data = _typed(props.get("value"), props.get("type"))
        return None

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """`value`."""
        return resource.data if name == "value" else None


def _typed(value: Any, wanted: Any) -> Any:
    try:
        if wanted == "string":
            return as_text(value)
        if wanted == "number" and isinstance(value, str):
            return float(value) if "." in value else int(value)
        if wanted == "boolean" and isinstance(value, str):
            return value.lower() in {"true", "1", "yes", "on", "t", "y"}
        if wanted == "comma_delimited_list" and isinstance(value, str):
            return [part.strip() for part in value.split(",")] if value else []
        if wanted == "json" and isinstance(value, str):
            return json.loads(value)
    except ValueError as error:
        raise ResourceFailure("StackValidationFailed", f"value: {error}") from error
    return value


_LONGEST = 512
_SEQUENCES = {
    "lettersdigits": string.ascii_letters + string.digits,
    "letters": string.ascii_letters,
    "lowercase": string.ascii_lowercase,
    "uppercase": string.ascii_uppercase,
    "digits": string.digits,
    "hexdigits": string.digits + "ABCDEF",
    "octdigits": string.octdigits,
}
_SECURE = random.SystemRandom()


class RandomString(Kind):
    """OS::Heat::RandomString: made once, kept for the resource's life; a changed salt makes another."""

    @override
    def check(self, name: str, props: Props) -> None:
        """Neither too short nor too long."""
        length = props.get("length")
        if isinstance(length, int) and not 1 <= length <= _LONGEST:
            why = f"{length} is out of range (min: 1, max: {_LONGEST})"
            raise StackValidationFailed(f"Property error: : resources.{name}.properties.length: : {why}")

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Draw the characters."""
        resource.physical_id = physical_name(resource)
        length = int(props.get("length") or 32)
        classes = [
            (_SEQUENCES.get(one["class"], ""), int(one.get("min", 1))) for one in props.get("character_classes") or ()
        ]
        classes += [(one["sequence"], int(one.get("min", 1))) for one in props.get("character_sequences") or ()]
        if not classes:
            classes = [(_SEQUENCES[props.get("sequence") or "lettersdigits"], 1)]
        if sum(least for _, least in classes) > length:
            raise ResourceFailure(
                "StackValidationFailed",
                "Length property cannot be smaller than combined character class and character sequence minimums",
            )
        drawn = [letter for letters, least in classes for letter in _SECURE.choices(letters, k=least)]
        pool = "".join(letters for letters, _ in classes)
        drawn += _SECURE.choices(pool, k=length - len(drawn))
        _SECURE.shuffle(drawn)
        resource.data = "".join(drawn)
        return None

    @override
    def reference(self, resource: Resource) -> Any:
        """`get_resource` gives the value too, as in Heat."""
        return resource.data

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """`value`."""
        return resource.data if name == "value" else None


class Config(Kind):
    """A software config: text under an id that a server's `user_data` can name.

    The text is not kept: a changed property makes another config, so it can be evaluated again whenever it is wanted.
    """

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Register it."""
        resource.physical_id = str(uuid.uuid4())
        engine.configs[resource.physical_id] = resource
        return None

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Unregister it."""
        engine.configs.pop(resource.physical_id or "", None)
        return None

    def text(self, engine: Engine, resource: Resource) -> str:
        """The text."""
        return self.render(engine, self.prepare(resource.stack, resource.definition))

    def render(self, engine: Engine, props: Props) -> str:
        """The text from the properties."""
        return str(props.get("config") or "")

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """`config`."""
        return self.text(resource.stack.engine, resource) if name == "config" else None


class CloudConfig(Config):
    """OS::Heat::CloudConfig."""

    @override
    def render(self, engine: Engine, props: Props) -> str:
        """The map as cloud-init reads it."""
        return "#cloud-config\n" + yaml.dump(props.get("cloud_config") or {}, default_flow_style=False)


_BOUNDARY = "===============cloudsim=="
_HEADER = f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"\nMIME-Version: 1.0\n'


class MultipartMime(Config):
    """OS::Heat::MultipartMime."""

    @override
    def render(self, engine: Engine, props: Props) -> str:
        """The message: a header, and each part after a boundary."""
        parts = [part for part in props.get("parts") or () if part]
        return render_mime(engine, [(part.get("config"), part.get("filename"), part.get("subtype")) for part in parts])


def render_mime(engine: Engine, parts: Sequence[tuple[Any, Any, Any]]) -> str:
    """Parts as a MIME message; a part that is a multi-part config brings its own parts in its place."""
    pieces = [_HEADER]
    for config, filename, subtype in parts:
        body = config_text(engine, config)
        if body.startswith(_HEADER):
            pieces.append(body[len(_HEADER) :].removesuffix(f"\n--{_BOUNDARY}--\n"))
            continue
        disposition = f'Content-Disposition: attachment; filename="{filename}"\n' if filename else ""
        kind = subtype or _subtype(body)
        pieces.append(
            f'\n--{_BOUNDARY}\nContent-Type: text/{kind}; charset="utf-8"\nMIME-Version: 1.0\n{disposition}\n{body}'
        )
    return "".join(pieces) + f"\n--{_BOUNDARY}--\n"


def _subtype(body: str) -> str:
    if body.startswith("#!"):
        return "x-shellscript"
    return "cloud-config" if body.startswith("#cloud-config") else "plain"


def config_text(engine: Engine, value: Any) -> str:
    """The text of a config named by id, or the value itself."""
    text = as_text(value)
    resource = engine.configs.get(text)
    if resource is not None and isinstance(resource.kind, Config):
        return resource.kind.text(engine, resource)
    return text
