"""The supervisor: starts in order, restarts what dies, stops all, and leaves nothing if it is killed itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli.supervisor import Program, ProgramFailed, Supervisor, file_written, http_answers
from shared.runtime.ports import free_port
from tests.runtime.processes import alive, gone

READY_THEN_SLEEP = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).write_text('x'); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY_THEN_SLEEP
NOTES_ITS_END = (
    "import signal, sys, time, pathlib\n"
    "def end(*_):\n"
    "    with open(sys.argv[2], 'a') as file: file.write(sys.argv[3])\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "pathlib.Path(sys.argv[1]).write_text('x')\n"
    "while True: signal.pause()\n"
)


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path / "logs", tmp_path, start_limit=20, grace=5)
    yield made
    await made.stop()


def program(folder: Path, name: str, code: str, *arguments: str, restart: bool = False) -> Program:
    mark = folder / f"{name}.ready"
    return Program(
        name=name,
        command=[sys.executable, "-c", code, str(mark), *arguments],
        env=dict(os.environ),
        ready=file_written(mark),
        marks=(mark,),
        restart=restart,
    )


async def test_programs_run_until_they_are_stopped_in_reverse(supervisor: Supervisor, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    for name in "abc":
        await supervisor.start(program(tmp_path, name, NOTES_ITS_END, str(ends), name))
    pids = [supervisor.pid(name) for name in "abc"]
    assert all(map(alive, pids))
    await supervisor.stop()
    assert ends.read_text() == "cba"
    assert not any(map(alive, pids))


async def test_a_program_deaf_to_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs", tmp_path, grace=0.2)
    await supervisor.start(program(tmp_path, "deaf", DEAF))
    pid = supervisor.pid("deaf")
    await supervisor.stop()
    assert not alive(pid)


async def test_a_program_that_does_not_start_is_shown_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    with pytest.raises(ProgramFailed) as caught:
        await supervisor.start(program(tmp_path, "broken", "raise SystemExit('no such setting')"))
    said = str(caught.value)
    assert "broken ended before it was ready (exit code 1)" in said
    assert "no such setting" in said
    assert str(tmp_path / "logs" / "broken.log") in said


async def test_a_command_that_is_not_there_is_a_failure_too(supervisor: Supervisor, tmp_path: Path) -> None:
    missing = Program("missing", ["/no/such/program"], {}, file_written(tmp_path / "never"))
    with pytest.raises(ProgramFailed, match="missing ended"):
        await supervisor.start(missing)


async def test_a_program_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs", tmp_path, start_limit=0.2)
    slow = Program("slow", ["sleep", "600"], dict(os.environ), file_written(tmp_path / "never"))
    with pytest.raises(ProgramFailed, match="slow was not ready"):
        await supervisor.start(slow)
    await supervisor.stop()


async def test_an_end_that_nobody_wanted_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(program(tmp_path, "fragile", READY_THEN_SLEEP))
    failure = asyncio.create_task(supervisor.failure())
    supervisor.kill("fragile")
    assert "fragile ended by itself (killed by SIGKILL)" in str(await failure)


async def test_a_killed_program_comes_back(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(program(tmp_path, "hardy", READY_THEN_SLEEP, restart=True))
    first = supervisor.pid("hardy")
    for times in (1, 2):
        supervisor.kill("hardy")
        await supervisor.wait_ready("hardy")
        assert supervisor.restarts("hardy") == times
    assert supervisor.pid("hardy") != first
    assert alive(supervisor.pid("hardy"))


async def test_http_readiness_wants_a_2xx(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    page = tmp_path / "page"
    ready, not_found = (http_answers("127.0.0.1", port, path) for path in ("/page", "/other"))
    assert not await ready()
    page.write_text("hello")
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    await supervisor.start(Program("web", command, dict(os.environ), ready))
    assert await ready()
    assert not await not_found()


SUPERVISING = """
import asyncio, pathlib, sys
from services.cli.supervisor import Program, Supervisor, file_written

async def main(folder):
    mark = folder / "ready"
    supervisor = Supervisor(folder, folder)
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text('x'); time.sleep(600)"
    command = [sys.executable, "-c", code, str(mark)]
    await supervisor.start(Program("child", command, {}, file_written(mark)))
    print(supervisor.pid("child"), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISING, str(tmp_path)]
    supervising = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert supervising.stdout is not None
    child = int(supervising.stdout.readline())
    assert alive(child)
    supervising.send_signal(signal.SIGKILL)
    supervising.communicate()
    assert gone(child)
