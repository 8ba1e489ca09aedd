"""The cells that are tried, and the simulated cloud for them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.realheat.cells import Cell, all_cells, cover, distros, own_pairs_of, pairs_of
from tests.realheat.ground import Ground
from tests.realheat.simulated import simulated_ground

MOST = 40
CELLS = cover(all_cells(), own_pairs_of, chosen=cover(all_cells(), pairs_of), most=MOST)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """A cloudsim of the suite's own."""
    async with simulated_ground(tmp_path_factory.mktemp("cloudsim"), distros()) as found:
        yield found


@pytest.fixture(params=CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> Cell:
    """A cell of the table."""
    found: Cell = request.param
    return found
