"""An update that its owner wants rolled back: Heat fails to grow the bay, and everything is as it was."""

from __future__ import annotations

from pathlib import Path

from services.cli.stack import LocalStack
from tests.support.jobs import BAYMODEL, cloud_counts, control, reason, rows, settled


async def test_a_failed_update_is_rolled_back_when_asked(tmp_path: Path) -> None:
    async with LocalStack(tmp_path, speed=20, time_scale=0.2) as stack, stack.client("demo") as client:
        model = await client.create_baymodel(BAYMODEL)
        bay = await client.create_bay({"name": "back", "baymodel_id": model.uuid, "node_count": 1})
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        before, nodes = await cloud_counts(stack), await rows(stack, "SELECT server_id FROM nodes ORDER BY 1")

        fault = {"effect": "fail", "type": "OS::Nova::Server", "reason": "No valid host was found."}
        await control(stack, "/heat/behaviours", "POST", fault)
        await client.session.call(
            "container-infra",
            "PATCH",
            f"/bays/{bay}",
            json=[{"op": "replace", "path": "/node_count", "value": 3}],
            params={"rollback": "True"},
            headers={"OpenStack-API-Version": "container-infra 1.3"},
        )
        assert await settled(client, bay) == "UPDATE_FAILED"
        why = await reason(client, bay)
        assert "was rolled back to 1 nodes" in why
        assert "No valid host was found." in why
        assert (await client.bay(bay)).node_count == 1
        assert await rows(stack, "SELECT server_id FROM nodes ORDER BY 1") == nodes
        assert await cloud_counts(stack) == before
