"""The deployment's files as the tests read them: the compose files with every variable at its default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "docker-compose.yml"
CLOUD = DEPLOY / "docker-compose.cloud.yml"
BARBICAN = DEPLOY / "docker-compose.barbican.yml"

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


def variables(path: Path) -> dict[str, str | None]:
    """Every `${NAME:-default}` of a compose file; None for one without a default."""
    found: dict[str, str | None] = {}
    for match in _VARIABLE.finditer(path.read_text()):
        default = match["text"] if match["kind"] == "-" else None
        assert found.setdefault(match["name"], default) == default, f"{match['name']} has two defaults"
    return found


def load(path: Path) -> dict[str, Any]:
    """A compose file with its merges done and its variables at their defaults; "given" where a value is demanded."""
    loaded = _interpolated(yaml.safe_load(path.read_text()))
    assert isinstance(loaded, dict)
    return loaded


def _interpolated(value: object) -> object:
    """Compose fills variables into the strings of the parsed file, so that an empty one stays a string."""
    match value:
        case dict():
            return {key: _interpolated(each) for key, each in value.items()}
        case list():
            return [_interpolated(each) for each in value]
        case str():
            return _VARIABLE.sub(lambda found: found["text"] if found["kind"] == "-" else "given", value)
        case _:
            return value


def secret_targets(service: dict[str, Any]) -> dict[str, str]:
    """Where a service finds its secrets: target by source."""
    pairs = [
        (entry, entry) if isinstance(entry, str) else (entry["source"], entry["target"])
        for entry in service.get("secrets", [])
    ]
    return dict(pairs)
