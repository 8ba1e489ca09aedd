"""What the flows against cloudsim have in common: a caller, a small stack, waiting for it."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.openstack.cloud import Cloud, ProjectCloud
from shared.openstack.stacks import StackSummary
from tests.openstack.sim import Sim

TEMPLATE = """
heat_template_version: 2018-08-31
parameters:
  jeroboam_operation: {type: string}
  count: {type: number, default: 1}
resources:
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: count}
      resource_def:
        type: OS::Heat::RandomString
        properties: {length: 8}
  secret:
    type: OS::Heat::RandomString
    properties: {length: 16}
outputs:
  secret: {value: {get_resource: secret}}
"""


async def caller(sim: Sim, cloud: Cloud, user: str = "demo", project: str | None = None) -> tuple[Any, ProjectCloud]:
    """A user as the gateway sees it, and the cloud as that user sees it."""
    token, _ = await sim.login(user, project)
    who = await cloud.validator.validate(token, method="GET", path="/v1/bays")
    return who, cloud.for_caller(token, who.endpoints)


async def create(ours: ProjectCloud, name: str = "bay-1", operation: str = "op-1") -> str:
    return await ours.heat.create(
        name=name,
        template=TEMPLATE,
        files={},
        environment={},
        parameters={"jeroboam_operation": operation},
        tags=["jeroboam", f"tag-{name}"],
        timeout_mins=60,
    )


async def settled(ours: ProjectCloud, stack_id: str) -> StackSummary | None:
    """The stack once nothing is in progress."""
    while True:
        stack = await ours.heat.show(stack_id)
        if stack is None or stack.phase != "IN_PROGRESS":
            return stack
        await asyncio.sleep(0.05)  # Heat has no event to wait for
