"""How many calls it takes to follow bays: one a project and tick, or one for the whole cloud where Heat allows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from shared.domain.errors import CloudError
from shared.openstack.cloud import Cloud
from shared.openstack.stackwatch import TRY_AGAIN, StackWatch
from tests.openstack.conftest import MakeCloud
from tests.openstack.flows import caller, create, settled
from tests.openstack.sim import Sim

USERS = ("demo", "alt", "admin")
BAYS = 4


@dataclass
class Bays:
    """Stacks in several projects, and a clock that the test moves."""

    sim: Sim
    cloud: Cloud
    now: float = 1000.0
    of: dict[str, list[str]] = field(default_factory=dict)
    """Project → stacks."""

    def watch(self, *, cloud_wide: bool) -> StackWatch:
        everywhere = self.cloud.for_service().heat if cloud_wide else None
        projects = lambda project: self.cloud.for_project(project).heat  # noqa: E731 - as `Cloud` does
        return StackWatch(projects, everywhere=everywhere, clock=lambda: self.now)

    async def tick(self, watch: StackWatch) -> int:
        """Every bay is looked at, two seconds after the last time; how many listings that cost."""
        self.now += 2
        await self.sim.forget()
        asked = [(project, stack) for project, stacks in self.of.items() for stack in stacks]
        found = await asyncio.gather(*(watch.status(project, stack) for project, stack in asked))
        assert [one and one.id for one in found] == [stack for _, stack in asked]
        return await self.sim.count("orchestration", "GET", "/stacks")

    async def allow(self, yes: bool) -> None:
        await self.sim.control("PATCH", "/settings", {"global_stack_list": yes})


@pytest.fixture
async def bays(sim: Sim, make_cloud: MakeCloud) -> AsyncIterator[Bays]:
    made = Bays(sim, make_cloud(sim.identity))
    for user in USERS:
        who, _ = await caller(sim, made.cloud, user)
        ours = made.cloud.for_project(who.project_id)
        stacks = made.of[who.project_id] = [await create(ours, f"bay-{number}") for number in range(BAYS)]
        await asyncio.gather(*(settled(ours, stack) for stack in stacks))
    await made.allow(False)
    yield made
    await made.allow(False)


async def test_one_call_a_project_and_tick(bays: Bays) -> None:
    watch = bays.watch(cloud_wide=False)
    assert [await bays.tick(watch) for _ in range(3)] == [len(USERS)] * 3


async def test_one_call_for_the_cloud_and_tick(bays: Bays) -> None:
    await bays.allow(True)
    watch = bays.watch(cloud_wide=True)
    assert [await bays.tick(watch) for _ in range(3)] == [1, 1, 1]


async def test_a_change_in_one_project_costs_one_call_more(bays: Bays) -> None:
    await bays.allow(True)
    watch = bays.watch(cloud_wide=True)
    assert await bays.tick(watch) == 1
    first, *_ = bays.of
    bays.now += 0.1
    watch.forget(first)
    await asyncio.gather(*(watch.status(project, stacks[0]) for project, stacks in bays.of.items()))
    assert await bays.sim.count("orchestration", "GET", "/stacks") == 2


async def test_where_heat_denies_it_projects_are_listed_and_it_is_said_once(bays: Bays) -> None:
    watch = bays.watch(cloud_wide=True)
    with capture_logs() as logs:
        assert [await bays.tick(watch) for _ in range(3)] == [1 + len(USERS), len(USERS), len(USERS)]
        bays.now += TRY_AGAIN
        assert await bays.tick(watch) == 1 + len(USERS)
    (told,) = [one for one in logs if one["log_level"] == "warning"]
    assert '"stacks:global_index": "user_id:' in told["event"]
    assert told["reason"] == "Heat answered 403: You are not authorized to use stacks:global_index."
    await bays.allow(True)
    bays.now += TRY_AGAIN
    assert await bays.tick(watch) == 1


async def test_other_trouble_is_no_denial(bays: Bays) -> None:
    await bays.allow(True)
    watch = bays.watch(cloud_wide=True)
    await bays.sim.fault(kind="status", service="orchestration", method="GET", path=".*/stacks", status=503)
    (project, stacks), *_ = bays.of.items()
    with pytest.raises(CloudError, match="503"):
        await watch.status(project, stacks[0])
    assert await bays.tick(watch) == 1
