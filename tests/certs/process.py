"""The service as a process of its own, and a gateway's end of the bus."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from shared.bus import make_bus
from shared.bus.port import Bus, DeadLetter
from shared.contracts import Message, encode
from shared.contracts.certificate import CertificateSigned, CertificateSignRequested
from tests.certs.world import MASTER_KEY, ROLE, World, as_role


def environment(world: World, home: Path) -> dict[str, str]:
    """The settings of a certs process that uses `home` for its files."""
    key_file = home / "master.key"
    if not key_file.exists():
        key_file.touch(0o600)
        key_file.write_text(MASTER_KEY)
    return {
        "PATH": os.environ["PATH"],
        "JEROBOAM_DATABASE_URL": as_role(world.dsn, ROLE),
        "JEROBOAM_KEYSTONE_URL": "http://127.0.0.1:1/v3",
        "JEROBOAM_SERVICE_PASSWORD": "unused",
        "JEROBOAM_MASTER_KEY_FILE": str(key_file),
        "JEROBOAM_READY_FILE": str(home / "ready"),
        "JEROBOAM_FAILPOINT_DIR": str(home),
        "JEROBOAM_TIME_SCALE": "0.1",
    }


@asynccontextmanager
async def running_certs(world: World, home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A certs process that is ready; ended, if it is still there, with SIGTERM and expected to end well."""
    ready = home / "ready"
    ready.unlink(missing_ok=True)
    with (home / "certs.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.certs", env=environment(world, home), stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(30):
            while not ready.exists():
                assert process.returncode is None, (home / "certs.log").read_text()
                await asyncio.sleep(0.05)
        yield process
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0, (home / "certs.log").read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Gateway:
    """Asks for signatures over the bus and waits for the replies."""

    def __init__(self, bus: Bus, address: str, replies: asyncio.Queue[CertificateSigned]) -> None:
        self._bus = bus
        self._address = address
        self.replies = replies

    async def send(self, world: World, request_id: UUID) -> None:
        """Point certs at a request."""
        message = CertificateSignRequested(bay_id=world.bay_id, sign_request_id=request_id, reply_to=self._address)
        await self._bus.publish([encode(message)])

    async def reply(self) -> CertificateSigned:
        """The next reply; fails after 20 s."""
        return await asyncio.wait_for(self.replies.get(), 20)


@asynccontextmanager
async def gateway(world: World) -> AsyncIterator[Gateway]:
    """A gateway's end of the Postgres bus, with the gateway's role."""
    replies: asyncio.Queue[CertificateSigned] = asyncio.Queue()

    async def take(message: Message) -> None:
        assert isinstance(message, CertificateSigned)
        replies.put_nowait(message)

    bus = make_bus(amqp_url=None, database_url=as_role(world.dsn, "jb_api"), service="api", on_dead=_no_dead_letter)
    await bus.start()
    try:
        yield Gateway(bus, await bus.open_reply_queue(take), replies)
    finally:
        await bus.close()


async def _no_dead_letter(letter: DeadLetter) -> None:
    raise AssertionError(f"unexpected dead letter: {letter.reason}")
