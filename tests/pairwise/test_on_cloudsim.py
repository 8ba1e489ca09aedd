"""Every two levels of two factors meet in some bay on cloudsim; the driver is one of the factors.

Pairs of one driver come next, as far as they go into so many stacks.
"""

from __future__ import annotations

import pytest

from tests.pairwise.conftest import CELLS, MOST
from tests.realheat.cells import Cell, all_cells, pairs_of, union
from tests.realheat.ground import Ground
from tests.realheat.life import live, masters, workers

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_supported_pair_occurs() -> None:
    assert len(CELLS) <= MOST
    assert union(map(pairs_of, CELLS)) == union(map(pairs_of, all_cells()))


async def test_a_bay_lives(ground: Ground, cell: Cell) -> None:
    before = await ground.counts()
    life = await live(ground, cell, plays_nodes=False)
    assert (len(masters(life.created)), len(workers(life.created))) == (cell.masters, 2)
    assert life.rehearsed.replaced_servers == life.rehearsed_newer.replaced_servers == ()
    assert {node.server_id for node in life.grown.nodes} > {node.server_id for node in life.created.nodes}
    stayed = {node.server_id for node in life.grown.nodes} - {life.leaves.server_id}
    assert {node.server_id for node in life.shrunk.nodes} == stayed
    assert life.left_over == []
    assert await ground.counts() == before
