"""The embedded Postgres: a private server on a Unix socket, started as a child of this process and ended with it.

Nothing to install (see `postgres_programs`), no TCP port, nobody else can reach it: directory and socket are 0700 and
the socket is the only way in, which is why authentication is `trust`. A second process that starts the same data
directory attaches to the running server and leaves it running. If the owner is SIGKILLed the kernel asks the server
for a fast shutdown, so neither the process nor its shared memory stays behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote

from shared.runtime.child import bound
from shared.runtime.postgres_programs import Identity, PostgresUnavailable, find_identity, find_programs

_SOCKET_PATH_LIMIT = 107  # sun_path of unix(7), without its final zero
_START_LIMIT = 60.0  # seconds; replaying the log after a crash counts
_ORPHANS_LIMIT = 5.0  # seconds that backends of a killed server may still hold its shared memory
_POLL = 0.02

_NOBODY_HINT = (
    " (Root runs Postgres as 'nobody' here, because user namespaces are forbidden; 'nobody' must be able to enter the "
    "folders of the data and the programs. Or run as a normal user, or set DATABASE_URL to a server of your own.)"
)

_SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",  # files in the data directory: nothing can stay in /dev/shm
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class _Running(NamedTuple):
    """What `postmaster.pid` says of a live server."""

    pid: int
    socket_dir: Path
    ready: bool


class EmbeddedPostgres:
    """One data directory and the server on it.

    Args:
        data_dir: made on first start; its parent must exist or be creatable.
        socket_dir: where the socket goes; by default inside the data directory, or, if that path is too long for a
            socket, in a private temporary directory that `stop` removes.
        durable: False switches fsync off, for tests that survive anything but a power cut.
    """

    def __init__(self, data_dir: Path, *, socket_dir: Path | None = None, durable: bool = True) -> None:
        self._data = data_dir.absolute()
        self._socket_dir = socket_dir.absolute() if socket_dir is not None else None
        self._durable = durable
        self._temporary: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self._data / "server.log"

    @property
    def pid(self) -> int | None:
        """The process id of the server that we started, None when we attached or did not start."""
        return None if self._process is None else self._process.pid

    def start(self) -> str:
        """Start the server, or attach to the one that runs on this data directory; returns its DSN as superuser.

        Call it from the main thread: the kernel ties the server's life to the thread that started it.

        Raises:
            PostgresUnavailable: no programs, wrong version, or it does not start; the message holds the log's end.
        """
        self._data.parent.mkdir(parents=True, exist_ok=True)
        with self._only_one_starter():
            running = self._wait_while_stopping()
            if running is None and self._process is not None:
                self._process.wait()  # ours was killed; unreaped, its number would still look alive to the next one
            if running is None:
                running = self._launch()
        return f"postgresql://postgres@/postgres?host={quote(str(running.socket_dir), safe='/')}"

    def stop(self) -> None:
        """End the server if it is ours (fast shutdown, harder after 10 s); an attached one keeps running."""
        process, self._process = self._process, None
        if process is not None:
            for sign, seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                process.send_signal(sign)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def _only_one_starter(self) -> Iterator[None]:
        with Path(f"{self._data}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _launch(self) -> _Running:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("EmbeddedPostgres.start launches the server only from the main thread")
        programs = find_programs(self._data)
        identity = find_identity()
        if not (self._data / "PG_VERSION").exists():
            self._initialise(programs.folder, identity)
        sockets = self._prepare_socket_dir()
        _hand_over(identity, self._data, sockets)
        settings = {**_SERVER_SETTINGS, "unix_socket_directories": str(sockets), "fsync": str(self._durable).lower()}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [*identity.prefix, str(programs.folder / "postgres"), "-D", str(self._data), *options]
        return self._run(command, identity)

    def _initialise(self, folder: Path, identity: Identity) -> None:
        """Make the data directory beside its place and move it there, so that a half-made one is never used."""
        half = self._data.with_name(self._data.name + ".new")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        _hand_over(identity, half)
        words = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        words += [] if self._durable else ["--no-sync"]
        command = [*identity.prefix, str(folder / "initdb"), *words, "-D", str(half)]
        done = subprocess.run(  # noqa: S603 - our own words and a path
            bound(command, user=identity.user), env=_environment(), check=False, capture_output=True, text=True, cwd="/"
        )
        if done.returncode != 0:
            hint = _NOBODY_HINT if identity.user is not None else ""
            raise PostgresUnavailable(f"initdb failed for {self._data}: {done.stderr.strip()[-600:]}{hint}")
        with suppress(OSError):
            self._data.rmdir()  # an empty directory made by somebody else
        half.rename(self._data)

    def _prepare_socket_dir(self) -> Path:
        wanted = self._socket_dir or self._data / "socket"
        if len(os.fsencode(wanted / ".s.PGSQL.5432")) > _SOCKET_PATH_LIMIT:
            self._temporary = Path(tempfile.mkdtemp(prefix="jeroboam-"))
            return self._temporary
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted.chmod(0o700)
        return wanted

    def _run(self, command: list[str], identity: Identity) -> _Running:
        """Start the server, again for some seconds if it refuses: backends of a killed one may hold its memory."""
        give_up = time.monotonic() + _START_LIMIT
        again_until = time.monotonic() + _ORPHANS_LIMIT
        while True:
            with self.log_file.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own words and paths
                    bound(command, signal.SIGINT, user=identity.user),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=_environment(), start_new_session=True, cwd="/",
                )  # fmt: skip
            while self._process.poll() is None and time.monotonic() < give_up:
                running = self._look()
                if running is not None and running.ready and running.pid == self._process.pid:
                    return running
                time.sleep(_POLL)
            if time.monotonic() > again_until:
                self.stop()
                raise PostgresUnavailable(f"Postgres did not start on {self._data}: {self._log_end()}")
            time.sleep(0.25)

    def _wait_while_stopping(self) -> _Running | None:
        """The live server once it is ready; None when there is none, or when the one there was has gone."""
        give_up = time.monotonic() + _START_LIMIT
        while (running := self._look()) is not None:
            if running.ready:
                return running
            if time.monotonic() > give_up:
                raise PostgresUnavailable(f"Postgres (pid {running.pid}) on {self._data} neither starts nor stops.")
            time.sleep(_POLL)
        return None

    def _look(self) -> _Running | None:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            pid, socket_dir = int(lines[0]), Path(lines[4])
        except (OSError, ValueError, IndexError):
            return None
        if not _serves(pid, self._data):
            return None
        return _Running(pid, socket_dir, ready=len(lines) > 7 and lines[7].strip() == "ready")

    def _log_end(self) -> str:
        with suppress(OSError):
            return " | ".join(self.log_file.read_text(errors="replace").splitlines()[-4:])
        return "it wrote no log"


def _serves(pid: int, data_dir: Path) -> bool:
    """Whether `pid` is alive and a server on `data_dir`, not a stranger that got the number of a dead one."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return (proc / str(pid) / "cwd").readlink() == data_dir.resolve()  # a server lives in its data directory
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _environment() -> dict[str, str]:
    """Ours without the PG* variables, which would change what the programs do."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}


def _hand_over(identity: Identity, *folders: Path) -> None:
    """Give the folders to the user that the server runs as, when that is another one."""
    if identity.user is None:
        return
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *identity.user, follow_symlinks=False)
