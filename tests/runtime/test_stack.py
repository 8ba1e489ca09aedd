"""The whole system starts, heals and stops, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from services.cli.demo import leftovers
from services.cli.stack import ROLES, LocalStack
from tests.runtime.processes import alive, gone


async def test_it_starts_serves_heals_and_leaves_nothing(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, speed=20, time_scale=0.1, restart=True)
    async with stack:
        async with stack.client("demo") as client:
            assert await client.baymodels() == []
            assert await client.bays() == []
            first = stack.supervisor.pid("api")
            stack.supervisor.kill("api")
            await stack.supervisor.wait_ready("api")
            assert stack.supervisor.pid("api") != first
            assert await client.bays() == []
        for role in ROLES:
            assert f"//{role}@" in stack.dsn(role)
        programs = [stack.supervisor.pid(name) for name in ("api", "cloudsim", "provisioner-1")]
        assert all(map(alive, programs))
        assert len(await asyncio.to_thread(leftovers, stack)) > len(programs)  # what it looks for when all has ended
    assert all(map(gone, programs))
    assert await asyncio.to_thread(leftovers, stack) == []


async def test_replicas_are_processes_of_their_own(tmp_path: Path) -> None:
    async with LocalStack(tmp_path, speed=20, time_scale=0.1, replicas=2) as stack:
        names = [f"{service}-{number}" for service in ("certs", "provisioner", "scaler") for number in (1, 2)]
        assert len({stack.supervisor.pid(name) for name in names}) == len(names)


def test_the_command_tells_a_failure_in_words(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where a folder should be")
    command = [sys.executable, "-m", "services.cli", "demo", "--root", str(tmp_path / "root")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    for label in ("Failed:", "Cause:", "What to do:"):
        assert label in done.stdout
