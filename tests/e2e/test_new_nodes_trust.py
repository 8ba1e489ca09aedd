"""A node that is made after, or during, a rotation of its bay's authorities trusts them from its first start."""

from __future__ import annotations

from pathlib import Path

from tests.drivers.agent_pki import Authority
from tests.drivers.cases import take_apart
from tests.e2e.nodes import nodes_of
from tests.e2e.rotating import Scene, scene
from tests.support.jobs import rows


async def trusted_by_the_next(it: Scene, bay: str) -> str:
    """What the next node is born with; all others stay what they are."""
    before = {
        node.server_id: await it.user_data(node.server_id) for node in await nodes_of(it.stack, it.demo.client, bay)
    }
    await it.demo.resize(bay, len(before))  # one of them is the master
    await it.complete(bay, "UPDATE_COMPLETE")
    after = {
        node.server_id: await it.user_data(node.server_id) for node in await nodes_of(it.stack, it.demo.client, bay)
    }
    assert before.items() < after.items()
    (new,) = after.keys() - before.keys()
    return str(take_apart(after[new]).files["/etc/jeroboam/ca.pem"]["content"])


async def test_new_nodes_trust_what_the_bay_trusts(tmp_path: Path) -> None:
    async with scene(tmp_path / "stack") as it:
        bay, nodes = await it.bay(workers=1)
        first, second = (await it.demo.client.authority(bay)).pem, Authority("second").pem
        born = take_apart(await it.user_data(nodes[0].server_id)).files["/etc/jeroboam/ca.pem"]["content"]
        assert (born, await trusted_by_the_next(it, bay)) == (first, first)
        await rows(
            it.stack,
            "INSERT INTO authorities (id, bay_id, kind, generation, certificate, not_after)"
            " VALUES (gen_random_uuid(), $1::uuid, 'kubernetes', 2, $2, now() + interval '9 days')",
            bay,
            second,
        )
        assert await trusted_by_the_next(it, bay) == first + second
        await retire(it, bay, 1)
        assert await trusted_by_the_next(it, bay) == second
        await retire(it, bay, 2)  # undone: it is again what the bay was born with, and the stack must be told
        assert await trusted_by_the_next(it, bay) == first


async def retire(it: Scene, bay: str, generation: int) -> None:
    """That generation, and no other."""
    query = "UPDATE authorities SET retired_at = CASE WHEN generation = $2 THEN now() END WHERE bay_id = $1::uuid"
    await rows(it.stack, query, bay, generation)
