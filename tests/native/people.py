"""A person at a shell with `jeroboam`, kubectl, docker and etcdctl, in a home of their own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from services.cli import access
from services.cli.main import app
from services.cli.stack import LocalStack
from tests.clients.support.shell import LIMIT, Said


@dataclass(frozen=True)
class Person:
    """Commands run as `demo`, unless another user is named."""

    stack: LocalStack
    home: Path

    def run(self, script: str, *, user: str = "demo", **variables: str) -> Said:
        """A script for bash; `jeroboam` is ours. `variables` are added to those of an openrc."""
        return self._run(["bash", "-uc", script], user, variables)

    def ok(self, script: str, *, user: str = "demo", **variables: str) -> Said:
        """As `run`, and it must end well."""
        said = self._run(["bash", "-euo", "pipefail", "-c", script], user, variables)
        assert said.code == 0, str(said)
        return said

    def config(self, options: str, variables: Mapping[str, str | None] | None = None, *, user: str = "demo") -> Said:
        """`jeroboam bay config …`, whatever comes of it; in this process, which saves a second for each.

        A variable that is None is not set.
        """
        environment: dict[str, str | None] = {
            name: None for name in os.environ if name.startswith(("OS_", "KUBECONFIG"))
        }
        environment |= {**self.environment(user), **(variables or {})}
        done = CliRunner().invoke(app, ["bay", "config", *shlex.split(options)], env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return Said(f"jeroboam bay config {options}", done.exit_code, done.stdout, done.stderr)

    def environment(self, user: str) -> dict[str, str]:
        """What a login shell with an openrc has; nothing of this machine's own settings."""
        return {
            "PATH": f"{self._commands()}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "NO_PROXY": "*",
            "COLUMNS": "200",
            **access.environment(user, self.stack.keystone_url),
        }

    def _commands(self) -> Path:
        """A folder with the command `jeroboam`, of the code that is tested."""
        folder, root = self.home / "bin", Path(__file__).parents[2]
        command = folder / "jeroboam"
        if not command.exists():
            folder.mkdir(exist_ok=True)
            python = f"PYTHONPATH={shlex.quote(str(root))} exec {shlex.quote(sys.executable)} -m services.cli"
            command.write_text(f'#!/bin/sh\n{python} "$@"\n')
            command.chmod(0o755)
        return folder

    def _run(self, words: list[str], user: str, variables: dict[str, str]) -> Said:
        done = subprocess.run(
            words,
            env=self.environment(user) | variables,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return Said(words[-1], done.returncode, done.stdout, done.stderr)
