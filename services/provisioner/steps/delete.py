"""Taking a bay down until the cloud shows nothing of it, then its row (architecture, Delete overtakes)."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.leftovers import find_leftovers, remove_leftovers
from services.provisioner.steps.attached import candidates
from services.provisioner.steps.doomed import doomed_stacks
from services.provisioner.steps.follow import pause
from services.provisioner.steps.orphans import end_servers
from services.provisioner.steps.reasons import deed, undeletable
from services.provisioner.steps.revive import delete_again
from services.provisioner.steps.server_groups import delete_server_groups
from services.provisioner.steps.stall import listen
from shared.db.repositories import stacks
from shared.domain.shards import is_further
from shared.worker.outcome import Back, Broke, Done, Outcome, StepContext, Wait


async def delete_stack(ctx: StepContext[Deps]) -> Outcome:
    """Ask Heat to delete every stack with the bay's tag: also one whose create we never heard the end of.

    The further stacks of a large bay go before the first, whose network they use: `follow_delete` comes back for it.
    """
    heat, listed = ctx.deps.project(ctx.bay).heat, await doomed_stacks(ctx)
    for stack in [one for one in listed if is_further(one.name, ctx.bay.stack_name)] or listed:
        if stack.status != "DELETE_IN_PROGRESS":
            await ctx.guard()
            await heat.delete(stack.id)
    return Done()


async def follow_delete(ctx: StepContext[Deps]) -> Outcome:
    """Wait until Heat lists none of them any more, then delete the server groups beside them.

    A deletion that failed is asked for again, `DELETE_TRIES` times, after another look at what the bay's own services
    made: one that still runs may have made something that holds the network.
    """
    left = await doomed_stacks(ctx)
    if not left:
        await delete_server_groups(ctx)
        return Done()
    turn = [stack for stack in left if is_further(stack.name, ctx.bay.stack_name)] or left
    failed = [stack for stack in turn if stack.status == "DELETE_FAILED"]
    if ctx.operation.overdue:
        return await undeletable(ctx, failed or turn)
    if failed:
        why = await undeletable(ctx, failed)
        if _given_up(ctx):
            return why
        await end_servers(ctx)
        tries = _tries(ctx) + 1
        note = f"{why.reason} Heat is asked again."
        return Back("delete.attached", min(2.0**tries, 30.0), memo={_TRIES: tries}, note=note)
    if any(stack.status != "DELETE_IN_PROGRESS" for stack in turn):
        # The first after its shards, or a create that arrived after we had looked; or Heat refuses to delete it.
        return await undeletable(ctx, turn) if _refused(ctx) else _ask_again(ctx)
    heat = ctx.deps.project(ctx.bay).heat
    memo = await delete_again(ctx, heat, turn, await listen(ctx, heat, [stack.id for stack in turn]))
    return Wait(pause(ctx), note=f"Heat: {turn[0].status}", memo=memo, until_told=True)


DELETE_TRIES = 5
"""How often Heat is asked to delete a stack that it failed to delete."""

_FORCED_TRIES = 1
"""The same where an administrator wants the bay gone whatever stands in the way."""

_FORCED_TURNS = 3
"""How often a forced deletion goes back to ask Heat for stacks that it has not begun to delete."""

_TRIES = "delete_tries"
_TURNS = "delete_turns"


def _tries(ctx: StepContext[Deps], which: str = _TRIES) -> int:
    return int(str(ctx.operation.memo.get(which, 0)))


def _given_up(ctx: StepContext[Deps]) -> bool:
    return _tries(ctx) >= (_FORCED_TRIES if ctx.bay.forced else DELETE_TRIES) or _refused(ctx)


def _refused(ctx: StepContext[Deps]) -> bool:
    return ctx.bay.forced and _tries(ctx, _TURNS) >= _FORCED_TURNS


def _ask_again(ctx: StepContext[Deps]) -> Back:
    """Only a forced deletion comes here after a refusal, which it passes over: so it counts, and takes its time."""
    if not ctx.bay.forced:
        return Back("delete.stack", ctx.deps.settings.poll_seconds)
    turns = _tries(ctx, _TURNS) + 1
    return Back("delete.stack", 2.0**turns, memo={_TURNS: turns})


async def revoke_credentials(ctx: StepContext[Deps]) -> Outcome:
    """Revoke every application credential that nodes may have, so that one that lives on can do nothing.

    A rotation may be between its intent and its acceptance, which will be refused: what it makes is left to the sweep.
    """
    async with ctx.deps.engine.connect() as conn:
        credentials = await stacks.credentials_of(conn, ctx.bay.id)
    for credential in credentials:
        await ctx.guard()
        await revoke(ctx.deps, credential.user_id, credential.name)

    async def forget(conn: AsyncConnection) -> None:
        accepted = [credential.generation for credential in credentials if credential.accepted]
        await stacks.forget_credentials(conn, ctx.bay.id, accepted)

    return Done(forget)


async def revoke(deps: Deps, user_id: str, name: str) -> None:
    """Delete every application credential of that name. Needs our service user to be an administrator of identity."""
    keystone = deps.cloud.for_service().keystone
    for found in await keystone.application_credentials(user_id, name):
        await keystone.delete_application_credential(user_id, found.id)


async def verify_gone(ctx: StepContext[Deps]) -> Outcome:
    """Only an empty listing lets the row go; what is left and bears the bay's mark is removed first.

    A forced deletion that could not remove a stack comes here with it, does what it can for the last time, and breaks
    with what is left, which the worker passes over.
    """
    cloud = ctx.deps.project(ctx.bay)
    left = await find_leftovers(cloud, ctx.bay, candidates(ctx))
    if not left:
        return Done()
    given_up = ctx.bay.forced and (_given_up(ctx) or ctx.operation.overdue)
    if left.stacks and not given_up:
        return Back("delete.stack", ctx.deps.settings.poll_seconds)
    refused, held = await remove_leftovers(cloud, left, ctx.guard)
    told = " ".join([f"{left}.", "; ".join([*refused, *held])]).rstrip()
    if refused or given_up:
        return Broke(f"{deed(ctx)}: the cloud still shows {told}")
    if ctx.operation.overdue:
        return Broke(f"The bay's stack is gone but the cloud still shows: {told}")
    return Wait(ctx.deps.settings.poll_seconds, note=f"Removing what Heat left: {told}")
