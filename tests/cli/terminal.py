"""A person at the command line: in this process where that is enough, as a process of its own where signals count."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from services.cli import access
from services.cli.main import app
from services.cli.stack import LocalStack

LIMIT = 60
"""Seconds that a process of its own may take."""

NO_HEAT = {"kind": "status", "status": 503, "service": "orchestration", "count": 0}
"""A fault of the simulated cloud: nothing is made and nothing is deleted until it ends."""


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    command: str
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which has to be JSON and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Terminal:
    """Commands of the user demo, unless another one is named."""

    stack: LocalStack
    home: Path

    def run(self, command: str, variables: Mapping[str, str | None] | None = None, *, user: str = "demo") -> Said:
        """`jeroboam COMMAND`, whatever comes of it; what is None is not in the environment."""
        unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("OS_")}
        environment = {**unset, **self.environment(user), **(variables or {})}
        done = CliRunner().invoke(app, shlex.split(command), env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        assert "Traceback" not in done.stderr
        return Said(command, done.exit_code, done.stdout, done.stderr)

    def ok(self, command: str, variables: Mapping[str, str | None] | None = None) -> Said:
        """As `run`, and it must end well."""
        said = self.run(command, variables)
        assert said.code == 0, said
        return said

    def start(self, command: str, **variables: str) -> subprocess.Popen[str]:
        """`jeroboam COMMAND` as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "services.cli", *shlex.split(command)],
            env={**self.environment("demo"), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self, user: str) -> dict[str, str]:
        """What a login shell with an openrc has; nothing of this machine's own settings."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            **access.environment(user, self.stack.keystone_url),
        }


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process said to its end, which comes soon or by force."""
    try:
        return process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def told(process: subprocess.Popen[str], words: str) -> None:
    """Read until the words come; what is said later is left to read."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if words in line:
            return
    raise AssertionError("".join(seen))
