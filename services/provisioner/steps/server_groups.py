"""A bay's server groups: made before its stack is rendered, so that its servers refer to no resource of the stack
(rule 7 of docs/driver-contract.md), and deleted after the stack.

Their names are the mark (rule 4). Nova lets several groups have one name, and a call whose answer was lost may still
have made one, so all of a name are looked at:

    1. none: one is made;
    2. several, because an earlier call of ours arrived late: the lowest id stays, the others go;
    3. one that arrives after this step is in no stack, and the slow sweep removes it.
"""

from __future__ import annotations

from collections.abc import Collection

from services.provisioner.factory import Deps
from services.provisioner.facts import groups_of
from services.provisioner.leftovers import find_server_groups
from shared.domain import names
from shared.drivers.contract import Role
from shared.openstack.nova import NovaClient, ServerGroup
from shared.worker.outcome import StepContext


async def make_server_groups(ctx: StepContext[Deps]) -> dict[Role, str]:
    """The ids of the bay's server groups by the role of their members; nothing is asked for a bay without any.

    Raises:
        CloudError: Nova refuses (403: the project's quota of groups), or does not answer.
    """
    wanted = groups_of(ctx.bay)
    if not wanted:
        return {}
    nova = ctx.deps.project(ctx.bay).nova
    there = await nova.server_groups()
    return {role: await _one(ctx, nova, group, there) for role, group in wanted.items()}


async def _one(
    ctx: StepContext[Deps], nova: NovaClient, wanted: names.ServerGroup, there: Collection[ServerGroup]
) -> str:
    found = sorted((one for one in there if one.name == wanted.name), key=lambda one: one.id)
    if not found:
        await ctx.guard()
        return (await nova.create_server_group(wanted.name, wanted.policy)).id
    for double in found[1:]:
        await ctx.guard()
        await nova.delete_server_group(double.id)
    return found[0].id


async def delete_server_groups(ctx: StepContext[Deps]) -> None:
    """Delete the bay's groups, doubles too; for a bay that has none nothing is asked."""
    cloud = ctx.deps.project(ctx.bay)
    for group in await find_server_groups(cloud, ctx.bay):
        await ctx.guard()
        await cloud.nova.delete_server_group(group.id)
