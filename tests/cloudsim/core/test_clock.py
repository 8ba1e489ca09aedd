"""Real, scaled and virtual time."""

from __future__ import annotations

import asyncio

import pytest

from cloudsim.clock import Clock


async def test_virtual_time_moves_only_by_advance() -> None:
    clock = Clock(0)
    start = clock.now()
    waiting = asyncio.create_task(clock.sleep(10))
    await clock.advance(9.9)
    assert not waiting.done()
    await clock.advance(0.1)
    assert waiting.done()
    assert clock.now() - start == pytest.approx(10)
    assert clock.pending == 0


async def test_a_task_that_sleeps_again_is_woken_inside_the_same_advance() -> None:
    clock = Clock(0)
    seen: list[float] = []

    async def ticks() -> None:
        for _ in range(5):
            await clock.sleep(2)
            seen.append(clock.elapsed())

    task = asyncio.create_task(ticks())
    await clock.advance(9)
    assert seen == pytest.approx([2, 4, 6, 8])
    await clock.advance(1)
    await task


async def test_sleepers_wake_in_order_of_their_time() -> None:
    clock = Clock(0)
    woken: list[int] = []
    for seconds in (3, 1, 2):
        clock.call_later(seconds, lambda s=seconds: woken.append(s))  # type: ignore[misc]
    await clock.advance(5)
    assert woken == [1, 2, 3]


async def test_scaled_time_runs_faster_but_timestamps_stay_real() -> None:
    clock = Clock(10_000)
    start = clock.now()
    await clock.sleep(300)
    assert clock.elapsed() >= 300
    assert clock.now() - start < 300


async def test_the_speed_can_change_while_something_sleeps() -> None:
    clock = Clock(0)
    waiting = asyncio.create_task(clock.sleep(1000))
    await clock.advance(1)
    clock.set_speed(1_000_000)
    await asyncio.wait_for(waiting, 5)


async def test_a_cancelled_sleep_leaves_nothing_behind() -> None:
    clock = Clock(0)
    waiting = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert clock.pending == 0


async def test_reset_wakes_sleepers_and_forgets_calls() -> None:
    clock = Clock(0)
    called: list[int] = []
    waiting = asyncio.create_task(clock.sleep(10))
    clock.call_later(1, lambda: called.append(1))
    await asyncio.sleep(0)
    clock.reset()
    await waiting
    await clock.advance(20)
    assert called == []


@pytest.mark.parametrize("seconds", [-1, -0.001])
async def test_time_does_not_run_backwards(seconds: float) -> None:
    with pytest.raises(ValueError, match="backwards"):
        await Clock(0).advance(seconds)
    with pytest.raises(ValueError, match="speed"):
        Clock(seconds)


async def test_cancelled_timers_do_not_pile_up() -> None:
    clock = Clock(0)
    called: list[int] = []
    for number in range(5_000):
        clock.call_later(3600, lambda: called.append(0)).cancel()
        if number % 100 == 0:
            clock.call_later(10, lambda: called.append(1))
    assert clock.pending == 50
    await clock.advance(3600)
    assert called == [1] * 50
