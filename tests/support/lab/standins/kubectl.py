"""kubectl, as far as a master asks for it: a secret made without a server, and objects applied."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from .checks import die, need, readable
from .flags import parse
from .kubeconfig import read


def main(name: str, arguments: list[str]) -> None:
    """As `kubectl`."""
    match arguments:
        case ["create", "secret", "generic", secret, *rest]:
            flags = parse(rest, "namespace dry-run output from-file")
            need(flags.get("dry-run") == "client" and flags.get("output") == "yaml", "only shown, never made, here")
            key, _, path = flags["from-file"].partition("=")
            data = {key: base64.b64encode(readable(path).read_bytes()).decode()}
            metadata = {"name": secret, "namespace": flags.get("namespace", "default")}
            print(yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}))
        case ["apply", "-f", path]:
            _apply(list(yaml.safe_load_all(Path(path).read_text())))
        case _:
            die(f"the lab's kubectl cannot {' '.join(arguments)}")


def _apply(objects: list[Any]) -> None:
    config = read(os.environ.get("KUBECONFIG", ""))
    for one in objects:
        need(isinstance(one, dict), f"{one!r} is no object")
        need({"apiVersion", "kind", "metadata"} <= set(one), f"an object lacks a field: {sorted(one)}")
        need(one["metadata"].get("name"), f"a {one['kind']} has no name")
        try:
            status, text = config.client.ask("POST", f"{config.server}/stand-in/objects", one)
        except OSError as error:
            die(f"{config.server}: {error}")
        need(status == 201, f"{one['kind']} {one['metadata']['name']}: {status} {text[:200]}")
