"""Tempest's own virtual environment, at exact pins with hashes, beside those of the other clients.

python -m tests.tempest.environment --lock     resolve the lock anew (needs uv)
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from scripts.client_venvs import HOME, NoClients, WrongPackage

PINS: Final = ("tempest==47.0.0", "magnum-tempest-plugin==2.12.0")
LOCK: Final = Path(__file__).with_name("tempest.lock")
FOLDER: Final = HOME / "tempest"
PYTHON: Final = FOLDER / "bin" / "python"


def ensure() -> None:
    """Make the environment unless it is there and fresh.

    Raises:
        NoClients: it cannot be had on this machine.
        WrongPackage: an index offers something else than what was locked.
    """
    stamp = FOLDER / "stamp"
    wanted = f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()} {sys.version.split()[0]} {sys.base_prefix}\n"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    _run("-m", "venv", "--without-pip", str(FOLDER))
    pip = ("-m", "pip", "--python", str(PYTHON), "install", "--quiet", "--no-compile")
    _run(*pip, "--require-hashes", "--no-deps", "-r", str(LOCK))
    stamp.write_text(wanted)


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise WrongPackage(done.stderr.strip())
    raise NoClients((done.stderr.strip().splitlines() or ["pip failed"])[-1].removeprefix("ERROR: ")[:300])


def lock_anew() -> None:
    """Resolve the lock: for all platforms, and for Python from 3.11 on."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version", "3.11"]
    command += ["--no-annotate", "--no-header", "-", "-o", str(LOCK)]
    subprocess.run(command, input="\n".join(PINS), text=True, check=True)


if __name__ == "__main__":
    lock_anew() if "--lock" in sys.argv else ensure()
