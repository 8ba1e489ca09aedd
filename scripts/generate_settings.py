"""Write docs/settings.md from the settings classes (`python -m scripts.generate_settings [--check]`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.api.settings import ApiSettings
from services.certs.settings import CertsSettings
from services.provisioner.settings import ProvisionerSettings
from services.scaler.settings import ScalerSettings
from shared.runtime.settings import CommonSettings

TARGET: Final = Path(__file__).parents[1] / "docs" / "settings.md"

PROCESSES: Final[Mapping[str, type[CommonSettings]]] = MappingProxyType(
    {"api": ApiSettings, "provisioner": ProvisionerSettings, "certs": CertsSettings, "scaler": ScalerSettings}
)

UNSAID: Final[Mapping[str, str]] = MappingProxyType(
    {
        "service_username": "our user in Keystone",
        "service_password": "its password",
        "service_user_domain": "its domain",
        "service_project": "the project that it logs in to when the work is in no user's project",
        "region": "which region's endpoints of the catalog are used",
        "log_level": "DEBUG, INFO, WARNING or ERROR",
        "time_scale": "multiplies every time of the lease protocol; for tests, leave it at 1 in production",
        "key_cache_seconds": "how long an authority's key stays in memory",
    }
)
"""Meanings of fields whose class gives no description; a test wants one for every variable."""

_HEAD: Final = """\
# Settings

Written by `scripts/generate_settings.py` from the settings classes; do not edit.

Every process reads its environment once, when it starts, and does not start with a value that is not allowed. A
variable that the process does not know is not read. An empty value counts as absent where the default is "none" (but
for `JEROBOAM_MASTER_KEY`). **required** means that there is no default. **secret** values appear in no log and no
`repr`; in the container images each may be a file `/run/secrets/JEROBOAM_…` instead (`deploy/entrypoint.sh`).
"""


def render() -> str:
    """The whole document."""
    common = CommonSettings.model_fields
    parts = [_HEAD, _section("All four services", CommonSettings, dict(common))]
    for process, cls in PROCESSES.items():
        own = {name: field for name, field in cls.model_fields.items() if name not in common}
        title = f"{process} (`python -m services.{process}`)"
        parts.append(_section(title, cls, own) if own else f"## {title}\n\nNone of its own.\n")
    return "\n".join(parts)


def meaning(name: str, field: FieldInfo) -> str:
    """What a setting is for; "" when nobody has said it."""
    return field.description or UNSAID.get(name, "")


def _section(title: str, cls: type[CommonSettings], fields: Mapping[str, FieldInfo]) -> str:
    shapes: Mapping[str, Any] = cls.model_json_schema()["properties"]
    rows = [_row(name, field, shapes[name]) for name, field in fields.items()]
    lines = [
        f"## {title}",
        "",
        f"`{cls.__module__}.{cls.__name__}`",
        "",
        "| variable | default | value | meaning |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, field: FieldInfo, shape: Mapping[str, Any]) -> str:
    variable = f"`JEROBOAM_{name.upper()}`"
    return f"| {variable} | {_default(field)} | {_value(field, shape)} | {_cell(meaning(name, field))} |"


def _default(field: FieldInfo) -> str:
    match field.default:
        case _ if field.default is PydanticUndefined:
            return "**required**"
        case None | ():
            return "none"
        case value:
            return f"`{value}`"


def _value(field: FieldInfo, shape: Mapping[str, Any]) -> str:
    """The kind of value and its bounds, as the JSON schema knows them; an optional one by its other half."""
    options: list[Mapping[str, Any]] = list(shape.get("anyOf", ()))
    inner = next((one for one in options if one.get("type") != "null"), shape)
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "array": _several(inner)}
    kind = {"path": "path"}.get(str(inner.get("format")), words.get(str(inner.get("type")), "text"))
    bounds = [
        f"{sign} {inner[key]:g}"
        for key, sign in (("exclusiveMinimum", ">"), ("minimum", "≥"), ("maximum", "≤"))
        if key in inner
    ]
    secret = ["secret"] if "SecretStr" in str(field.annotation) or not field.repr else []
    return ", ".join([kind, *bounds, *secret])


def _several(shape: Mapping[str, Any]) -> str:
    """The values of a list."""
    of: Mapping[str, Any] = shape.get("items", {})
    kind = "CIDRs" if "anyOf" in of else {"path": "paths"}.get(str(of.get("format")), "texts")
    return f"{kind}, with commas"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the file, or with --check say whether it is stale; returns the exit status."""
    text = render()
    stale = not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text
    if "--check" in arguments:
        if stale:
            sys.stderr.write("docs/settings.md is stale: run python -m scripts.generate_settings\n")
        return 1 if stale else 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
