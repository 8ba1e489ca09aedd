"""A kubeconfig with a client certificate inside, as kubectl reads it (kubernetes.io, "Organizing cluster access")."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from services.cli.workspace import write_private


@dataclass(frozen=True)
class Kubeconfig:
    """What one needs to speak to a bay's API server; PEM texts."""

    name: str
    server: str
    authority_pem: str
    certificate_pem: str
    key_pem: str = field(repr=False)

    def write(self, path: Path) -> None:
        """Write the file, 0600."""
        cluster = {"server": self.server, "certificate-authority-data": _encode(self.authority_pem)}
        user = {"client-certificate-data": _encode(self.certificate_pem), "client-key-data": _encode(self.key_pem)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "admin"}}],
            "current-context": self.name,
        }
        write_private(path, yaml.safe_dump(content, sort_keys=False))

    @classmethod
    def read(cls, path: Path) -> Kubeconfig:
        """Read a file that `write` wrote."""
        content = yaml.safe_load(path.read_text())
        named, user = content["clusters"][0], content["users"][0]["user"]
        return cls(
            name=named["name"],
            server=named["cluster"]["server"],
            authority_pem=_decode(named["cluster"]["certificate-authority-data"]),
            certificate_pem=_decode(user["client-certificate-data"]),
            key_pem=_decode(user["client-key-data"]),
        )


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()
