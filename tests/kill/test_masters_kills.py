"""SIGKILL at every point of a change of masters: it goes on, one at a time, and nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.domain.operation import OperationKind
from tests.e2e.masters import Masters, at_work
from tests.kill.conftest import killable
from tests.kill.points import BUSES, GATEWAY, all_struck, relay_points, step_points, struck_on
from tests.support.jobs import BAYMODEL, cloud_counts, patient, reason, rows, settled

WITHIN = 240.0
KIND = OperationKind.RESIZE_MASTERS
POINTS = [*step_points(KIND), *relay_points(KIND), *GATEWAY]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bus", BUSES)
async def test_masters_change_one_at_a_time_through_every_death(bus: str, tmp_path: Path) -> None:
    armed = struck_on(bus, POINTS)
    async with killable(tmp_path, bus) as (stack, points), stack.client("demo") as client:
        model = await client.create_baymodel({**BAYMODEL, "master_lb_enabled": True})
        bay = await client.create_bay({"baymodel_id": model.uuid, "name": "m", "node_count": 1})
        assert await settled(client, bay) == "CREATE_COMPLETE"
        masters = Masters(stack, client, bay)
        counts = await cloud_counts(stack)
        first = await masters.servers()
        async with at_work(masters):
            # As many deaths as one operation may meet in different steps, on the way up and on the way down.
            for number, start in enumerate(range(0, len(armed), 3)):
                wave, wanted = armed[start : start + 3], 3 if number % 2 == 0 else 1
                for point in wave:
                    (points / point).touch()
                await patient(masters.ask, wanted)
                end = await settled(client, bay, seconds=WITHIN)
                assert end == "UPDATE_COMPLETE", (wave, await reason(client, bay))
                await all_struck(points)
                now = await masters.servers()
                assert len(now) == wanted
                assert first.items() <= now.items()
            if len(await masters.servers()) != 1:
                await masters.resize(1, seconds=WITHIN)
        steps = [abs(one - other) for one, other in zip(masters.sizes, masters.sizes[1:], strict=False)]
        assert set(steps) == {1}, masters.sizes
        assert await cloud_counts(stack) == counts
        states = await rows(stack, "SELECT DISTINCT state FROM operations")
        assert [row["state"] for row in states] == ["done"]
