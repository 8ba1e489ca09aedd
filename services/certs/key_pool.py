"""RSA keys made before they are wanted, because one takes about 60 ms of CPU. In memory only; what is left over at the
end of the process was never used."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.pki_client import KeyKind, new_key


class KeyPool:
    """Up to `size` RSA-2048 keys. Keys are PKCS#8 DER, not encrypted. One event loop only."""

    def __init__(self, cpu: Executor, size: int) -> None:
        self._cpu = cpu
        self._ready: asyncio.Queue[bytes] = asyncio.Queue(max(size, 1))
        self._size = size

    async def take(self) -> bytes:
        """A key that nobody else gets; made now when none is ready."""
        try:
            return self._ready.get_nowait()
        except asyncio.QueueEmpty:
            return await self._make()

    async def fill_forever(self) -> None:
        """Keep the pool full, one key at a time, until cancelled."""
        if self._size == 0:
            await asyncio.Event().wait()
        while True:
            await self._ready.put(await self._make())

    async def _make(self) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._cpu, _new_rsa_key)


def _new_rsa_key() -> bytes:
    return new_key(KeyKind.RSA_2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
