"""The number of a bay's masters changes, one at a time, and the others stay what they are."""

from __future__ import annotations

from pathlib import Path

from services.cli.stack import LocalStack
from tests.e2e.masters import Masters, at_work
from tests.support.jobs import BAYMODEL, reason, rows, settled


async def _bay(stack: LocalStack, client: object, masters: int = 1) -> Masters:
    from shared.client.api import JeroboamClient

    assert isinstance(client, JeroboamClient)
    model = await client.create_baymodel({**BAYMODEL, "master_lb_enabled": True})
    bay = await client.create_bay({"baymodel_id": model.uuid, "name": "m", "master_count": masters, "node_count": 2})
    assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
    return Masters(stack, client, bay)


async def _workers(stack: LocalStack) -> set[str]:
    return {row["server_id"] for row in await rows(stack, "SELECT server_id FROM nodes WHERE role = 'worker'")}


async def test_masters_come_and_go_one_at_a_time(tmp_path: Path) -> None:
    async with LocalStack(tmp_path, speed=20, time_scale=0.05) as stack, stack.client("demo") as client:
        masters = await _bay(stack, client)
        workers = await _workers(stack)
        async with at_work(masters):
            first = await masters.servers()
            await masters.resize(3)
            three = await masters.servers()
            assert len(three) == 3
            assert first.items() <= three.items()
            assert (await client.bay(masters.bay)).master_count == 3
            await masters.resize(1)
            assert await masters.servers() == first
            assert masters.sizes == [1, 2, 3, 2, 1]
            # A group that grows again takes the indices that it gave up, and the lists by place stay right.
            await masters.resize(3)
            again = await masters.servers()
            assert again.keys() == three.keys()
            assert first.items() <= again.items()
            assert len(set(again.values()) & set(three.values())) == 1
        assert await _workers(stack) == workers
        shown = await client.bay(masters.bay)
        assert (shown.master_count, len(shown.master_addresses or [])) == (3, 3)
