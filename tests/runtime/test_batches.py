"""What waits is done together, nobody waits for company, and nobody pays for another's fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.runtime.batches import LARGEST, Batches


class Work:
    """Doubles numbers. It stands still while `open` is not set, and cannot do batches with the `poison` in them."""

    def __init__(self, poison: int | None = None) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.started: asyncio.Queue[int] = asyncio.Queue()
        self.batches: list[list[int]] = []
        self._poison = poison

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.started.put_nowait(len(items))
        await self.open.wait()
        if self._poison in items:
            raise KeyError(self._poison)
        return [ValueError(one) if one < 0 else 2 * one for one in items]


async def test_who_asks_in_the_same_moment_is_done_together_and_who_comes_alone_at_once() -> None:
    work = Work()
    batches = Batches(work)

    assert await asyncio.gather(*(batches.submit(one) for one in (1, 2, 3))) == [2, 4, 6]
    assert await batches.submit(4) == 8
    assert work.batches == [[1, 2, 3], [4]]


async def test_while_one_batch_is_under_way_the_next_gathers_up_to_its_limit() -> None:
    work = Work()
    batches = Batches(work)
    work.open.clear()
    asked = [batches.submit(0)]
    await work.started.get()
    asked += [batches.submit(one) for one in range(LARGEST + 1)]
    work.open.set()
    await asyncio.gather(*asked)

    assert [len(one) for one in work.batches] == [1, LARGEST, 1]


async def test_lanes_are_batches_at_a_time() -> None:
    work = Work()
    batches = Batches(work, lanes=2)
    work.open.clear()
    asked = []
    for number in range(2):
        asked.append(batches.submit(number))
        await work.started.get()
    asked.append(batches.submit(2))
    assert work.started.empty()
    work.open.set()

    assert await asyncio.gather(*asked) == [0, 2, 4]


async def test_an_item_that_fails_fails_alone() -> None:
    work = Work()
    batches = Batches(work)
    asked = [batches.submit(one) for one in (1, -2, 3)]

    results = await asyncio.gather(*asked, return_exceptions=True)
    assert (results[0], str(results[1]), results[2]) == (2, "-2", 6)
    assert len(work.batches) == 1


async def test_a_batch_that_fails_is_done_again_one_by_one() -> None:
    work = Work(poison=2)
    batches = Batches(work)
    asked = [batches.submit(one) for one in (1, 2, 3)]

    results = await asyncio.gather(*asked, return_exceptions=True)
    assert (results[0], type(results[1]), results[2]) == (2, KeyError, 6)
    assert work.batches == [[1, 2, 3], [1], [2], [3]]
    assert await batches.submit(5) == 10


async def test_who_stops_waiting_stops_nobody_else() -> None:
    work = Work()
    batches = Batches(work)
    work.open.clear()
    gone, left = batches.submit(1), batches.submit(2)
    await work.started.get()
    gone.cancel()
    work.open.set()

    assert await left == 4


async def test_close_waits_for_what_is_under_way_and_cancels_what_does_not_end() -> None:
    work = Work()
    batches = Batches(work)
    good = batches.submit(1)
    await batches.close()
    assert good.result() == 2

    work.open.clear()
    stuck = batches.submit(2)
    await work.started.get()
    await work.started.get()
    await batches.close(grace=0.01)
    with pytest.raises(asyncio.CancelledError):
        await stuck
