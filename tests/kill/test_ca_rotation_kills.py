"""SIGKILL in the midst of a rotation of authorities: it resumes, ends well, and no key is left over in Barbican."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.rotating_ca import at_work, scene
from tests.e2e.test_barbican import secrets
from tests.kill.points import all_struck
from tests.support.jobs import rows

POINTS = (
    "rotate_ca.make:after_effect",  # keys kept, nothing written
    "rotate_ca.make:after_commit",  # begun
    "rotate_ca.trust:after_commit",  # the first turns given
    "rotate_ca.reissue:before_call",  # moved to reissue
    "rotate_ca.drop:before_call",  # moved to drop
    "certs:rotation_destroyed",  # keys destroyed, nothing written
    "certs:relay_confirmed",  # retired and told
)


@pytest.mark.timeout(240)
async def test_a_rotation_survives_death_at_every_turn_of_it(tmp_path: Path) -> None:
    points = tmp_path / "points"
    points.mkdir()
    extra = {"JEROBOAM_CERTIFICATE_STORE": "barbican"}
    async with scene(tmp_path / "stack", failpoint_dir=points, restart=True, extra_environment=extra) as it:
        bay, agents = await it.bay()
        for point in POINTS:
            (points / point).touch()
        async with at_work(agents):
            await it.rotate(bay)
            await it.complete(bay, "UPDATE_COMPLETE")
        await all_struck(points)
        assert await it.generations(bay) == {1: (False, 0), 2: (True, 3)}
        kinds = ("etcd", "front_proxy", "kubernetes")
        kept = sorted([f"jeroboam-{bay}-service_account-1", *(f"jeroboam-{bay}-{kind}-2" for kind in kinds)])
        assert await secrets(it.stack) == kept
        made = "SELECT detail FROM certificate_audit WHERE action = 'authority made' AND detail LIKE '% 2'"
        assert len(await rows(it.stack, made)) == 3
        assert len(await rows(it.stack, "SELECT 1 FROM certificate_audit WHERE action = 'rotation ended'")) == 1
        assert [row["state"] for row in await rows(it.stack, "SELECT state FROM operations ORDER BY seq")] == [
            "done"
        ] * 2
