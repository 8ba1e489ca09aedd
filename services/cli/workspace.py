"""The folder that one stack lives in (`.jeroboam`): everything that it writes is in here.

secrets/   keys, 0600, made afresh for each stack
run/       marks by which programs say that they are ready
logs/      one file a program
home/ tmp/ what the programs take for HOME and TMPDIR
postgres/  the embedded database
lock       held as long as the stack runs
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.domain.errors import JeroboamError
from shared.runtime.sealing import generate_keypair

_CODE = Path(__file__).resolve().parents[2]


class WorkspaceBusy(JeroboamError):
    """Another stack runs from this folder."""


@dataclass(frozen=True)
class Secrets:
    """The files that hold the stack's secrets (and the public half of the sealing key)."""

    master_key_file: Path
    seal_private_key_file: Path
    seal_public_key_file: Path


@dataclass(frozen=True)
class Workspace:
    """The paths of one stack; `root` is absolute."""

    root: Path

    @property
    def logs(self) -> Path:
        """The programs' output."""
        return self.root / "logs"

    @property
    def database(self) -> Path:
        """The embedded Postgres's data directory."""
        return self.root / "postgres"

    def mark(self, name: str) -> Path:
        """The file by which a program says that it is ready."""
        return self.root / "run" / name

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Have the folder for ourselves, emptied of what an earlier stack left, for as long as the body runs.

        Raises:
            WorkspaceBusy: another stack has it.
        """
        # `parents=True` would give the folders above its own default mode, and clients put keys beside us there.
        for folder in (*reversed(self.root.parents), self.root):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        with (self.root / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                raise WorkspaceBusy(f"Jeroboam already runs from {self.root} (process {owner}).") from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            for name in ("postgres", "run", "logs", "home", "tmp", "secrets"):
                shutil.rmtree(self.root / name, ignore_errors=True)
                if name != "postgres":
                    (self.root / name).mkdir(mode=0o700)
            yield

    def make_secrets(self) -> Secrets:
        """New secrets, written to files that only we can read."""
        folder = self.root / "secrets"
        public, private = generate_keypair()
        made = Secrets(folder / "master-key", folder / "seal-private-key", folder / "seal-public-key")
        write_private(made.master_key_file, base64.b64encode(secrets.token_bytes(32)).decode())
        write_private(made.seal_private_key_file, private)
        write_private(made.seal_public_key_file, public)
        return made

    def environment(self) -> dict[str, str]:
        """What every program gets: the code's place, and a home inside this folder instead of the user's."""
        home, temporary = str(self.root / "home"), str(self.root / "tmp")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(_CODE),
            "PYTHONUNBUFFERED": "1",
            "LANG": "C.UTF-8",
            "HOME": home,
            "TMPDIR": temporary,
            **{f"XDG_{kind}_HOME": home for kind in ("CONFIG", "CACHE", "DATA", "STATE")},
        }


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
