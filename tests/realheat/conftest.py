"""One real cloud and one simulated one, with the same bays living on both."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.realheat.cells import Cell, all_cells, distros, sample
from tests.realheat.ground import Ground, ground_in
from tests.realheat.life import Life, ShardedLife, live, live_sharded
from tests.realheat.simulated import simulated_ground
from tests.support.realcloud import NoCloud, real_cloud

MATRIX = "JEROBOAM_HEAT_MATRIX"
"""Which drivers' cells are all tried: "all", or names with commas between. Unset: a sample of every driver's."""
SAMPLE, AT_ONCE = 6, 3


def _chosen() -> list[Cell]:
    """The cells to try, those with most to make first, so that the last to end is a quick one."""
    asked = os.environ.get(MATRIX, "")
    wanted = [cell for cell in all_cells() if asked == "all" or cell.driver in asked.split(",")]
    return sorted(wanted if asked else sample(SAMPLE), key=lambda cell: -cell.masters - cell.balancer)


SHARDED = all_cells()[0]
"""The plainest bay; all drivers have the template of further stacks in common."""
CELLS = _chosen()


@dataclass(frozen=True)
class Lives:
    """Bays that live on one cloud, a few at a time; a life is awaited where it is judged."""

    ground: Ground
    before: Counter[str]
    of: dict[Cell, asyncio.Task[Life]]
    sharded: asyncio.Task[ShardedLife]

    async def all(self) -> None:
        """Return when the last has ended, however it did."""
        await asyncio.gather(*self.of.values(), self.sharded, return_exceptions=True)


def begin(ground: Ground, before: Counter[str], cells: Sequence[Cell], *, plays_nodes: bool, at_once: int) -> Lives:
    """Let the bays of these cells live."""
    turn = asyncio.Semaphore(at_once)

    async def one(cell: Cell) -> Life:
        async with turn:
            return await live(ground, cell, plays_nodes=plays_nodes)

    async def sharded() -> ShardedLife:
        async with turn:
            return await live_sharded(ground, SHARDED, plays_nodes=plays_nodes)

    of = {cell: asyncio.create_task(one(cell)) for cell in cells}
    return Lives(ground, before, of, asyncio.create_task(sharded()))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real() -> AsyncIterator[Lives]:
    """The bays on real Heat."""
    try:
        found = await asyncio.to_thread(real_cloud)
    except NoCloud as reason:
        pytest.skip(f"NOT RUN: realheat ({reason})")
    cloud = found.open()
    async with ground_in(cloud.for_service(), distros()) as ground:
        lives = begin(ground, await ground.counts(), CELLS, plays_nodes=True, at_once=AT_ONCE)
        yield lives
        await lives.all()
    await cloud.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lives]:
    """The same bays on simulated Heat."""
    async with simulated_ground(tmp_path_factory.mktemp("cloudsim"), distros()) as ground:
        lives = begin(ground, await ground.counts(), CELLS, plays_nodes=False, at_once=AT_ONCE)
        yield lives
        await lives.all()


@pytest.fixture(params=CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> Cell:
    """A cell of the table."""
    found: Cell = request.param
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def life(real: Lives, cell: Cell) -> Life:
    """What a bay of the cell went through on real Heat."""
    return await real.of[cell]
