"""Somebody who follows a page: one bash, block after block, in a folder that looks as after `make up`."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts import client_venvs
from services.cli import access
from services.cli.engines import Engines
from services.cli.stack import LocalStack
from tests.walk.pages import ROOT, Block, Page
from tests.walk.programs import FOREIGN

LIMIT: Final = float(os.environ.get("JEROBOAM_WALK_LIMIT", "240"))
"""Seconds that a page may take; on a machine of its own it takes a tenth of them."""

OURS: Final = {"openstack": "v500", "magnum": "m370", "python3": "sdk"}
"""Clients and the environment that each comes from (scripts/client_venvs.py)."""

STAND_INS: Final = Path(__file__).parent / "stand_ins"
"""What a page needs of the world outside: programs of these names come before those of the machine."""

_BASH: Final = r"""
set -euo pipefail -E
fails() { ! { "$@" && echo "ended well, and was to fail: $*"; }; }
trap 'printf "failed %s %s\n" "$LINENO" "${BASH_COMMAND%%$'"'\n'"'*}" >&9' ERR
while IFS= read -r -u 8 block; do
    source "$block" 8<&-
    echo done >&9
done
"""

_NOT: Final = re.compile(r"^! (?=[^|\n]*$)", re.MULTILINE)
"""Bash goes on after `! command` whatever became of it; `fails command` ends a page when it succeeds."""


class Stopped(AssertionError):
    """A command of a page failed; the message is for who mends the page."""


@dataclass
class Walk:
    """How a page went."""

    missing: set[str] = field(default_factory=set)
    """Programs for whose sake something was left out."""
    blocks: dict[int, float] = field(default_factory=dict)
    """Seconds by the line of the block."""


async def follow(page: Page, stack: LocalStack, folder: Path) -> Walk:
    """Run a page's blocks as a user of its own.

    Raises:
        Stopped: a command failed, or the time was up.
    """
    await _newcomer(stack, page.name)
    _furnish(folder, stack, page.name)
    async with stack.client(page.name) as client, _Shell(page, folder, _environment(stack, page.name, folder)) as shell:
        engines, walk = Engines(client, stack.control_url), Walk()
        clock = asyncio.get_running_loop().time
        began = clock()
        for block in _possible(page.blocks, walk.missing):
            now = clock()
            await shell.run(block, LIMIT - (now - began))
            await engines.look()
            walk.blocks[block.line] = clock() - now
        return walk


def _possible(blocks: Iterable[Block], missing: set[str]) -> Iterable[Block]:
    """Those that this machine can run; a section ends where it cannot go on."""
    ended = -1
    for block in blocks:
        absent = {name for name in FOREIGN & block.programs if shutil.which(name, path=_path()) is None}
        if absent and block.section != ended:
            missing |= absent
            ended = block.section
        if block.section != ended:
            yield block


async def _newcomer(stack: LocalStack, name: str) -> None:
    async with stack.client("demo") as client:
        url = f"{stack.control_url}/people"
        answer = await client.session.transport.send("control", "POST", url, headers={}, json={"name": name})
        assert answer.status == 201, answer.body


def _furnish(folder: Path, stack: LocalStack, user: str) -> None:
    """`.jeroboam` with the user's own openrc, the rest as it is; and `.venv` with the command."""
    own = folder / ".jeroboam"
    own.mkdir(parents=True)
    for one in stack.workspace.root.iterdir():
        (own / one.name).symlink_to(one)
    access.write_access(own, stack.keystone_url, api=stack.api_url, control=stack.control_url, demo=user)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    _program(
        programs / "jeroboam", f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m services.cli"
    )
    for name, client in OURS.items():
        _program(programs / name, shlex.quote(str(client_venvs.program(client, name))))


def _program(place: Path, command: str) -> None:
    place.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    place.chmod(0o755)


def _path(folder: Path | None = None, *, stand_ins: bool = True) -> str:
    ours = [str(STAND_INS)] if stand_ins else []
    ours += [] if folder is None else [str(folder / ".venv" / "bin")]
    return ":".join([*ours, os.environ.get("PATH", os.defpath)])


def _environment(stack: LocalStack, user: str, folder: Path) -> dict[str, str]:
    """A login shell that has read the openrc, and nothing of this machine's own settings."""
    return {
        "PATH": _path(folder),
        "JEROBOAM_WALK_PATH": _path(folder, stand_ins=False),
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder.parent / "cache"),  # what the client knows of its plugins, for all pages
        "LANG": "C.UTF-8",
        "SHELL": "/bin/bash",
        "NO_PROXY": "*",
        "COLUMNS": "200",
        "PYTHONWARNINGS": "ignore",
        "JEROBOAM_API": stack.api_url,
        "JEROBOAM_CONTROL": stack.control_url,
        **access.environment(user, stack.keystone_url),
    }


class _Shell:
    """One bash. Each block is a file whose lines are numbered as the page's, so that bash's own words name those."""

    def __init__(self, page: Page, folder: Path, environment: dict[str, str]) -> None:
        self._page, self._folder, self._environment = page, folder, environment
        self._log = folder.parent / f"{folder.name}.log"

    async def __aenter__(self) -> _Shell:
        (self._folder / "home").mkdir()
        orders, self._orders = _pipe()
        self._answers, answers = _pipe()
        # The shell knows its ends as 8 and 9 and inherits nothing else.
        start = f"exec 8<&{orders} 9>&{answers} {orders}<&- {answers}>&-\n{_BASH}"
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("bash", "-c", start, self._page.path),
                cwd=self._folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(orders, answers),
                start_new_session=True,
            )
        os.close(orders)
        os.close(answers)
        self._reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(self._answers, "rb")
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        os.close(self._orders)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def run(self, block: Block, limit: float) -> None:
        """Run a block to its end.

        Raises:
            Stopped: it failed, or ran longer than `limit` seconds.
        """
        file, before = self._folder.parent / f"{self._folder.name}.{block.line}.sh", self._log.stat().st_size
        file.write_text("\n" * (block.line - 1) + _NOT.sub("fails ", block.text))
        os.write(self._orders, f"{file}\n".encode())
        try:
            async with asyncio.timeout(max(limit, 0.0)):
                why = await self._outcome(block)
        except TimeoutError:
            why = f"{self._page}:{block.line}: the page's {LIMIT:.0f} s are over; this block did not end in its rest"
        if why:
            said = self._log.read_bytes()[before:].decode(errors="replace").replace(str(file), self._page.path)
            raise Stopped(f"{why}\n--- the block ---\n{block.text}--- what it printed ---\n{said[-6000:]}")

    async def _outcome(self, block: Block) -> str:
        """Why it failed; nothing when it did not."""
        failed = ""
        while line := (await self._reader.readline()).decode().rstrip("\n"):
            if line == "done":
                return ""
            _, number, command = line.split(" ", 2)
            failed = failed or f"{self._page}:{number}: failed: {command}"
        return failed or f"{self._page}:{block.line}: this block ended the shell (an unset variable, or `exit`)"


def _pipe() -> tuple[int, int]:
    """Both ends, as numbers that no shell gives a meaning."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 20) for one in ends)
    for one in ends:
        os.close(one)
    return high[0], high[1]
