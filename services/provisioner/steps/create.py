"""From an accepted bay to a Heat stack that bears our mark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.provisioner.factory import Deps
from services.provisioner.facts import api_url, facts_of, newest_parameters, secrets_of
from services.provisioner.steps.group import generation_of
from services.provisioner.steps.room import shortage
from services.provisioner.steps.server_groups import make_server_groups
from shared.db.repositories import authorities, bays, stacks
from shared.db.repositories.stacks import Credential, Render
from shared.domain import names
from shared.domain.bay import Bay
from shared.domain.errors import CloudError, InvalidInput
from shared.drivers.common.stack import authority_parameter
from shared.drivers.contract import MARK_PARAMETER, RenderedStack
from shared.openstack.stacks import StackSummary
from shared.worker.outcome import Broke, Done, Outcome, StepContext


async def render_stack(ctx: StepContext[Deps]) -> Outcome:
    """Make the server groups, which the stack refers to, and render it once and keep it: whatever a later release
    renders, this bay keeps what it was born with (rule 6)."""
    deps, bay = ctx.deps, ctx.bay
    async with deps.engine.connect() as conn:
        ca_pem = await stacks.authority_certificate(conn, bay.id)
        credential = await stacks.credential_of(conn, bay.id)
    groups = await make_server_groups(ctx)
    facts = facts_of(
        bay,
        ctx.operation,
        settings=deps.settings,
        api=await api_url(deps.cloud, deps.settings, bay),
        ca_pem=ca_pem or "",
        node_sources=deps.node_sources,
        server_groups=groups,
    )
    try:
        stack = deps.driver(bay).render(facts, secrets_of(credential))
    except InvalidInput as error:
        return Broke(f"The {bay.driver} driver refused the bay: {error.message}")
    render = Render(bay.driver, stack.template, stack.files, stack.environment, stack.parameters)

    async def keep(conn: AsyncConnection) -> None:
        await stacks.keep_render(conn, bay.id, bay.generation, render)

    return Done(keep)


async def create_stack(ctx: StepContext[Deps]) -> Outcome:
    """Create the stack, or adopt the one that an earlier try of ours made without hearing of it (rule 4)."""
    bay, heat = ctx.bay, ctx.deps.project(ctx.bay).heat
    found = await heat.find_stack(bay.stack_name)
    if found is not None:
        stack_id = found.id if _ours(found, bay) else None
    else:
        if missing := await shortage(ctx):
            return Broke(f"{missing} Nothing was created.")
        await ctx.guard()
        stack_id = await send(ctx, bay.stack_name, await opened(ctx))
    if stack_id is None:
        return Broke(f"A Heat stack named {bay.stack_name} exists already and is not this bay's.")
    made = stack_id

    async def keep(conn: AsyncConnection) -> None:
        await bays.set_stack(conn, bay.id, made)

    return Done(keep)


async def opened(ctx: StepContext[Deps], *, secrets: bool = True, pool: int = 0) -> RenderedStack:
    """What the bay, or one of its further pools, was rendered to; with `secrets` as Heat is to have it.

    Raises:
        CloudError: the nodes' credential cannot be opened here.
    """
    born = await _rendered(ctx, pool)
    render = born.render
    hidden = newest_parameters(render, born.credential, ctx.deps.seal_private_key) if secrets else {}
    return RenderedStack(
        template=render.template,
        files=dict(render.files),
        environment=dict(render.environment),
        parameters={**render.parameters, **born.authority, **hidden},
    )


async def rotated(ctx: StepContext[Deps], pool: int = 0) -> dict[str, str]:
    """What an update of a stack of that pool has to say, so that new nodes get the newest credential and trust the
    authorities that the bay trusts now.

    Empty where nothing was ever rotated. Servers stay: they ignore new user-data (rule 6).

    Raises:
        CloudError: the nodes' credential cannot be opened here.
    """
    born = await _rendered(ctx, pool)
    if born.credential is None or born.credential.credential_id in born.render.parameters.values():
        return dict(born.authority)
    return {**born.authority, **newest_parameters(born.render, born.credential, ctx.deps.seal_private_key)}


@dataclass(frozen=True)
class _Born:
    """What the bay was rendered to, and what has changed since."""

    render: Render
    credential: Credential | None
    """The newest one."""
    authority: Mapping[str, str]
    """The parameter with the authorities to trust; empty for a bay that has only ever had one generation of them.

    It is not enough to compare: who has what it was born with again, because a rotation was undone, may have stacks
    that were told of the other meanwhile.
    """


async def _rendered(ctx: StepContext[Deps], pool: int) -> _Born:
    bay, generation = ctx.bay, await generation_of(ctx, pool)
    async with ctx.deps.engine.connect() as conn:
        render = await stacks.render_of(conn, bay.id, generation, pool=pool)
        credential = await stacks.credential_of(conn, bay.id)
        ca_pem = await stacks.authority_certificate(conn, bay.id)
        ever = await authorities.generations(conn, bay.id)
    if render is None:
        raise ValueError(f"bay {bay.id} has no render of generation {generation}, pool {pool}")
    return _Born(render, credential, authority_parameter(ca_pem) if len(ever) > 1 and ca_pem else {})


async def send(ctx: StepContext[Deps], name: str, stack: RenderedStack) -> str | None:
    """Have Heat create a stack of this bay; its id, or None when the name is a stranger's.

    The name may be taken between our look and this call: by an earlier call of ours that arrived late, which is
    adopted, or by a stranger.
    """
    bay, heat = ctx.bay, ctx.deps.project(ctx.bay).heat
    try:
        return await heat.create(
            name=name,
            template=stack.template,
            files=stack.files,
            environment=stack.environment,
            parameters=stack.parameters | {MARK_PARAMETER: str(ctx.operation.id)},
            tags=(names.TAG, names.bay_tag(bay.id)),
            timeout_mins=bay.create_timeout or None,
        )
    except CloudError as error:
        if error.status != 409:
            raise
        found = await heat.find_stack(name)
        if found is None:
            raise CloudError(
                error.message, service=error.service, status=409, retryable=True, resource=error.resource
            ) from error
        return found.id if _ours(found, bay) else None


def _ours(stack: StackSummary, bay: Bay) -> bool:
    return names.bay_tag(bay.id) in stack.tags
