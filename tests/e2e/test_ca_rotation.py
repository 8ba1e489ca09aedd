"""Rotating a bay's certificate authorities, through the API, the database, the bus and the authority; nodes follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from shared.pki_client import ChainError, new_key_and_csr, verify_chain
from tests.e2e.nodes import PATIENCE, nodes_of
from tests.e2e.rotating_ca import Scene, at_work, scene
from tests.support.jobs import reason, rows

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with scene(tmp_path_factory.mktemp("stack")) as running:
        yield running


def holds(pem: str, authority: str) -> bool:
    try:
        verify_chain(pem, authority)
    except ChainError:
        return False
    return True


async def authority(it: Scene, bay: str) -> str:
    return (await it.demo.client.authority(bay)).pem


async def test_three_masters_and_their_workers_change_over(it: Scene) -> None:
    bay, agents = await it.bay(masters=3, workers=2)
    before = [replace(one.node) for one in agents]
    old = await authority(it, bay)
    signed = (await it.demo.client.sign(bay, new_key_and_csr("admin", "system:masters").csr_pem)).pem
    assert holds(signed, old)
    async with at_work(agents):
        await it.rotate(bay)
        await it.complete(bay, "UPDATE_COMPLETE")

    new = await authority(it, bay)
    assert new != old
    assert new.count("BEGIN CERTIFICATE") == 1
    assert not holds(signed, new)
    assert holds((await it.demo.client.sign(bay, new_key_and_csr("admin", "system:masters").csr_pem)).pem, new)
    for agent, was in zip(agents, before, strict=True):
        assert holds(agent.node.certificate, new)
        assert agent.wanted is not None
        assert agent.wanted["ca_pem"].strip() == new.strip()
        assert (await agent.node.call("GET", "/nodes/self")).status_code == 200
        assert (await was.call("GET", "/nodes/self")).status_code in (401, 403)
    assert await it.generations(bay) == {1: (False, 0), 2: (True, 3)}
    trail = await rows(
        it.stack, "SELECT 1 FROM certificate_audit WHERE action = 'rotation turn' AND bay_id = $1::uuid", bay
    )
    assert len(trail) == 3 * len(agents)

    # A node that is born later is of the new authorities.
    await it.demo.resize(bay, 3)
    await it.complete(bay, "UPDATE_COMPLETE")
    known = {one.node.server_id for one in agents}
    (born,) = [node for node in await nodes_of(it.stack, it.demo.client, bay) if node.server_id not in known]
    await born.insist(born.csr())
    assert holds(born.certificate, new)
    await it.demo.client.delete_bay(bay)


@pytest.mark.parametrize("phase", ["trust", "reissue"])
async def test_what_is_undone_leaves_everybody_with_what_there_was(it: Scene, phase: str) -> None:
    bay, agents = await it.bay(workers=2)
    old = await authority(it, bay)
    stopped = agents[-1]
    why = "no space left on the device"
    if phase == "trust":
        stopped.problem = why
    else:
        stopped.obstacle = why
    async with at_work(agents):
        await it.rotate(bay)
        await said(it, bay, phase, "2 of 3 nodes ")
        await said(it, bay, phase, f"{stopped.node.name}: its turn since ")
        if phase == "reissue":
            assert not holds(agents[0].node.certificate, old)
        await it.undo(bay)
        stopped.problem = None
        await it.complete(bay, "UPDATE_COMPLETE")
        assert "the previous certificate authorities stay" in await it.note(bay, "drop")

    assert await authority(it, bay) == old
    assert await it.generations(bay) == {1: (True, 3), 2: (False, 0)}
    for agent in agents:
        assert holds(agent.node.certificate, old)
        answer = await agent.node.call("GET", "/nodes/self")
        assert (answer.status_code, answer.json()["ca_pem"].strip()) == (200, old.strip())


async def test_laggards_are_named_and_asking_again_finishes_it(it: Scene) -> None:
    bay, agents = await it.bay(workers=2)
    old = await authority(it, bay)
    late, gone = agents[1:]
    late.problem = "containerd does not start"
    async with at_work(agents[:2]):
        await it.rotate(bay)
        await said(it, bay, "trust", "1 of 3 nodes trust the new")
        await it.time_is_up(bay)
        await it.complete(bay, "UPDATE_FAILED")
        why = await reason(it.demo.client, bay)
        assert why.startswith("2 of 3 nodes do not trust the new certificate authorities beside the old ones yet: ")
        assert f"{late.node.name} (containerd does not start), {gone.node.name} (has never reported)" in why
        assert await it.generations(bay) == {1: (True, 3), 2: (True, 3)}
        faults = (await it.demo.get(f"/v1/clusters/{bay}"))["faults"]
        assert set(faults) == {late.node.name, gone.node.name}

    late.problem = None
    async with at_work(agents):
        await it.rotate(bay)
        await it.complete(bay, "UPDATE_COMPLETE")
    new = await authority(it, bay)
    assert new != old
    assert all(holds(one.node.certificate, new) for one in agents)
    assert await it.generations(bay) == {1: (False, 0), 2: (True, 3)}


async def said(it: Scene, bay: str, step: str, words: str) -> None:
    """Once the operation says so."""
    async with asyncio.timeout(PATIENCE):
        while words not in await it.note(bay, step):
            await asyncio.sleep(0.05)
