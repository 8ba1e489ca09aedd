"""A bay keeps what it was born with: a release with another payload resizes it and touches no server it has."""

from __future__ import annotations

import shutil
from pathlib import Path

from services.cli.stack import LocalStack
from tests.support.jobs import BAYMODEL, cloud_counts, reason, rows, settled

CODE = Path(__file__).parents[2]
PAYLOAD = Path("shared/drivers/legacy_kubernetes/payload/60-kubernetes.worker.sh")


async def test_a_new_release_s_payload_replaces_no_server(tmp_path: Path) -> None:
    release = tmp_path / "release"
    for package in ("shared", "services"):
        shutil.copytree(CODE / package, release / package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": str(release)}
    stack = LocalStack(tmp_path / "stack", speed=20, time_scale=0.2, restart=True, extra_environment=environment)
    async with stack, stack.client("demo") as client:
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "old", "baymodel_id": model.uuid, "node_count": 2})
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        born = await _servers(stack)

        with (release / PAYLOAD).open("a") as payload:
            payload.write("\necho 'something that the next release does' >> /var/log/jeroboam-next\n")
        stack.supervisor.kill("provisioner-1")
        await stack.supervisor.wait_ready("provisioner-1")

        await client.resize_bay(bay, 3)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        grown = await _servers(stack)
        assert born < grown
        assert len(grown) == 4

        # The new payload is in use all the same, for bays that are born now.
        other = await client.create_bay({"name": "new", "baymodel_id": model.uuid, "node_count": 1})
        assert await settled(client, other) == "CREATE_COMPLETE", await reason(client, other)
        found = await rows(stack, "SELECT bay_id::text, files::text LIKE '%jeroboam-next%' AS next FROM stack_renders")
        assert {row["bay_id"]: row["next"] for row in found} == {bay: False, other: True}


async def _servers(stack: LocalStack) -> set[str]:
    return {row["server_id"] for row in await rows(stack, "SELECT server_id FROM nodes")}


async def test_a_resize_that_would_cost_an_unnamed_server_is_refused(tmp_path: Path) -> None:
    async with LocalStack(tmp_path, speed=20, time_scale=0.2) as stack, stack.client("demo") as client:
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "drift", "baymodel_id": model.uuid, "node_count": 2})
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        # Our record loses a node that the stack still has: what we would send Heat now costs a server.
        await rows(stack, "DELETE FROM nodes WHERE role = 'worker' AND position = 1")
        await client.resize_bay(bay, 3)
        assert await settled(client, bay) == "UPDATE_FAILED"
        assert "Heat would remove 1 servers where 0 were named. Nothing was changed." in await reason(client, bay)
        assert (await cloud_counts(stack))["server"] == 3
