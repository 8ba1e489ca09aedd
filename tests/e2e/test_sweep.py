"""The slow sweep: a stack that turns up after its bay was buried goes; one of a bay that we never knew stays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain import names
from shared.openstack.heat import HeatClient
from tests.support.jobs import BAYMODEL, reason, rows, settled

TEMPLATE = "heat_template_version: 2018-08-31\nresources: {nothing: {type: OS::Heat::RandomString}}\n"


async def test_only_what_we_buried_is_swept(tmp_path: Path) -> None:
    extra = {"JEROBOAM_SWEEP_MINUTES": "2"}
    async with (
        LocalStack(tmp_path, speed=20, time_scale=0.05, extra_environment=extra) as stack,
        stack.client("demo") as client,
    ):
        heat = HeatClient(client.session)
        living, buried, unknown = await _bay(client), uuid4(), uuid4()
        project = (await rows(stack, "SELECT project_id FROM bays"))[0]["project_id"]
        await rows(
            stack,
            "INSERT INTO tombstones (bay_id, project_id, stack_name) VALUES ($1, $2, 'late')",
            buried,
            project,
        )
        late, foreign = await _stack(heat, buried), await _stack(heat, unknown)
        async with asyncio.timeout(60):
            while (shown := await heat.show(late)) is not None and shown.action != "DELETE":
                await asyncio.sleep(0.2)
        left = {one.id for one in await heat.list_project()}
        assert foreign in left
        assert (await client.bay(living)).stack_id in left


async def _bay(client: JeroboamClient) -> str:
    model = await client.create_baymodel(BAYMODEL)
    bay = await client.create_bay({"name": "living", "baymodel_id": model.uuid, "node_count": 1})
    assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
    return bay


async def _stack(heat: HeatClient, owner: UUID) -> str:
    tags = (names.TAG, names.bay_tag(owner))
    return await heat.create(
        name=f"s-{owner.hex[:12]}", template=TEMPLATE, files={}, environment={}, parameters={}, tags=tags
    )
