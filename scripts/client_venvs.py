"""One virtual environment for each unmodified client that the tests run, at exact pins with hashes.

    python -m scripts.client_venvs            make those of `tests/clients` that are missing or stale, two at a time
    python -m scripts.client_venvs m200 sdk   these
    python -m scripts.client_venvs --lock     resolve the lock files anew (needs uv)

They are kept in `.venv/clients/NAME`; a stamp holds the hash of the lock and the Python that they were made with, so
a second run does nothing. Without a package index the reason is printed as `NOT RUN: clients (reason)`; a package that
does not match its hash is an error.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "tests" / "clients" / "locks"
HOME = ROOT / ".venv" / "clients"

CLIENTS: dict[str, tuple[str, ...]] = {
    "m200": ("python-magnumclient==2.0.0", "python-cinderclient==9.10.0"),  # the walk-throughs also say `cinder create`
    "m370": ("python-magnumclient==3.7.0",),
    "m411": ("python-magnumclient==4.11.0", "python-openstackclient==10.5.0"),
    "v500": ("python-magnumclient==5.0.0", "python-openstackclient==10.5.0"),
    "sdk": ("openstacksdk==4.22.0",),
    "tempest": ("tempest==47.0.0", "magnum-tempest-plugin==2.12.0"),
}
"""What each is. Everything below them is pinned by the lock."""

USUAL = tuple(name for name in CLIENTS if name != "tempest")
"""Those of `tests/clients`; tempest has a suite of its own and is made only when it is asked for by name."""

AT_ONCE = 2


class NoClients(Exception):
    """A client cannot be installed on this machine; the message is the reason."""


class WrongPackage(Exception):
    """A package is not the one that the lock names."""


def program(client: str, name: str) -> Path:
    """A program of a client's environment."""
    return HOME / client / "bin" / name


def ensure(names: Sequence[str] = USUAL) -> dict[str, float]:
    """Make the environments that are missing or stale; the seconds that each took (0 for those that were there).

    Raises:
        NoClients: they cannot be had here.
        WrongPackage: an index offers something else than what was locked.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(names, pool.map(_ensure_one, names), strict=True))


def _ensure_one(name: str) -> float:
    folder, lock = HOME / name, LOCKS / f"{name}.lock"
    stamp, wanted = folder / "stamp", _stamp(lock)
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0.0
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    _run("-m", "venv", "--without-pip", str(folder))
    # No byte code in advance: a client imports a tenth of what it brings, and writes that itself.
    pip = ("-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-compile")
    _run(*pip, "--require-hashes", "--no-deps", "-r", str(lock))
    stamp.write_text(wanted)
    return time.monotonic() - began


def _stamp(lock: Path) -> str:
    return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version.split()[0]} {sys.base_prefix}\n"


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or done.stderr.splitlines()[-1:]
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise WrongPackage(done.stderr.strip())
    raise NoClients("; ".join(line.removeprefix("ERROR: ") for line in errors)[:300])


def lock_anew() -> None:
    """Resolve every lock: for all platforms, and for Python from 3.11 on."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    for name, pins in CLIENTS.items():
        compile_it = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version", "3.11"]
        compile_it += ["--no-annotate", "--no-header", "-", "-o", str(LOCKS / f"{name}.lock")]
        subprocess.run(compile_it, input="\n".join(pins), text=True, check=True)


def main(arguments: Sequence[str]) -> int:
    """Do what was asked for; the exit code. A machine without an index is no failure, but never silent."""
    if "--lock" in arguments:
        lock_anew()
        return 0
    unknown = set(arguments) - set(CLIENTS)
    if unknown:
        print(f"No such client: {', '.join(sorted(unknown))}. There are: {', '.join(CLIENTS)}")
        return 2
    try:
        for name, seconds in ensure(arguments or USUAL).items():
            print(f"{name:<8} {' '.join(CLIENTS[name]):<64} {f'{seconds:.1f} s' if seconds else 'is there'}")
    except NoClients as reason:
        print(f"NOT RUN: clients ({reason})")
    except WrongPackage as found:
        print(found)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
