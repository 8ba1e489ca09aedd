"""Runs a client's commands as a person would: its own programs, an openrc environment, what it prints, how it ends."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from scripts.client_venvs import HOME
from services.cli import access
from services.cli.stack import LocalStack

LIMIT = 60.0
"""Seconds that one command may take."""


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    command: str
    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both streams: clients do not agree on where an error goes."""
        return self.out + self.err

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows of the printed table, by heading. A row without a first cell continues the one above it."""
        lines = [line.strip() for line in self.out.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
        if not cells:
            return []
        heading, *rest = cells
        rows: list[dict[str, str]] = []
        for row in rest:
            if rows and not row[0] and len(heading) == 2:
                rows[-1][heading[1]] += "\n" + row[1]
            else:
                rows.append(dict(zip(heading, row, strict=False)))
        return rows

    @property
    def fields(self) -> dict[str, str]:
        """A table of two columns (Property and Value, or Field and Value) as a mapping."""
        return {name: value for row in self.rows for name, value in [tuple(row.values())]}

    @override
    def __str__(self) -> str:
        return f"$ {self.command}\n[exit {self.code}]\n{self.out}{self.err}"


class Clients:
    """Every client against one stack; each keeps its caches in a home of its own."""

    def __init__(self, stack: LocalStack, home: Path) -> None:
        self._stack = stack
        self._home = home

    def run(self, client: str, command: str, *, user: str = "demo", folder: Path | None = None) -> Said:
        """One command, its words split as a shell would."""
        return self._run(client, shlex.split(command), command, user, folder)

    def script(self, client: str, text: str, *, user: str = "demo", folder: Path | None = None) -> Said:
        """Lines of shell as they are, each shown before it runs; the first that fails ends them."""
        return self._run(client, ["bash", "-euc", text], text, user, folder)

    def ok(self, client: str, command: str, *, user: str = "demo", folder: Path | None = None) -> Said:
        """As `run`, and it must end well."""
        said = self.run(client, command, user=user, folder=folder)
        assert said.code == 0, str(said)
        return said

    def environment(self, client: str, user: str) -> dict[str, str]:
        """What `. openrc` in a fresh login shell would leave; nothing of this machine's own settings."""
        home = str(self._home / client)
        return {
            "PATH": f"{HOME / client / 'bin'}:{os.defpath}",
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/cache",
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "NO_PROXY": "*",
            "COLUMNS": "400",
            **access.environment(user, self._stack.keystone_url),
        }

    def _run(self, client: str, words: list[str], shown: str, user: str, folder: Path | None) -> Said:
        (self._home / client).mkdir(exist_ok=True)
        done = subprocess.run(
            words,
            env=self.environment(client, user),
            cwd=folder or self._home / client,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return Said(f"{client}: {shown}", done.returncode, done.stdout, done.stderr)
