"""Runs programs as child processes: starts them one after another, waits until each is ready, ends them in reverse.

A program that ends by itself is started again (with growing pauses, if it asks for that) or reported as a failure.
Output goes to one log file a program. If this process is SIGKILLed the kernel kills the children too
(`shared.runtime.child`); each is in a session of its own, so a Ctrl-C at the terminal reaches only us.
"""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.domain.errors import JeroboamError
from shared.runtime.child import bound

Ready = Callable[[], Awaitable[bool]]

_POLL = 0.02
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class ProgramFailed(JeroboamError):
    """A program did not start or ended by itself; the message names it, says how it ended and shows its last lines."""


@dataclass(frozen=True)
class Program:
    """One child process.

    `ready` is asked until it says yes; `marks` are files that the program writes, removed before each start; with
    `restart` it is started again when it ends by itself. `env` is its whole environment.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    ready: Ready
    marks: tuple[Path, ...] = ()
    restart: bool = False


class Supervisor:
    """The programs of one stack. Use it from one event loop in the main thread."""

    def __init__(
        self,
        log_dir: Path,
        cwd: Path,
        *,
        start_limit: float = 60.0,
        grace: float = 10.0,
        on_restart: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self._on_restart = on_restart
        self._log_dir = log_dir
        self._cwd = cwd
        self._start_limit = start_limit
        self._grace = grace
        self._children: dict[str, _Child] = {}
        self._failure: asyncio.Future[ProgramFailed] | None = None

    async def start(self, *programs: Program) -> None:
        """Start programs that do not need one another, and wait until all are ready.

        Raises:
            ProgramFailed: one ended, or was not ready in time; what was started keeps running until `stop`.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        fresh = [_Child(program, self._log_dir / f"{program.name}.log", self._cwd) for program in programs]
        self._children |= {child.program.name: child for child in fresh}
        for child in fresh:
            await child.spawn()
        await asyncio.gather(*(child.wait_ready(self._start_limit) for child in fresh))
        for child in fresh:
            child.watcher = asyncio.create_task(self._watch(child))

    async def stop(self) -> None:
        """End all programs, the last started first: SIGTERM, and SIGKILL after the grace period."""
        while self._children:
            _, child = self._children.popitem()
            await child.end(self._grace)

    async def failure(self) -> ProgramFailed:
        """Wait for a program to end by itself that is not to be restarted."""
        return await asyncio.shield(self._failures())

    def pid(self, name: str) -> int:
        """The process id of a program as it runs now.

        Raises:
            KeyError: no such program.
        """
        return self._children[name].pid

    def kill(self, name: str) -> None:
        """SIGKILL a program, as a crash would. Raises KeyError for an unknown name."""
        child = self._children[name]
        child.kill()
        child.forget_marks()

    async def wait_ready(self, name: str) -> None:
        """Wait until a program that was killed is started again and ready.

        Raises:
            ProgramFailed: it was not in time.
        """
        child = self._children[name]
        await child.wait_ready(self._start_limit, may_end=child.program.restart)

    def restarts(self, name: str) -> int:
        """How often a program was started again."""
        return self._children[name].restarts

    def _failures(self) -> asyncio.Future[ProgramFailed]:
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    async def _watch(self, child: _Child) -> None:
        pause = _FIRST_PAUSE
        while True:
            await child.ended()
            how = child.how_it_ended()
            child.forget_marks()
            if not child.program.restart:
                failures = self._failures()
                if not failures.done():
                    failures.set_result(child.failed("ended by itself"))
                return
            await asyncio.sleep(pause)
            await child.spawn()
            child.restarts += 1
            self._on_restart(f"{child.program.name} {how}; started again.")
            try:
                await child.wait_ready(self._start_limit)
                pause = _FIRST_PAUSE
            except ProgramFailed:
                pause = min(pause * 2, _LONGEST_PAUSE)
                child.kill()


class _Child:
    """One program's process, whichever incarnation of it runs now."""

    def __init__(self, program: Program, log_file: Path, cwd: Path) -> None:
        self.program = program
        self.watcher: asyncio.Task[None] | None = None
        self.restarts = 0
        self._log_file = log_file
        self._cwd = cwd
        self._process: asyncio.subprocess.Process | None = None
        log_file.write_bytes(b"")

    @property
    def pid(self) -> int:
        return self._running().pid

    async def spawn(self) -> None:
        self.forget_marks()
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *bound(self.program.command), env=dict(self.program.env), cwd=self._cwd,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def forget_marks(self) -> None:
        for mark in self.program.marks:
            mark.unlink(missing_ok=True)

    async def wait_ready(self, limit: float, *, may_end: bool = False) -> None:
        try:
            async with asyncio.timeout(limit):
                while not await self.program.ready():
                    if not may_end and self._running().returncode is not None:
                        raise self.failed("ended before it was ready")
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise self.failed(f"was not ready after {limit:g} s") from None

    async def ended(self) -> None:
        await self._running().wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._running().kill()

    async def end(self, grace: float) -> None:
        if self.watcher is not None:
            self.watcher.cancel()
            await asyncio.gather(self.watcher, return_exceptions=True)
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            self.kill()
            await process.wait()

    def how_it_ended(self) -> str:
        code = self._running().returncode
        return "ended" if code is None else f"ended ({_exit_words(code)})"

    def failed(self, how: str) -> ProgramFailed:
        code = self._running().returncode
        exit_code = "" if code is None else f" ({_exit_words(code)})"
        with self._log_file.open(errors="replace") as log:
            last = "".join(deque(log, 12)).rstrip()
        return ProgramFailed(
            f"{self.program.name} {how}{exit_code}. Its log is {self._log_file}; the last lines:\n{last or '(empty)'}"
        )

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.program.name} was never started")
        return self._process


def _exit_words(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def file_written(path: Path) -> Ready:
    """Ready once the file is there and not empty."""

    async def ready() -> bool:
        return _has_content(path)

    return ready


def _has_content(path: Path) -> bool:
    with suppress(OSError):
        return path.stat().st_size > 0
    return False


def http_answers(host: str, port: int, path: str) -> Ready:
    """Ready once a GET of `path` is answered with 2xx."""

    async def ready() -> bool:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
                    status = (await reader.readline()).split(b" ", 2)  # HTTP/1.x 200 OK
                    return len(status) > 1 and status[1].startswith(b"2")
                finally:
                    writer.close()
        return False

    return ready
