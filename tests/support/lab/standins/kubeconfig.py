"""kubeconfig files, as Kubernetes' programs are given them: whom to speak to and as whom."""

from __future__ import annotations

import atexit
import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .checks import issued, need, pair, private
from .web import Client


@dataclass(frozen=True)
class Kubeconfig:
    """The current context of a file."""

    server: str
    client: Client
    subject: str
    """Of the client's certificate, in openssl's words; empty without TLS."""


def read(path: str) -> Kubeconfig:
    """Read and check a file; ends the program when it is wrong. A relative path in it is relative to its folder."""
    place = private(path)
    try:
        whole = yaml.safe_load(place.read_text())
    except yaml.YAMLError as error:
        need(False, f"{path} is no YAML: {error}")
    context = _named(whole, "contexts", whole.get("current-context"), path)["context"]
    cluster = _named(whole, "clusters", context.get("cluster"), path)["cluster"]
    user = _named(whole, "users", context.get("user"), path)["user"] or {}
    server = str(cluster.get("server", ""))
    if server.startswith("http:"):
        return Kubeconfig(server, Client(), "")
    files = [
        _file(place, one, name)
        for one, name in ((cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key"))
    ]
    need(all(files), f"{path} lacks certificate or authority for {server}: {sorted(cluster)} {sorted(user)}")
    pair(files[1], files[2])
    return Kubeconfig(server, Client(*files), issued(files[1], files[0], "sslclient"))


def _file(place: Path, one: Any, name: str) -> str:
    """A file that is named, or one made of what is written in place of a name."""
    if data := one.get(f"{name}-data"):
        descriptor, path = tempfile.mkstemp(prefix=f"{name}-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64decode(data))
        atexit.register(os.unlink, path)
        return path
    return str(place.parent / one[name]) if one.get(name) else ""


def _named(whole: Any, kind: str, name: object, path: str) -> Any:
    found = [one for one in whole.get(kind) or [] if one.get("name") == name]
    need(len(found) == 1, f"{path} has {len(found)} {kind} named {name}")
    return found[0]
