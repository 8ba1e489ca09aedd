"""An answer that never comes, and one that comes after everybody stopped waiting: the effect is there all the same.

Every mutating call that we make to the cloud is struck, once by "answer lost, effect kept" and once by "effect at 89 s,
answer at 90 s" (in the tests' scaled time), and nothing may be there twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.domain.errors import CloudError
from tests.kill.conftest import TIME_SCALE
from tests.support.jobs import BAYMODEL, cloud_counts, control, reason, rows, settled

SPEED = 40
LATE_EFFECT, LATE_ANSWER = 89 * TIME_SCALE * SPEED, 90 * TIME_SCALE * SPEED
"""Simulated seconds, so that they stand to our call limit as 89 s and 90 s do to 30 s."""

MUTATING = {
    "create the credential": ("identity", "POST", "/application_credentials$"),
    "create a server group": ("compute", "POST", "/os-server-groups$"),
    "create the stack": ("orchestration", "POST", "/stacks$"),
    "update the stack": ("orchestration", "PATCH", "/stacks/[^/]+/[^/]+$"),
    "delete the stack": ("orchestration", "DELETE", "/stacks/"),
    "delete a server group": ("compute", "DELETE", "/os-server-groups/"),
    "revoke the credential": ("identity", "DELETE", "/application_credentials/"),
}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[LocalStack]:
    """The embedded default, quick; the sweep runs every 12 s, when nothing late can still come."""
    extra = {"JEROBOAM_SWEEP_MINUTES": "2"}
    async with LocalStack(tmp_path, speed=SPEED, time_scale=TIME_SCALE, extra_environment=extra) as running:
        yield running


@pytest.mark.parametrize("kind", ["answer_lost", "late"])
async def test_every_mutating_call_may_lose_its_answer(stack: LocalStack, kind: str) -> None:
    before = await cloud_counts(stack)
    async with stack.client("demo") as client:
        labels = {"server_group_policies": "soft-anti-affinity"}
        model = await client.create_baymodel({**BAYMODEL, "volume_driver": "cinder", "labels": labels})
        await _strike_all(stack, kind)
        bay = await _create(client, model.uuid)
        assert await settled(client, bay) == "CREATE_COMPLETE", await reason(client, bay)
        await _one_stack(stack)
        await client.resize_bay(bay, 3)
        assert await settled(client, bay) == "UPDATE_COMPLETE", await reason(client, bay)
        await _one_stack(stack)
        assert (await cloud_counts(stack))["server"] == before["server"] + 4
        await client.delete_bay(bay)
        assert await settled(client, bay) == ""
    struck = {one["path"]: one["struck"] for one in (await control(stack, "/faults"))["faults"]}
    assert struck == {path: 1 for _service, _method, path in MUTATING.values()}
    await _as_before(stack, before)


async def _strike_all(stack: LocalStack, kind: str) -> None:
    for service, method, path in MUTATING.values():
        rule: dict[str, object] = {"kind": kind, "service": service, "method": method, "path": path}
        if kind == "late":
            rule |= {"effect_at": LATE_EFFECT, "answer_at": LATE_ANSWER}
        await control(stack, "/faults", "POST", rule)


async def _create(client: JeroboamClient, model: str) -> str:
    """The POST whose credential call lost its answer is refused with 503; the owner asks again, as the answer says."""
    while True:
        try:
            return await client.create_bay({"name": "lost", "baymodel_id": model, "node_count": 2})
        except CloudError as error:
            if error.status is not None and error.status < 500:
                raise
            await asyncio.sleep(0.3)


async def _one_stack(stack: LocalStack) -> None:
    top = [one for one in (await control(stack, "/heat/stacks"))["stacks"] if one["parent"] is None]
    assert len(top) == 1


async def _as_before(stack: LocalStack, before: dict[str, int]) -> None:
    """Soon nothing is left, also of what arrived late: the sweep finds it by the mark that it bears."""
    async with asyncio.timeout(60):
        while True:
            counts = await cloud_counts(stack)
            rows_left = await rows(stack, "SELECT name FROM cloud_credentials")
            if counts == before and not rows_left:
                return
            await asyncio.sleep(0.5)
