"""The further stacks of a nodegroup: made, changed and removed after the bay's first one, whose network they use.

One step does it all, and is run again until every shard is as this operation wants it. Each run looks first: a shard
bears the operation's mark once Heat has heard of the change, so nothing is asked for twice (rule 4). A few are under
way at a time, since Heat's engines share their work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH, broken_members
from services.provisioner.steps.collect import shard_stacks
from services.provisioner.steps.create import opened, rotated, send
from services.provisioner.steps.gone import known_gone, still_there
from services.provisioner.steps.group import group_of, lost_places, replaces, wanted_of
from services.provisioner.steps.reasons import awaited, stack_failed
from services.provisioner.steps.rehearsal import harm
from services.provisioner.steps.revive import go_on
from services.provisioner.steps.stall import listen
from shared.db.repositories import past, stacks
from shared.domain import names
from shared.domain.bay import Node
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from shared.domain.shards import FIRST, LARGEST, Place, Share, home, place, shares, stack_name
from shared.drivers.common.shards import largest, shard_stack
from shared.drivers.contract import MARK_PARAMETER
from shared.openstack.stacks import StackSummary
from shared.worker.outcome import Broke, Done, Outcome, StepContext, Wait

DELETE_TRIES: Final = 5
"""How often Heat is asked to delete a shard that it failed to delete."""
_OF_MASTERS: Final = ("master_private_addresses", "api_address")
"""What of `SHARED` changes with the masters."""
AT_ONCE: Final = 4
"""How many shards Heat works on for one bay."""


async def settle_shards(ctx: StepContext[Deps]) -> Outcome:
    """Bring every shard to its share; done when none is left to do."""
    wanted = await shares_of(ctx)
    if ctx.operation.kind is OperationKind.CREATE and len(wanted) == 1:
        return Done()
    group = await group_of(ctx)
    standing = {where: one for where, one in (await shard_stacks(ctx)).items() if where[0] in group.numbers}
    busy: list[str] = []
    broke: Broke | None = None
    for where in sorted({*wanted, *standing} - {FIRST}):
        found = standing.get(where)
        if broke is not None and (found is None or found.phase != "IN_PROGRESS"):
            continue  # nothing new is begun; the end is told when Heat has come to rest
        if len(busy) == AT_ONCE:
            break
        outcome = await _settle(ctx, where, wanted.get(where, Share(0)), found)
        if isinstance(outcome, Broke):
            broke = broke or outcome
        elif outcome:
            busy.append(_name(ctx, where))
    if busy and not (broke and ctx.operation.overdue):
        undeleted = any(one.status == "DELETE_FAILED" for one in standing.values())
        memo: dict[str, object] = {"shard_deletes": _deletes(ctx) + 1} if undeleted else {}
        waited = await _go_on(ctx, [one for one in standing.values() if one.name in busy])
        if isinstance(waited, Broke):
            return broke or waited
        memo |= waited
        return Wait(ctx.deps.settings.poll_seconds, note=f"Heat is busy with {', '.join(busy)}", memo=memo)
    return broke or Done()


async def _go_on(ctx: StepContext[Deps], busy: list[StackSummary]) -> Mapping[str, object] | Broke:
    """What to remember of the wait, once those that Heat has dropped were taken up; the end, where they must not be."""
    heat = ctx.deps.project(ctx.bay).heat
    return await go_on(ctx, heat, busy, await listen(ctx, heat, [one.id for one in busy]))


def _deletes(ctx: StepContext[Deps]) -> int:
    """How often a shard whose deletion failed was asked to go again."""
    return int(str(ctx.operation.memo.get("shard_deletes", 0)))


async def shares_of(ctx: StepContext[Deps]) -> dict[Place, Share]:
    """What each stack of the operation's nodegroup is to have at its end; nothing for a group that is gone."""
    group = await group_of(ctx)
    if group.newest is None:
        return {}
    async with ctx.deps.engine.connect() as conn:
        nodes = await stacks.nodes_of(conn, ctx.bay.id)
    most = LARGEST if group.newest else largest(await opened(ctx, secrets=False))
    chosen = ctx.operation.memo.get("remove", [])
    remove = {str(server) for server in chosen} if isinstance(chosen, list) else set()
    workers, wanted, back = group.of(nodes), await wanted_of(ctx), []
    if replaces(ctx):
        back = [*lost_places(ctx).values(), *(home(node) for node in workers if node.server_id in remove)]
    return shares(workers, wanted, remove, pool=group.newest, largest=most, back=back)


def _name(ctx: StepContext[Deps], where: Place) -> str:
    pool, shard = where
    return stack_name(ctx.bay.stack_name, shard, pool)


async def _settle(ctx: StepContext[Deps], shard: Place, share: Share, standing: StackSummary | None) -> bool | Broke:
    """Look at one shard and do what is next; whether Heat is busy with it."""
    heat = ctx.deps.project(ctx.bay).heat
    if standing is None:
        return (await _lost(ctx, shard) or await _make(ctx, shard, share)) if share.count else False
    if standing.phase == "IN_PROGRESS":
        return await _late(ctx, standing) if ctx.operation.overdue else True
    if share.count and standing.action == "DELETE" and (there := await _running(ctx, shard, share.remove)):
        why = f"Stack {standing.name} was to be deleted, and Heat could not"
        return Broke(f"{why}, but {there} of its servers run: delete them, and resize again.")
    if not share.count or standing.action == "DELETE":  # one that was to go cannot be changed: it is made anew
        if standing.phase == "FAILED" and _deletes(ctx) >= DELETE_TRIES:
            return stack_failed(ctx, standing, await heat.resources(standing.id, NESTED_DEPTH), None)
        await ctx.guard()
        await heat.delete(standing.id)
        return True
    stack = await heat.show(standing.id)
    if stack is None or stack.phase == "IN_PROGRESS":
        return True
    if stack.operation != str(ctx.operation.id):
        return await _change(ctx, shard, share, standing) if share.changed or stack.phase == "FAILED" else False
    if stack.phase == "FAILED":
        return stack_failed(ctx, stack, await heat.resources(standing.id, NESTED_DEPTH), None)
    return False


async def _lost(ctx: StepContext[Deps], shard: Place) -> Broke | None:
    """A stack that is gone while its servers run cannot be made anew: there would be two of each."""
    there = await _running(ctx, shard)
    if not there:
        return None
    name = _name(ctx, shard)
    return Broke(f"Stack {name} not found in Heat, but {there} of its servers run: delete them, and resize again.")


async def _running(ctx: StepContext[Deps], shard: Place, remove: Collection[str] = ()) -> int:
    """How many of a stack's recorded nodes Nova has, beside those that are to leave."""
    async with ctx.deps.engine.connect() as conn:
        nodes = [one for one in await stacks.nodes_of(conn, ctx.bay.id) if home(one) == shard]
    return len(await still_there(ctx, [one for one in nodes if one.server_id not in remove]))


async def _make(ctx: StepContext[Deps], where: Place, share: Share) -> bool | Broke:
    pool, shard = where
    shared = await _shared(ctx)
    if shared is None:
        return Broke("The bay's first stack does not tell what its further ones need (output shard).")
    count = ctx.deps.driver(ctx.bay).resize_parameters(share.count, ())
    try:
        stack = shard_stack(await opened(ctx, pool=pool), shard, count, shared, pool=pool)
    except ValueError as error:  # an output may still be empty right after an update
        raise CloudError(str(error), service="orchestration", retryable=True, resource=ctx.bay.stack_id) from error
    name = _name(ctx, where)
    await ctx.guard()
    if await send(ctx, name, stack) is None:
        return Broke(f"A Heat stack named {name} exists already and is not this bay's.")
    return True


async def _shared(ctx: StepContext[Deps]) -> Mapping[str, object] | None:
    """What the bay's first stack tells its further ones."""
    outputs = await ctx.deps.project(ctx.bay).heat.outputs(ctx.bay.stack_id or "")
    shared = (outputs or {}).get("shard")
    return shared if isinstance(shared, Mapping) else None


async def _change(ctx: StepContext[Deps], shard: Place, share: Share, standing: StackSummary) -> bool | Broke:
    """Change the count and the removal list, once a rehearsal has shown that no other server is touched (rule 6)."""
    heat = ctx.deps.project(ctx.bay).heat
    async with ctx.deps.engine.connect() as conn:
        nodes = [one for one in await stacks.nodes_of(conn, ctx.bay.id) if home(one) == shard]
        chosen = await past.chosen_in_vain(conn, ctx.bay.id)
    leaving = chosen - {node.server_id for node in nodes} | known_gone(ctx)
    broken = broken_members(await heat.resources(standing.id, NESTED_DEPTH), nodes, leaving)
    stay, absent = stay_and_absent(nodes, share.remove)
    changes = await heat.preview_update(standing.id, parameters=await _parameters(ctx, shard[0], stay, absent))
    if refusal := harm(changes, len(share.remove), broken):
        return Broke(f"{refusal} Stack {standing.name} was not changed.")
    parameters = await _parameters(ctx, shard[0], share.count, [*share.remove, *broken.indices])
    await ctx.guard()
    await heat.update(
        standing.id,
        parameters=parameters,
        tags=(names.TAG, names.bay_tag(ctx.bay.id)),  # somebody may have taken them off
        timeout_mins=ctx.bay.create_timeout or None,
    )
    return True


def stay_and_absent(workers: list[Node], remove: tuple[str, ...]) -> tuple[int, list[str]]:
    """How many workers of one stack stay, and every index that has left its group or is to leave."""
    stay = {place(node.position)[1] for node in workers if node.server_id not in remove}
    present = max((place(node.position)[1] + 1 for node in workers), default=0)
    return len(stay), [str(index) for index in range(present) if index not in stay]


async def _parameters(ctx: StepContext[Deps], pool: int, count: int, remove: list[str]) -> dict[str, str]:
    changed = ctx.deps.driver(ctx.bay).resize_parameters(count, remove)
    # Masters come and go: new workers get today's. Those that stand ignore new user-data (rule 6).
    shared = await _shared(ctx) or {}
    changed |= {name: told for name in _OF_MASTERS if isinstance(told := shared.get(name), str) and told}
    return changed | await rotated(ctx, pool) | {MARK_PARAMETER: str(ctx.operation.id)}


async def _late(ctx: StepContext[Deps], standing: StackSummary) -> Broke:
    resources = await ctx.deps.project(ctx.bay).heat.resources(standing.id, NESTED_DEPTH)
    waited = f"Heat was not done with stack {standing.name} after {ctx.bay.create_timeout} minutes"
    return awaited(ctx, waited, resources)
