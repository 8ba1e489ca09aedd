"""The design's own times, unscaled: a dead worker's operation is taken over after lease and quarantine, 90 s."""

from __future__ import annotations

from pathlib import Path

from services.cli.stack import LocalStack
from tests.kill.points import all_struck
from tests.support.jobs import BAYMODEL, cloud_counts, reason, settled

TAKEN_OVER = 90.0
"""Seconds of lease (60) and quarantine (30)."""

ALLOWANCE = 30.0
"""Seconds for the bay's own creation, on a machine that does other things meanwhile."""


async def test_a_dead_worker_s_work_is_taken_over_and_done_once(tmp_path: Path) -> None:
    points = tmp_path / "failpoints"
    points.mkdir()
    stack = LocalStack(tmp_path / "stack", speed=20, failpoint_dir=points, restart=True)
    async with stack, stack.client("demo") as client:
        model = await client.create_baymodel(BAYMODEL)
        (points / "create.stack:after_effect").touch()
        bay = await client.create_bay({"name": "late", "baymodel_id": model.uuid, "node_count": 1})
        assert await settled(client, bay, seconds=TAKEN_OVER + ALLOWANCE) == "CREATE_COMPLETE", await reason(
            client, bay
        )
        await all_struck(points)
        assert (await cloud_counts(stack))["server"] == 2
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""
