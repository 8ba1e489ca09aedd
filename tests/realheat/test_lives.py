"""Real Heat judges the stacks of every driver: made, grown, shrunk, deleted; and cloudsim is held to what it did."""

from __future__ import annotations

import ipaddress

import pytest

from tests.realheat.cells import Cell
from tests.realheat.conftest import Lives
from tests.realheat.ground import until_as_before
from tests.realheat.life import Life, masters, shape, workers

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_bay_is_made_and_its_outputs_can_be_read(life: Life, cell: Cell) -> None:
    made, facts = life.created, life.bay.facts
    print(f"\n{cell}: {life.seconds}")
    assert (len(masters(made)), len(workers(made))) == (cell.masters, 2)
    assert [node.name for node in masters(made)] == [f"{life.bay.prefix}-master-{i}" for i in range(cell.masters)]
    assert len({node.server_id for node in made.nodes}) == len(made.nodes)
    assert made.master_addresses == tuple(node.address for node in masters(made))
    for node in made.nodes:
        assert ipaddress.ip_address(node.private_address).is_private
        assert (node.address != node.private_address) == cell.floating, node
    inside = [life.outputs["api_private_address"], life.outputs["api_public_address"]]
    assert str(inside[1]) in made.api_address
    assert (inside[0] == masters(made)[0].private_address) == (not cell.balancer)
    assert facts.operation_id == life.outputs["jeroboam_operation"]


async def test_a_bay_grows_while_its_authorities_are_rotated_and_every_server_stays(life: Life) -> None:
    assert life.rehearsed.replaced_servers == ()
    assert life.rehearsed.servers_fewer == 0
    before, after = ({node.server_id for node in one.nodes} for one in (life.created, life.grown))
    assert before < after
    assert len(after) == len(before) + 1


async def test_a_bay_shrinks_by_who_was_named_though_its_payload_has_changed(life: Life) -> None:
    """Rule 6: a later release's user-data replaces no server, and the rehearsal says so."""
    assert life.rehearsed_newer.replaced_servers == ()
    assert life.rehearsed_newer.servers_fewer == 1
    before, after = ({node.server_id for node in one.nodes} for one in (life.grown, life.shrunk))
    assert before - after == {life.leaves.server_id}
    assert after < before
    kept = {node.server_id: node for node in life.shrunk.nodes}
    assert [kept[node.server_id] for node in life.grown.nodes if node.server_id in kept] == [*life.shrunk.nodes]


async def test_a_deleted_bay_leaves_nothing(life: Life) -> None:
    assert life.left_over == []


async def test_cloudsim_does_the_same(life: Life, simulated: Lives, cell: Cell) -> None:
    """The same outputs with the same types, keys and numbers of members; the same resources."""
    other = await simulated.of[cell]
    assert shape(other.outputs) == shape(life.outputs)
    assert other.kinds == life.kinds
    assert shape(other.later_outputs) == shape(life.later_outputs)
    assert other.later_kinds == life.later_kinds
    assert [node.index for node in other.shrunk.nodes] == [node.index for node in life.shrunk.nodes]
    for mine, theirs in ((other.rehearsed, life.rehearsed), (other.rehearsed_newer, life.rehearsed_newer)):
        assert (mine.replaced_servers, mine.servers_fewer) == (theirs.replaced_servers, theirs.servers_fewer)
    assert other.left_over == []


async def test_a_large_bay_has_further_stacks(real: Lives, simulated: Lives) -> None:
    """Their nodes stand beside the first stack's, and resizing one stack leaves the other alone."""
    life, other = await real.sharded, await simulated.sharded
    assert life.rehearsed_newer.replaced_servers == ()
    assert life.rehearsed_newer.servers_fewer == 1
    assert len(life.created) == 2
    assert life.shrunk == tuple(node for node in life.created if node != life.leaves)
    assert life.first_before == life.first_after
    assert not {node.server_id for node in life.created} & {node.server_id for node in life.first_before.nodes}
    assert shape(other.outputs) == shape(life.outputs)
    assert life.left_over == other.left_over == []


async def test_the_project_is_as_before(real: Lives) -> None:
    """Nameless things too, such as volumes that Nova makes to boot from."""
    await real.all()
    assert await until_as_before(real.ground, real.before) == real.before
