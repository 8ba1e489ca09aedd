"""Whether what is to be built still fits into the project's quotas, looked at again when its turn comes.

The gateway looked when the request was accepted, with the caller's token; since then others have built, or a change has
waited behind another. A shortage ends the operation with the numbers, where Heat would fail after minutes and leave
half of it behind. What a service does not tell is not judged here: the cloud will.
"""

from __future__ import annotations

import structlog

from services.provisioner.factory import Deps
from services.provisioner.facts import groups_of
from shared.db.repositories import stacks
from shared.db.repositories.stacks import Render
from shared.domain.errors import ClientFault, CloudError
from shared.domain.headroom import shortfall
from shared.domain.queue import node_count_of
from shared.drivers.common.shards import whole_footprint
from shared.drivers.contract import RenderedStack
from shared.drivers.footprint import Footprint, difference
from shared.openstack.headroom import allowances, balances, flavors_of, needs
from shared.worker.outcome import StepContext

_log = structlog.get_logger()


async def shortage(ctx: StepContext[Deps], *, workers: int | None = None, standing: int = 0) -> str | None:
    """What is missing, in a sentence; None when all fits, or when nobody can tell.

    Of the whole bay as it was rendered; or, with `workers`, of growing from `standing` workers to that number.
    """
    async with ctx.deps.engine.connect() as conn:
        render = await stacks.render_of(conn, ctx.bay.id, ctx.bay.generation)
    if render is None:
        return None  # the step itself will say so
    try:
        wanted = _footprint(ctx, render, node_count_of(ctx.operation.request) if workers is None else workers)
        if workers is not None:
            wanted = difference(wanted, _footprint(ctx, render, standing))
        cloud = ctx.deps.project(ctx.bay)
        needed = needs(wanted, await flavors_of(cloud, wanted.servers, {})) | _members(ctx, masters=workers is None)
    except (ValueError, ClientFault, CloudError) as error:
        _log.warning("need not known", bay=str(ctx.bay.id), reason=str(error))
        return None
    if not wanted.total:
        return None
    allowed = await allowances(cloud, ctx.bay.project_id, balancing=balances(wanted), untold=_untold)
    missing = shortfall(needed, allowed)
    return f"Resource limit exceeded: {'; '.join(missing)}." if missing else None


def _members(ctx: StepContext[Deps], *, masters: bool) -> dict[str, int]:
    """How many servers the largest server group will have; without `masters` only the workers' counts.

    The groups themselves are there already, so only their members are asked for.
    """
    counts = {"master": ctx.bay.master_count if masters else 0, "worker": node_count_of(ctx.operation.request)}
    return {"server_group_members": max((counts[role] for role in groups_of(ctx.bay)), default=0)}


def _footprint(ctx: StepContext[Deps], render: Render, workers: int) -> Footprint:
    first = RenderedStack(
        template=render.template,
        files=dict(render.files),
        environment=dict(render.environment),
        parameters=dict(render.parameters),
    )
    return whole_footprint(ctx.deps.driver(ctx.bay), first, workers)


def _untold(error: CloudError) -> None:
    _log.warning("limits not known", service=error.service, reason=error.message)
