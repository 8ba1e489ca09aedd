"""Runs commands of unmodified clients as somebody, each in a home of its own, while other things go on."""

from __future__ import annotations

import asyncio
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from scripts.client_venvs import HOME
from shared.openstack.auth import Credential
from tests.clients.support.shell import Said
from tests.realcloud.people import Person, environment

LIMIT = 180.0
"""Seconds that one command may take: a busy machine needs some for each start of a client."""

OPENSTACK, MAGNUM = "v500", "m370"
"""The newest `openstack coe`, and the newest `magnum` with words for bays. Only that one passes `--rollback` on."""

_STARTS = asyncio.Semaphore(2)
"""A client is two seconds of CPU: more at once only make each slower."""


@dataclass(frozen=True)
class Shell:
    """Somebody's shell; `folder` is where it is and what HOME is."""

    who: Credential
    folder: Path

    @classmethod
    def of(cls, person: Person, root: Path) -> Shell:
        """A shell of this user, in a folder of its own below `root`."""
        folder = root / person.name
        folder.mkdir()
        return cls(person.credential, folder)

    async def openstack(self, command: str) -> Said:
        """`openstack …`; it must end well."""
        return await self.run(OPENSTACK, shlex.split(f"openstack {command}"))

    async def run(self, client: str, words: list[str], extra: dict[str, str] | None = None) -> Said:
        """Any command with a client's programs in its path; it must end well."""
        said = await self.tried(client, words, extra)
        assert said.code == 0, str(said)
        return said

    async def tried(self, client: str, words: list[str], extra: dict[str, str] | None = None) -> Said:
        """The same, however it ends."""
        variables = {
            "PATH": f"{HOME / client / 'bin'}:{os.defpath}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "COLUMNS": "400",
            "NO_PROXY": "*",
            **environment(self.who),
            **(extra or {}),
        }
        async with _STARTS, asyncio.timeout(LIMIT):
            process = await asyncio.create_subprocess_exec(
                *words,
                env=variables,
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                out, err = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
        return Said(f"{client}: {shlex.join(words)[:300]}", process.returncode or 0, out.decode(), err.decode())
