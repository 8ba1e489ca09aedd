"""Fail-points, deadlines, logs and children that die with their parent."""

from __future__ import annotations

import asyncio
import io
import json
import logging as standard_logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from shared.runtime import logging
from shared.runtime.child import bound
from shared.runtime.deadline import Deadline
from tests.runtime.processes import gone


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


HIT = """
import sys, pathlib
from shared.runtime import failpoint
failpoint.configure(pathlib.Path(sys.argv[1]) if sys.argv[1] else None)
failpoint.hit("create.stack:before")
print("alive")
"""


def run_hit(directory: str) -> tuple[int, str]:
    process = python(HIT, directory)
    out, _ = process.communicate()
    return process.returncode, out.strip()


def test_a_fail_point_kills_exactly_one_process(tmp_path: Path) -> None:
    (tmp_path / "create.stack:before").touch()
    (tmp_path / "create.stack:after").touch()
    assert run_hit(str(tmp_path)) == (-signal.SIGKILL, "")
    assert run_hit(str(tmp_path)) == (0, "alive")
    assert [path.name for path in tmp_path.iterdir()] == ["create.stack:after"]


def test_fail_points_are_off_by_default() -> None:
    assert run_hit("") == (0, "alive")


def test_a_deadline_only_gets_nearer() -> None:
    deadline = Deadline.after(100)
    assert 99 < deadline.remaining() <= 100
    assert deadline.sub(1).remaining() <= 1
    assert deadline.sub(1000).at == deadline.at
    assert not deadline.expired
    past = Deadline.after(-1)
    assert past.expired
    assert past.remaining() == 0


async def test_a_deadline_ends_what_waits() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline.after(0.01).limit():
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        async with Deadline.after(1000).limit(0.01):
            await asyncio.Event().wait()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handlers = standard_logging.root.handlers[:]
    level = standard_logging.root.level
    logging.configure("tester", "INFO")
    yield stream
    structlog.reset_defaults()
    standard_logging.root.handlers[:] = handlers
    standard_logging.root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_logs_are_json_with_the_service_and_without_secrets(log: io.StringIO) -> None:
    fernet = "gAAAAABm" + "x" * 60
    structlog.get_logger().info(
        "bay created",
        bay="k8sbay",
        token="t0ps3cret",
        nested={"service_password": "t0ps3cret", "ok": 1},
        csr_key="t0ps3cret",
        header="Bearer t0ps3cret-and-longer",
        url="amqp://guest:t0ps3cret@localhost/",
        listed=[fernet],
    )
    structlog.get_logger().debug("too fine")
    (line,) = lines(log)
    assert (line["event"], line["service"], line["level"], line["bay"]) == ("bay created", "tester", "info", "k8sbay")
    assert line["nested"] == {"service_password": "***", "ok": 1}
    assert "t0ps3cret" not in log.getvalue()
    assert fernet not in log.getvalue()


def test_libraries_log_the_same_way(log: io.StringIO) -> None:
    standard_logging.getLogger("aiormq").warning("no answer from %s", "amqp://u:t0ps3cret@host/")
    try:
        raise ValueError("postgresql://jb_api:t0ps3cret@host/db")
    except ValueError:
        standard_logging.getLogger("other").exception("broke")
    first, second = lines(log)
    assert (first["logger"], first["service"]) == ("aiormq", "tester")
    assert "ValueError" in str(second["exception"])
    assert "t0ps3cret" not in log.getvalue()


PARENT = """
import subprocess, sys
from shared.runtime.child import bound
child = subprocess.Popen(bound([sys.executable, "-c", "import time; time.sleep(600)"]))
print(child.pid, flush=True)
child.wait()
"""


def test_a_child_dies_with_a_parent_that_could_not_say_goodbye() -> None:
    parent = python(PARENT)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert gone(child)


def test_a_child_is_the_command_itself() -> None:
    done = subprocess.run(bound(["sh", "-c", "echo $$; exit 7"]), capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert int(done.stdout) != os.getpid()
