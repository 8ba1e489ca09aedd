"""Workers say that they live, and are taken for dead when they no longer do (contract §1.16)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from structlog.testing import capture_logs

from shared.db.engine import make_engine
from shared.db.repositories import services
from shared.db.repositories.services import DOWN_AFTER, WorkerState
from shared.domain.operation import Service
from shared.worker import heartbeat
from tests.support.database import as_role
from tests.worker.world import World

HOUR = 3600.0


@contextlib.asynccontextmanager
async def beating(dsn: str, service: Service, host: str, every: float) -> AsyncIterator[None]:
    """A heart under the service's own database role, until the end."""
    engine = make_engine(as_role(dsn, f"jb_{service.value}"), pool_size=2)
    task = asyncio.create_task(heartbeat.run(engine, service, host, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.dispose()


async def seen(world: World, enough: int, *, count: int = 1) -> list[WorkerState]:
    """The workers, as soon as there are `enough` that have beaten `count` times."""
    async with asyncio.timeout(30):
        while True:
            async with world.engine.connect() as conn:
                found = await services.states(conn, down_after=DOWN_AFTER)
            if len(found) >= enough and all(one.report_count >= count for one in found):
                return found
            await asyncio.sleep(0.02)


async def test_the_first_beat_comes_at_once(world: World) -> None:
    async with beating(world.dsn, Service.PROVISIONER, "node-1", HOUR):
        (found,) = await seen(world, 1)
    assert (found.host, found.binary, found.state) == ("node-1", "jeroboam-provisioner", "up")
    assert (found.report_count, found.updated_at) == (1, None)
    assert found.created_at == found.last_seen_up
    assert found.last_seen_up.endswith("+00:00")
    assert (found.disabled, found.disabled_reason, found.forced_down) == (False, None, False)


async def test_later_beats_count_in_the_same_row(world: World) -> None:
    async with beating(world.dsn, Service.CERTS, "node-1", 0.02):
        (found,) = await seen(world, 1, count=3)
    assert found.updated_at is not None
    assert found.last_seen_up > found.created_at


async def test_each_service_and_host_has_a_row_and_replicas_share_one(world: World) -> None:
    async with (
        beating(world.dsn, Service.SCALER, "node-1", 0.02),
        beating(world.dsn, Service.SCALER, "node-1", 0.02),
        beating(world.dsn, Service.SCALER, "node-2", 0.02),
        beating(world.dsn, Service.CERTS, "node-2", 0.02),
    ):
        found = await seen(world, 3, count=5)
    assert sorted((one.binary, one.host) for one in found) == [
        ("jeroboam-certs", "node-2"),
        ("jeroboam-scaler", "node-1"),
        ("jeroboam-scaler", "node-2"),
    ]


async def test_silence_means_down_and_a_beat_up_again(world: World) -> None:
    async with beating(world.dsn, Service.SCALER, "node-1", HOUR):
        await seen(world, 1)
    await world.sql("UPDATE services SET last_seen_up = now() - make_interval(secs => 181)")
    assert [one.state for one in await seen(world, 1)] == ["down"]
    await world.sql("UPDATE services SET last_seen_up = now() - make_interval(secs => 179)")
    assert [one.state for one in await seen(world, 1)] == ["up"]
    await world.sql("UPDATE services SET forced_down = true")
    assert [one.state for one in await seen(world, 1)] == ["down"]


async def test_a_database_that_refuses_is_waited_for(world: World) -> None:
    await world.sql("ALTER TABLE services RENAME TO elsewhere")
    with capture_logs() as logs:
        async with beating(world.dsn, Service.CERTS, "node-1", 0.02), asyncio.timeout(30):
            while not logs:
                await asyncio.sleep(0.01)
            await world.sql("ALTER TABLE elsewhere RENAME TO services")
            await seen(world, 1)
    assert {one["event"] for one in logs} == {"heartbeat not written"}
