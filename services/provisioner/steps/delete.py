"""Taking a bay down until the cloud shows nothing of it, then its row (architecture, Delete overtakes)."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.leftovers import find_leftovers, remove_leftovers
from services.provisioner.steps.reasons import undeletable
from services.provisioner.steps.server_groups import delete_server_groups
from shared.db.repositories import stacks
from shared.domain import names
from shared.domain.shards import shard_of
from shared.openstack.stacks import StackSummary
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait


async def delete_stack(ctx: StepContext[Deps]) -> Outcome:
    """Ask Heat to delete every stack with the bay's tag: also one whose create we never heard the end of.

    The further stacks of a large bay go before the first, whose network they use: `follow_delete` comes back for it.
    """
    heat, listed = ctx.deps.project(ctx.bay).heat, await _stacks(ctx)
    for stack in [one for one in listed if shard_of(one.name, ctx.bay.stack_name)] or listed:
        if stack.status != "DELETE_IN_PROGRESS":
            await ctx.guard()
            await heat.delete(stack.id)
    return Done()


async def follow_delete(ctx: StepContext[Deps]) -> Outcome:
    """Wait until Heat lists none of them any more, then delete the server groups beside them.

    A deletion that failed is asked for again, `DELETE_TRIES` times.
    """
    left = await _stacks(ctx)
    if not left:
        await delete_server_groups(ctx)
        return Done()
    turn = [stack for stack in left if shard_of(stack.name, ctx.bay.stack_name)] or left
    failed = [stack for stack in turn if stack.status == "DELETE_FAILED"]
    if ctx.operation.overdue:
        return await undeletable(ctx, failed or turn)
    if failed:
        why = await undeletable(ctx, failed)
        tries = int(str(ctx.operation.memo.get("delete_tries", 0))) + 1
        if tries > DELETE_TRIES:
            return why
        heat = ctx.deps.project(ctx.bay).heat
        for stack in failed:
            await ctx.guard()
            await heat.delete(stack.id)
        note = f"{why.reason} Heat is asked again."
        return Wait(min(2.0**tries, 30.0), note=note, memo={"delete_tries": tries})
    if any(stack.status != "DELETE_IN_PROGRESS" for stack in turn):
        return Back("delete.stack", ctx.deps.settings.poll_seconds)  # a create of ours that arrived after we had looked
    return Wait(ctx.deps.settings.poll_seconds, note=f"Heat: {turn[0].status}")


DELETE_TRIES = 5
"""How often Heat is asked to delete a stack that it failed to delete."""


async def revoke_credentials(ctx: StepContext[Deps]) -> Outcome:
    """Revoke the nodes' application credential, so that a node that lives on can do nothing."""
    async with ctx.deps.engine.connect() as conn:
        credential = await stacks.credential_of(conn, ctx.bay.id)
    if credential is not None:
        await ctx.guard()
        await revoke(ctx.deps, credential.user_id, credential.name)

    async def forget(conn: AsyncConnection) -> None:
        await stacks.forget_credentials(conn, ctx.bay.id)

    return Done(forget)


async def revoke(deps: Deps, user_id: str, name: str) -> None:
    """Delete every application credential of that name. Needs our service user to be an administrator of identity."""
    keystone = deps.cloud.for_service().keystone
    for found in await keystone.application_credentials(user_id, name):
        await keystone.delete_application_credential(user_id, found.id)


async def verify_gone(ctx: StepContext[Deps]) -> Outcome:
    """Only an empty listing lets the row go; what is left and bears the bay's mark is removed first."""
    cloud = ctx.deps.project(ctx.bay)
    left = await find_leftovers(cloud, ctx.bay)
    if not left:
        return Done()
    if left.stacks:
        return Back("delete.stack", ctx.deps.settings.poll_seconds)
    if ctx.operation.overdue:
        return Broke(f"The bay's stack is gone but the cloud still shows: {left}.")
    await ctx.guard()
    await remove_leftovers(cloud, left)
    return Wait(ctx.deps.settings.poll_seconds, note=f"Removing what Heat left: {left}")


async def _stacks(ctx: StepContext[Deps]) -> list[StackSummary]:
    return await ctx.deps.project(ctx.bay).heat.list_by_tag(names.bay_tag(ctx.bay.id))
