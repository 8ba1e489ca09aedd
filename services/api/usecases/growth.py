"""Whether more nodes of a bay fit into the project's quotas in the cloud, asked before the change is accepted.

No transaction may be open across a call to the cloud, and no cloud call is worth making for what is refused anyway:

    1. The change is tried; where it passes every other check and the bay would grow, `Grows` undoes it.
    2. The cloud is asked.
    3. The change is made for good. What has changed meanwhile is looked at by the provisioner when it starts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import headroom
from services.api.usecases.dry_run import rehearse, rehearse_pool
from services.api.usecases.effective import facts_of_bay
from services.api.usecases.nodegroup_new import facts_of_group, place_of
from services.api.usecases.plan_bay import check_our_role
from shared.db.repositories.nodegroups import Nodegroup
from shared.domain.bay import Bay
from shared.drivers import registry
from shared.drivers.footprint import Footprint, difference

T = TypeVar("T")


class Grows(Exception):
    """The change is fine but for the cloud's quotas, which were not looked at yet."""

    def __init__(self, bay: Bay, was: int, node_count: int, group: Nodegroup | None = None) -> None:
        super().__init__()
        self.bay = bay
        self.group = group
        """A further nodegroup that grows; None: the default one."""
        self.was = was
        """How many workers are counted as there already."""
        self.node_count = node_count


async def fitting(context: Context, facts: Facts, attempt: Callable[[bool], Awaitable[T]]) -> T:
    """Make a change that may let a bay grow; `attempt` is told whether the cloud has been asked.

    Raises:
        Forbidden: it does not fit, and every resource that is short is named; or our service user has no role there.
        InvalidInput: Heat would refuse the bay for its size then.
        CloudError: a service refused or did not answer.
    """
    try:
        return await attempt(False)
    except Grows as grows:
        await _check(context, facts, grows)
    return await attempt(True)


async def _check(context: Context, facts: Facts, grows: Grows) -> None:
    """The difference between the bay's stack then and now; an administrator's token tells only of their own project."""
    bay = grows.bay
    await check_our_role(context, bay.project_id)
    now, then = (_footprint(context, facts, grows, count) for count in (grows.was, grows.node_count))
    if bay.project_id == facts.caller.project_id:
        await headroom.check(context.cloud_of(facts.caller, facts.token), bay.project_id, difference(then, now))


def _footprint(context: Context, facts: Facts, grows: Grows, node_count: int) -> Footprint:
    driver, place = registry.by_name(grows.bay.driver), place_of(context, facts)
    if grows.group is None:
        return rehearse(driver, facts_of_bay(grows.bay, node_count, place)).footprint
    return rehearse_pool(driver, facts_of_group(grows.bay, grows.group, node_count, place)).footprint
