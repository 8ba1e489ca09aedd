"""Heat tells when a stack ends, and the bay's wait ends at once: proved by what timers were still to come, not by time.

The simulated cloud publishes nothing, so the tests publish in Heat's stead, through a real RabbitMQ. Every timer of the
provisioner is 15 s or more away here: what ends before its timer was ended by a notification.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.openstack.notifications import PREFETCH
from tests.support.heat_bus import HeatBus, heat_bus, notification
from tests.support.jobs import control, reason, rows, settled
from tests.support.queues import next_fails, standstill
from tests.support.servers import rabbitmq_or_skip
from tests.support.wire import Wire, wires

T = TypeVar("T")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Scene:
    """Everything running, Heat's bus, and a person."""

    stack: LocalStack
    heat: HeatBus
    demo: Wire

    async def publish(self, bay: str, event: str, state: str, *, project: str | None = None) -> None:
        """What Heat would publish of the bay's stack."""
        (row,) = await rows(self.stack, "SELECT stack_name, project_id FROM bays WHERE id = $1", UUID(bay))
        tags = ("jeroboam", f"jeroboam-bay-{bay}")
        whose = project or row["project_id"]
        await self.heat.publish(notification(event, state, name=row["stack_name"], project=whose, tags=tags))

    async def operation(self, bay: str) -> Any:
        """The bay's active operation."""
        query = "SELECT *, next_run_at - now() AS wait FROM operations WHERE bay_id = $1 AND state = 'active'"
        (row,) = await rows(self.stack, query, UUID(bay))
        return row

    async def waits(self, bay: str, step: str, at_least: float) -> datetime:
        """Until the operation waits in the step, for at least so many seconds; when it would look by itself."""

        async def waiting() -> datetime | None:
            row = await self.operation(bay)
            there = row["step"] == step and row["lease_token"] is None and row["wait"].total_seconds() > at_least
            return row["next_run_at"] if there else None

        return await until(waiting)

    async def told_of(self, bay: str, what: str = "create") -> datetime:
        """Until the operation waits for Heat's word, which it only does when it has heard of the stack."""
        await self.waits(bay, f"{what}.follow", 8)
        await self.publish(bay, f"{what}.start", f"{what.upper()}_IN_PROGRESS")

        async def heard() -> bool:
            return '"notified"' in (await self.operation(bay))["memo"]

        await until(heard)
        await rows(self.stack, "UPDATE operations SET next_run_at = now() WHERE bay_id = $1", UUID(bay))
        return await self.waits(bay, f"{what}.follow", 30)

    async def before(self, timer: datetime) -> bool:
        """Whether that timer is still to come."""
        (row,) = await rows(self.stack, "SELECT now() < $1 AS before", timer)
        return bool(row["before"])

    async def listings(self) -> int:
        """How often Heat's stacks were listed."""
        found = (await control(self.stack, "/requests?service=orchestration&method=GET"))["requests"]
        return sum(row["count"] for row in found if row["path"].endswith("/stacks"))

    async def stack_is(self, bay: str, status: str | None) -> None:
        """Until the cloud's stack has this status, or is gone."""

        async def there() -> bool:
            stacks = (await control(self.stack, "/state?kind=stack"))["records"]["stack"]
            found = [one["stack_status"] for one in stacks if UUID(bay).hex[:12] in one["stack_name"]]
            return found == ([] if status is None else [status])

        await until(there)


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """What the look finds, once it finds something."""
    async with asyncio.timeout(60):
        while not (found := await look()):
            await asyncio.sleep(0.05)  # other processes' state: there is no event to wait for
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    url = rabbitmq_or_skip("Heat's notifications end to end")
    async with heat_bus(url) as heat:
        await heat.other_listens()
        extra = {
            "JEROBOAM_POLL_SECONDS": "60",
            "JEROBOAM_HEAT_NOTIFICATIONS_URL": url,
            "JEROBOAM_HEAT_NOTIFICATIONS_EXCHANGE": heat.source.exchange,
            "JEROBOAM_HEAT_NOTIFICATIONS_TOPIC": heat.source.topic,
            "JEROBOAM_HEAT_NOTIFICATIONS_QUEUE": heat.source.queue,
        }
        root = tmp_path_factory.mktemp("stack")
        async with (
            LocalStack(root, bus="rabbitmq", amqp_url=url, speed=40, time_scale=0.2, extra_environment=extra) as stack,
            wires(stack, "demo") as (demo,),
        ):
            yield Scene(stack, heat, demo)


async def test_a_told_end_is_seen_at_once(scene: Scene) -> None:
    async with standstill(scene.stack) as go_on:
        bay = await scene.demo.create(name="told")
        timer = await scene.told_of(bay)
        listings = await scene.listings()
        await go_on()
        await scene.stack_is(bay, "CREATE_COMPLETE")
        assert (await scene.demo.get(f"/v1/clusters/{bay}"))["status"] == "CREATE_IN_PROGRESS"
        assert await scene.listings() == listings
        await scene.publish(bay, "create.end", "CREATE_COMPLETE")
        assert await settled(scene.demo.client, bay) == "CREATE_COMPLETE", await reason(scene.demo.client, bay)
    assert await scene.before(timer)
    assert await scene.listings() - listings <= 3


async def test_an_end_that_heat_tells_before_it_shows_it(scene: Scene) -> None:
    async with standstill(scene.stack) as go_on:
        bay = await scene.demo.create(name="early")
        timer = await scene.told_of(bay)
        listings = await scene.listings()
        await scene.publish(bay, "create.end", "CREATE_COMPLETE")

        async def looked() -> bool:
            return await scene.listings() > listings

        await until(looked)
        assert (await scene.demo.get(f"/v1/clusters/{bay}"))["status"] == "CREATE_IN_PROGRESS"
        await go_on()
        assert await settled(scene.demo.client, bay) == "CREATE_COMPLETE", await reason(scene.demo.client, bay)
    assert await scene.before(timer)


async def test_a_told_failure_is_seen_at_once(scene: Scene) -> None:
    async with standstill(scene.stack) as go_on:
        bay = await scene.demo.create(name="fails")
        await next_fails(scene.stack, bay, "kube_minions/*")
        timer = await scene.told_of(bay)
        await go_on()
        await scene.stack_is(bay, "CREATE_FAILED")
        await scene.publish(bay, "create.error", "CREATE_FAILED")
        assert await settled(scene.demo.client, bay) == "CREATE_FAILED"
    assert await scene.before(timer)


async def test_a_told_deletion_is_seen_at_once(scene: Scene) -> None:
    async with standstill(scene.stack) as go_on:
        bay = await scene.demo.create(name="goes")
        await scene.told_of(bay)
        assert (await scene.demo("DELETE", f"/v1/clusters/{bay}")).status_code == 204
        timer = await scene.told_of(bay, "delete")
        await go_on()
        await scene.stack_is(bay, None)
        await scene.publish(bay, "delete.end", "DELETE_COMPLETE")
        assert await settled(scene.demo.client, bay) == ""
    assert await scene.before(timer)


async def test_foreign_words_change_nothing(scene: Scene) -> None:
    async with standstill(scene.stack):
        bay = await scene.demo.create(name="forged")
        timer = await scene.told_of(bay)
        listings = await scene.listings()
        for _ in range(2 * PREFETCH):  # so many that the first ones are handled when the last ones are taken
            await scene.publish(bay, "create.end", "CREATE_COMPLETE", project="somebody-else")
        for _ in range(2 * PREFETCH):
            await scene.heat.publish(notification("create.end", "CREATE_COMPLETE", name="x", project="p", tags=[]))

        async def all_taken() -> bool:
            return (await scene.heat.waiting(scene.heat.source.queue))[0] == 0

        await until(all_taken)
        assert await scene.waits(bay, "create.follow", 0) == timer
        assert await scene.listings() == listings


async def test_the_other_listener_has_everything(scene: Scene) -> None:
    await scene.heat.publish(notification("create.end", "CREATE_COMPLETE", name="x", project="p", tags=[]))
    await scene.heat.publish(notification("create.error", "CREATE_FAILED", name="x", project="p", tags=[]))
    for level, key in zip(("info", "error"), scene.heat.source.keys, strict=True):

        async def all_there(level: str = level, key: str = key) -> bool:
            return await scene.heat.waiting(key) == (scene.heat.sent_at(level), 0)

        await until(all_there)
