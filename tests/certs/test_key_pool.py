"""RSA keys made in advance: who asks does not wait, and nobody gets another's."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key
from typing_extensions import override

from services.certs.key_pool import KeyPool


class Counting(ThreadPoolExecutor):
    """Tells how many keys it was asked for."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked = asyncio.Semaphore(0)

    @override
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.asked.release()
        return super().submit(fn, *args, **kwargs)


async def test_an_empty_pool_makes_a_key_at_once() -> None:
    with Counting() as cpu:
        pool = KeyPool(cpu, size=0)
        keys = await asyncio.gather(pool.take(), pool.take())

    assert keys[0] != keys[1]
    opened = load_der_private_key(keys[0], None)
    assert isinstance(opened, rsa.RSAPrivateKey)
    assert opened.key_size == 2048


async def test_a_full_pool_gives_without_making_and_fills_again() -> None:
    with Counting() as cpu:
        pool = KeyPool(cpu, size=2)
        filling = asyncio.create_task(pool.fill_forever())
        for _ in range(3):  # the third is begun when two are ready
            await cpu.asked.acquire()
        keys = {await pool.take(), await pool.take()}
        assert len(keys) == 2
        await cpu.asked.acquire()
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
