"""Servers that have certificates of a bay and are not recorded as its nodes: who keeps a rotation from its end."""

from __future__ import annotations

from shared.domain.rotation import Phase
from tests.certs.rotation_bay import MakeBay, of_role
from tests.certs.world import World


async def test_a_server_that_a_failed_change_left_keeps_it_from_the_last_phase(make: MakeBay, world: World) -> None:
    """It may have its certificates and never have reported yet: it would be cut off all the same."""
    bay = await make(1, 2)
    await bay.ended("resize", "done", "3 hours")
    await bay.attested("left-over", "2 hours")
    await bay.ended("resize", "failed", "1 hour")
    operation = await bay.start()
    for _ in range(10):
        await bay.look(operation)
        await bay.poll()
    rotation = await bay.rotation()
    assert rotation is not None
    assert rotation.phase is Phase.REISSUE
    assert "not known as nodes of this cluster: left-over." in await bay.note("reissue")
    await world.rows(f"UPDATE operations SET deadline = now() WHERE id = '{operation}'")
    await bay.look(operation)
    assert "not known as nodes of this cluster: left-over." in await bay.error(operation)
    await bay.ended("resize", "done", "0")
    await bay.finish(await bay.start())


async def test_a_node_that_was_removed_does_not(make: MakeBay, world: World) -> None:
    """Who stole it goes on to prove himself and to report until its authority is retired, which is what is wanted."""
    bay = await make(1, 2)
    for server_id in of_role(bay.agents, "worker"):
        await bay.attested(server_id, "3 hours")
    await world.rows("DELETE FROM nodes WHERE server_id = 'w1'")
    await bay.ended("resize", "done", "1 hour")
    await bay.poll()
    await bay.finish(await bay.start())
    assert await bay.remains() == [2]


async def test_recorded_nodes_and_those_that_were_refused_do_not(make: MakeBay, world: World) -> None:
    bay = await make(1, 1)
    await bay.ended("create", "done", "1 hour")
    await bay.attested("w0")
    await bay.attested("impostor")
    await world.rows("UPDATE attestations SET state = 'refused' WHERE server_id = 'impostor'")
    await bay.finish(await bay.start())
