"""Reading a driver's user-data: a role's environment, and running one of its parts in a folder that stands for `/`."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from shared.drivers.contract import Driver
from tests.drivers.cases import CREDENTIAL, UserData, facts, user_data

ADDRESSES = ("10.0.0.5", "10.0.0.6", "10.0.0.7")
FILLED = {
    "@@NODE_NAME@@": "web-master-1",
    "@@NODE_INDEX@@": "1",
    "@@NODE_SECRET@@": "s" * 64,
    "@@SIGNAL_COMMAND@@": "curl -i -X POST http://127.0.0.1:1/signal",
    "@@PUBLIC_ADDRESS@@": "127.64.0.6",
    "@@PRIVATE_ADDRESS@@": ADDRESSES[1],
    "@@MASTER_ADDRESSES@@": ",".join(ADDRESSES),
    "@@API_ADDRESS@@": ADDRESSES[0],
    "@@API_PUBLIC_ADDRESS@@": "127.64.0.5",
    "@@DOCKER_VOLUME@@": "",
    "@@ETCD_VOLUME@@": "",
    "@@APPLICATION_CREDENTIAL_ID@@": "a1b2",
    "@@APPLICATION_CREDENTIAL_SECRET@@": "zq7-secret",
}
"""What Heat puts in for the second of three masters."""
STAND_INS = "systemctl journalctl docker setenforce mount mkfs.ext4 mkfs.xfs chown"


def node(driver: Driver, role: str, **changes: Any) -> UserData:
    return user_data(driver.render(facts(driver, **changes), CREDENTIAL))[role]


def environment(driver: Driver, role: str, **changes: Any) -> dict[str, str]:
    text = node(driver, role, **changes).files["/etc/jeroboam/bay.env"]["content"]
    return {name: "".join(shlex.split(value)) for name, _, value in (line.partition("=") for line in text.splitlines())}


class Sandbox:
    """A node's files below a folder. Paths in scripts are moved there; programs that touch the machine only note it."""

    def __init__(self, root: Path, data: UserData, filled: dict[str, str] | None = None) -> None:
        self.root = root
        self._filled = FILLED | (filled or {})
        for path, entry in data.files.items():
            self.put(path, entry["content"])
        self.scripts = data.scripts
        for name in STAND_INS.split():
            self.program(name, f'echo "{name} $*" >>{root}/calls')

    def put(self, path: str, text: str) -> None:
        """A file of the node, with what Heat fills in."""
        where = self.root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(self._moved(text))

    def program(self, name: str, body: str) -> None:
        """A program of the node's image."""
        where = self.root / "bin" / name
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(f"#!/bin/sh\n{body}\n")
        where.chmod(0o755)

    def run(self, part: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a numbered part, or a file of /etc/jeroboam by its path."""
        text = self.scripts.get(part)
        if text is not None:
            self.put(f"/parts/{part}", text)
        where = self.root / ("parts/" + part if text is not None else part.lstrip("/"))
        search = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "HOME": str(self.root)}
        return subprocess.run(
            ["/bin/sh", str(where)], env=search, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def mode(self, path: str) -> int:
        return (self.root / path.lstrip("/")).stat().st_mode & 0o777

    def failure(self) -> str:
        where = self.root / "var/lib/jeroboam/failed"
        return where.read_text() if where.exists() else ""

    @property
    def calls(self) -> list[str]:
        where = self.root / "calls"
        return where.read_text().splitlines() if where.exists() else []

    def _moved(self, text: str) -> str:
        for name, value in self._filled.items():
            text = text.replace(name, value)
        for top in ("/etc/", "/var/lib/", "/usr/local/", "/opt/", "/run/", "/srv/"):
            text = text.replace(top, f"{self.root}{top}")
        return text
