"""A deletion that an administrator forced ends whatever its steps say, and its last row tells what they said."""

from __future__ import annotations

from uuid import UUID

from shared.db.repositories import bays
from shared.db.repositories import operations as queue
from shared.domain.errors import CloudError
from shared.worker.outcome import Back, Broke, Outcome, StepContext, Wait
from tests.worker.world import StepOf, World


def broke(words: str) -> StepOf:
    async def step(_ctx: StepContext[None]) -> Outcome:
        return Broke(words)

    return step


async def surprises(_ctx: StepContext[None]) -> Outcome:
    raise RuntimeError("nobody expected this")


async def refused(_ctx: StepContext[None]) -> Outcome:
    raise CloudError("Heat answered 403: no", service="orchestration", status=403)


async def away(_ctx: StepContext[None]) -> Outcome:
    raise CloudError("Barbican did not answer", service="key-manager", retryable=True)


async def waits(_ctx: StepContext[None]) -> Outcome:
    return Wait(1, note="the server is still there")


async def goes_back(_ctx: StepContext[None]) -> Outcome:
    return Back("delete.stack", 1, note="once more")


async def test_every_way_to_fail_is_passed_over(world: World) -> None:
    bay_id = await world.bay()
    await force(world, bay_id)
    # Waiting, going back and retrying end with the deadline; what fails at once is passed over at once.
    steps: dict[str, StepOf] = {
        "delete.credentials": surprises,
        "delete.attached": broke("a load balancer is stuck"),
        "delete.stack": refused,
        "delete.follow": waits,
        "delete.authorities": away,
        "delete.verify": goes_back,
    }
    workers = world.workers(steps)
    await world.sql("UPDATE operations SET deadline = now() - interval '1 second'")
    while await there(world, bay_id):
        await world.sql("UPDATE operations SET next_run_at = now()")
        await world.drain(workers)
    async with world.engine.connect() as conn:
        buried = (await conn.exec_driver_sql("SELECT bay_id FROM tombstones")).scalars().all()
        rows = await conn.exec_driver_sql("SELECT event, reason FROM bay_history ORDER BY seq")
        told = [(str(row.event), str(row.reason)) for row in rows]
    assert list(buried) == [bay_id]
    passed = [reason for event, reason in told if event == bays.OBSTACLE]
    expected = ("RuntimeError", "balancer is stuck", "403: no", "still there", "Barbican did not answer", "once more")
    assert all(words in reason for words, reason in zip(expected, passed, strict=True)), passed
    assert told[-1][0] == "deleted"
    assert all(words in told[-1][1] for words in expected)


async def test_without_force_the_first_of_them_ends_it_and_force_takes_it_up(world: World) -> None:
    bay_id = await world.bay()
    await world.delete(bay_id)
    workers = world.workers({"delete.attached": broke("a load balancer is stuck")})
    await world.drain(workers)
    bay = await world.get(bay_id)
    assert (bay.status.value, bay.forced) == ("DELETE_FAILED", False)
    await force(world, bay_id)
    await world.drain(workers)
    assert not await there(world, bay_id)


async def force(world: World, bay_id: UUID) -> None:
    """What the gateway does on an administrator's DELETE with force."""
    async with world.engine.begin() as conn:
        bay = await bays.lock(conn, bay_id)
        assert bay is not None
        await queue.request_delete(conn, bay, "admin", forced=True)


async def there(world: World, bay_id: UUID) -> bool:
    async with world.engine.connect() as conn:
        return await bays.get(conn, bay_id) is not None
