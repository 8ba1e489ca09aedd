"""Whether what is to be built still fits into the project's quotas, looked at again when its turn comes.

The gateway looked when the request was accepted, with the caller's token; since then others have built, or a change has
waited behind another. A shortage ends the operation with the numbers, where Heat would fail after minutes and leave
half of it behind. What a service does not tell is not judged here: the cloud will.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from services.provisioner.factory import Deps
from services.provisioner.facts import groups_of
from shared.db.repositories import stacks
from shared.db.repositories.stacks import Render
from shared.domain.errors import ClientFault, CloudError
from shared.domain.headroom import shortfall
from shared.domain.queue import node_count_of
from shared.drivers.common.shards import pool_footprint, whole_footprint
from shared.drivers.contract import Driver, RenderedStack
from shared.drivers.footprint import Footprint, combined, difference
from shared.openstack.headroom import allowances, balances, flavors_of, needs
from shared.worker.outcome import StepContext

_log = structlog.get_logger()


class Growth(NamedTuple):
    """Workers that come to a pool."""

    born: Render
    """What the pool is made of."""
    further: bool
    """Whether it is another pool than that of the bay's first stack."""
    standing: int
    workers: int


async def shortage(ctx: StepContext[Deps]) -> str | None:
    """What is missing for the whole bay as it was rendered, in a sentence; None when all fits, or nobody can tell."""
    async with ctx.deps.engine.connect() as conn:
        render = await stacks.render_of(conn, ctx.bay.id, ctx.bay.generation)
    if render is None:
        return None  # the step itself will say so
    count, born = node_count_of(ctx.operation.request), _stack(render)
    return await _judged(ctx, lambda driver: whole_footprint(driver, born, count), masters=True)


async def shortage_of_growth(ctx: StepContext[Deps], growths: Sequence[Growth]) -> str | None:
    """The same of pools that grow, all of them together."""
    if not growths:
        return None
    return await _judged(ctx, lambda driver: combined([_more(driver, one) for one in growths]), masters=False)


def _more(driver: Driver, growth: Growth) -> Footprint:
    count, born = (pool_footprint if growth.further else whole_footprint), _stack(growth.born)
    return difference(count(driver, born, growth.workers), count(driver, born, growth.standing))


async def _judged(ctx: StepContext[Deps], count: Callable[[Driver], Footprint], *, masters: bool) -> str | None:
    """`masters`: they are made, too, and not only workers."""
    try:
        wanted = count(ctx.deps.driver(ctx.bay))
        cloud = ctx.deps.project(ctx.bay)
        needed = needs(wanted, await flavors_of(cloud, wanted.servers, {})) | _members(ctx, masters=masters)
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


def _stack(render: Render) -> RenderedStack:
    return RenderedStack(
        template=render.template,
        files=dict(render.files),
        environment=dict(render.environment),
        parameters=dict(render.parameters),
    )


def _untold(error: CloudError) -> None:
    _log.warning("limits not known", service=error.service, reason=error.message)
