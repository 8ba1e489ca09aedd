"""RSA keys made before they are wanted, because one takes about 60 ms of CPU. In memory only; what is left over at the
end of the process was never used.

They are made one at a time, and after each comes a pause: as long as the making while the pool is empty, the longer the
fuller it is. So a process that starts takes half of a core at first and ever less. Who finds the pool empty ends the
pause.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor
from contextlib import suppress

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.pki_client import KeyKind, new_key


class KeyPool:
    """Up to `size` RSA-2048 keys. Keys are PKCS#8 DER, not encrypted. One event loop only."""

    def __init__(self, cpu: Executor, size: int) -> None:
        self._cpu = cpu
        self._ready: asyncio.Queue[bytes] = asyncio.Queue(max(size, 1))
        self._size = size
        self._empty = asyncio.Event()

    async def take(self) -> bytes:
        """A key that nobody else gets; made now when none is ready."""
        try:
            return self._ready.get_nowait()
        except asyncio.QueueEmpty:
            self._empty.set()
            return await self._make()

    async def fill_forever(self) -> None:
        """Keep the pool full until cancelled."""
        if self._size == 0:
            await asyncio.Event().wait()
        while True:
            begin = time.monotonic()
            self._empty.clear()
            key = await self._make()
            pause = (time.monotonic() - begin) * (1 + self._ready.qsize())
            await self._ready.put(key)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), pause)

    async def _make(self) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._cpu, _new_rsa_key)


def _new_rsa_key() -> bytes:
    return new_key(KeyKind.RSA_2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
