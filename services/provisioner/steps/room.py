"""Whether what is to be built still fits into the project's quotas, looked at again when its turn comes.

The gateway looked when the request was accepted, with the caller's token; since then others have built, or a change has
waited behind another. A shortage ends the operation with the numbers, where Heat would fail after minutes and leave
half of it behind. What a service does not tell is not judged here: the cloud will.
"""

from __future__ import annotations

import structlog

from services.provisioner.factory import Deps
from shared.db.repositories import stacks
from shared.db.repositories.stacks import Render
from shared.domain.errors import ClientFault, CloudError
from shared.domain.headroom import shortfall
from shared.drivers.contract import RenderedStack
from shared.drivers.footprint import Footprint, difference, footprint, need
from shared.openstack.headroom import allowances, flavors_of
from shared.worker.outcome import StepContext

_log = structlog.get_logger()


async def shortage(ctx: StepContext[Deps], *, workers: int | None = None, standing: int = 0) -> str | None:
    """What is missing, in a sentence; None when all fits, or when nobody can tell.

    Of the whole stack as it was rendered; or, with `workers`, of growing from `standing` workers to that number.
    """
    async with ctx.deps.engine.connect() as conn:
        render = await stacks.render_of(conn, ctx.bay.id, ctx.bay.generation)
    if render is None:
        return None  # the step itself will say so
    try:
        wanted = _footprint(ctx, render, workers)
        if workers is not None:
            wanted = difference(wanted, _footprint(ctx, render, standing))
        cloud = ctx.deps.project(ctx.bay)
        needs = need(wanted, await flavors_of(cloud, wanted.servers, {}))
    except (ValueError, ClientFault, CloudError) as error:
        _log.warning("need not known", bay=str(ctx.bay.id), reason=str(error))
        return None
    if not needs or not (missing := shortfall(needs, await allowances(cloud, ctx.bay.project_id, untold=_untold))):
        return None
    return f"Resource limit exceeded: {'; '.join(missing)}."


def _footprint(ctx: StepContext[Deps], render: Render, workers: int | None) -> Footprint:
    changed = {} if workers is None else ctx.deps.driver(ctx.bay).resize_parameters(workers, ())
    return footprint(
        RenderedStack(
            template=render.template,
            files=dict(render.files),
            environment=dict(render.environment),
            parameters={**render.parameters, **changed},
        )
    )


def _untold(error: CloudError) -> None:
    _log.warning("limits not known", service=error.service, reason=error.message)
