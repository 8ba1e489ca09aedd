"""The hints of the Postgres bus: a listener that comes back by itself, and a sender that gathers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import asyncpg  # type: ignore[import-untyped]  # the package ships no types; `Pool` below stands for what we use

from shared.bus import postgres_queries as sql

log = logging.getLogger(__name__)

ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    EOFError,
)
"""What asyncpg raises when the database or the way to it is gone, or when it refuses."""

NOTIFY_SECONDS: Final = 0.005
"""Hints are gathered so long: a NOTIFY each would cost the writers a third of their commits."""

_MISSED_BEATS: Final = 3
_BACKOFF: Final = 0.3

Wake = Callable[[str | None], None]


class Record(Protocol):
    """A row, by column name."""

    def __getitem__(self, column: str) -> Any: ...


class Pool(Protocol):
    """The calls of `asyncpg.Pool` that the bus makes."""

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """Run a query and return its rows."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement."""

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """Run a statement for every row of arguments."""

    async def close(self) -> None:
        """Give the connections back to the server."""

    def terminate(self) -> None:
        """Drop the connections."""


async def open_pool(database_url: str, size: int, limit: float) -> Pool:
    """Connect; `limit` seconds for the connection and for each statement. Raises one of `ERRORS`.

    No floor of idle connections: the library would keep trying to restore it, loudly, while the database is away.
    """
    pool: Pool = await asyncpg.create_pool(
        database_url, min_size=0, max_size=size, command_timeout=limit, timeout=limit
    )
    try:
        await pool.execute("SELECT 1")
    except BaseException:
        pool.terminate()
        raise
    return pool


class Listener:
    """A connection that listens, asks the database something every heartbeat, and reconnects when it must."""

    def __init__(self, database_url: str, channel: str, heartbeat: float, wake: Wake) -> None:
        self._url = database_url
        self._channel = channel
        self._heartbeat = heartbeat
        self._wake = wake
        self._last_answer = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start listening, in the background: a hint is never needed."""
        self._last_answer = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(), name=f"listen {self._channel}")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def healthy(self) -> bool:
        """Tell whether the database answered within the last three heartbeats."""
        return asyncio.get_running_loop().time() - self._last_answer <= _MISSED_BEATS * self._heartbeat

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except ERRORS as error:
                log.warning("Postgres bus does not listen: %s", type(error).__name__)
            await asyncio.sleep(_BACKOFF)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=self._heartbeat, command_timeout=self._heartbeat)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(self._channel, self._on_hint)
            self._wake(None)
            while not lost.is_set():
                await connection.execute("SELECT 1")
                self._last_answer = asyncio.get_running_loop().time()
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), self._heartbeat)
        finally:
            connection.terminate()

    def _on_hint(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._wake(str(payload))


class Notifier:
    """Sends hints outside of transactions, at most one batch every 5 ms, best effort."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._queues: set[str] = set()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, pool: Pool) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run(pool), name=f"notify {self._channel}")

    async def close(self) -> None:
        """Stop; hints that are not sent yet are found by the readers' poll."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def announce(self, queues: Iterable[str]) -> None:
        """Have the readers of these queues look soon."""
        self._queues.update(queues)
        self._ready.set()

    async def _run(self, pool: Pool) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            queues, self._queues = self._queues, set()
            with suppress(*ERRORS):
                await pool.executemany(sql.NOTIFY, [(self._channel, queue) for queue in queues])
            await asyncio.sleep(NOTIFY_SECONDS)
