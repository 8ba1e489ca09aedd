"""With `busy = refuse` a bay that is busy refuses as Magnum's does, in its words, and has its one exception."""

from __future__ import annotations

from pathlib import Path

from services.cli.stack import LocalStack
from tests.support.jobs import reason, settled
from tests.support.queues import SPEED, node_count, shape, standstill
from tests.support.wire import Wire, detail, until_ended, wires


async def test_refusing_says_what_magnum_says(tmp_path: Path) -> None:
    extra = {"JEROBOAM_BUSY": "refuse"}
    async with (
        LocalStack(tmp_path, speed=SPEED, time_scale=0.1, extra_environment=extra) as stack,
        wires(stack, "demo") as (demo,),
    ):
        async with standstill(stack):
            bay = await demo.create(node_count=1)
            await _all_refused(demo, bay, "CREATE_IN_PROGRESS", resize=True)
        assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
        async with standstill(stack):
            assert (await demo("PATCH", f"/v1/bays/{bay}", node_count(2))).status_code == 202
            await _all_refused(demo, bay, "UPDATE_IN_PROGRESS", resize=False)
            await demo.resize(bay, 3)  # so that an autoscaler can push again, in Magnum too
        assert [one["state"] for one in await until_ended(demo, bay)] == ["done"] * 3
        assert (await shape(demo, stack, bay))[:2] == (3, 3)


async def _all_refused(demo: Wire, bay: str, status: str, *, resize: bool) -> None:
    doors: list[tuple[str, str, object, str]] = [
        ("PATCH", f"/v1/bays/{bay}", node_count(3), "Updating a bay"),
        ("PATCH", f"/v1/clusters/{bay}", node_count(3), "Updating a cluster"),
        *([("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 3}, "Resizing a cluster")] * resize),
    ]
    for method, path, body, words in doors:
        refused = await demo(method, path, body)
        assert (refused.status_code, detail(refused)) == (400, f'{words} when status is "{status}" is not supported.')
    assert (await demo.get(f"/v1/clusters/{bay}"))["status"] == status
