"""What is left of bays whose rows are gone: found by their ids and removed, sweep after sweep, as long as there is a
tombstone. A forced deletion leaves such things, and a call that arrived after its bay was gone makes them."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import structlog

from services.provisioner.attached import marks
from services.provisioner.attached.finding import Attached, find_attached, load_balancers
from services.provisioner.attached.removing import remove
from services.provisioner.factory import Deps
from shared.db.repositories import stacks
from shared.openstack.cloud import ProjectCloud
from shared.openstack.neutron import NetworkItem
from shared.openstack.octavia import LoadBalancer
from shared.openstack.stacks import StackSummary

_log = structlog.get_logger()


async def sweep_attached(deps: Deps, cloud: ProjectCloud, project_id: str) -> None:
    """Remove load balancers, floating IPs and security groups that carry the id of a bay that was buried.

    On a network of others nothing but that id tells whose they are; what only its network gives away goes before its
    stack (`clear_stack`).
    """
    found: list[LoadBalancer | NetworkItem] = [*(await load_balancers(cloud, project_id) or ())]
    found += await cloud.neutron.items("floatingips", project_id=project_id)
    found += await cloud.neutron.items("security-groups", project_id=project_id)
    owners = _owners(found)
    if not owners:
        return
    async with deps.engine.connect() as conn:
        buried = await stacks.buried(conn, list(owners))
    for bay_id in buried:
        await _remove(cloud, bay_id, await find_attached(cloud, bay_id, project_id))


async def clear_stack(cloud: ProjectCloud, bay_id: UUID, project_id: str, stack: StackSummary) -> None:
    """Remove what holds up the deletion of a buried bay's stack."""
    await _remove(cloud, bay_id, await find_attached(cloud, bay_id, project_id, [stack]))


def _owners(found: Iterable[LoadBalancer | NetworkItem]) -> set[UUID]:
    return {owner for one in found if (owner := marks.owner(one)) is not None}


async def _remove(cloud: ProjectCloud, bay_id: UUID, found: Attached) -> None:
    if found:
        _log.warning("what a bay left is removed", bay=str(bay_id), found=str(found))
        await remove(cloud, found, _unguarded)


async def _unguarded() -> None:
    """Nobody else acts for a bay that is gone, so there is nothing to look at before each call."""
