"""What a project may still take of the cloud, asked of all services at once, by the gateway and the provisioner.

The pure comparison is `shared.domain.headroom.shortfall`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from shared.domain.errors import CloudError, InvalidInput
from shared.domain.headroom import Allowance, need_of_groups
from shared.drivers.footprint import Footprint, need
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Flavor


async def allowances(
    cloud: ProjectCloud,
    project_id: str,
    *,
    balancing: bool = False,
    untold: Callable[[CloudError], None] | None = None,
) -> dict[str, Allowance]:
    """Nova's, Cinder's and Neutron's quotas of the project with their use. What is not in it is not known.

    With `balancing` Octavia's too, which costs some listings. With `untold`, a service that does not tell is reported
    to it and left out.

    Raises:
        CloudError: a service refused or did not answer; it names the service. Not with `untold`.
    """
    asked = [cloud.nova.limits(), cloud.cinder.limits(project_id), cloud.neutron.headroom(project_id)]
    if balancing:
        asked.append(cloud.octavia.headroom(project_id))
    told = await asyncio.gather(*asked, return_exceptions=True)
    found: dict[str, Allowance] = {}
    for part in told:
        if isinstance(part, CloudError) and untold is not None:
            untold(part)
        elif isinstance(part, BaseException):
            raise part
        else:
            found |= part
    return found


def needs(of: Footprint, flavors: Mapping[str, Flavor], group_members: Collection[int] = ()) -> dict[str, int]:
    """All that quotas are asked for: by a stack, and by the server groups that are made beside it.

    Args:
        group_members: how many servers each of the groups will have.

    Raises:
        KeyError: `flavors` lacks one of `of.servers`.
    """
    return need(of, flavors) | need_of_groups(group_members)


def balances(of: Footprint) -> bool:
    """Whether a stack asks anything of Octavia."""
    return any((of.load_balancers, of.listeners, of.pools, of.pool_members, of.health_monitors))


async def flavors_of(cloud: ProjectCloud, idents: Collection[str], known: Mapping[str, Flavor]) -> dict[str, Flavor]:
    """The flavors by the id or name that they are wanted by; those not `known` are asked for.

    Raises:
        InvalidInput: there is no such flavor.
        CloudError: Nova refused or did not answer.
    """
    return dict(zip(idents, await asyncio.gather(*(_flavor(cloud, one, known) for one in idents)), strict=True))


async def _flavor(cloud: ProjectCloud, ident: str, known: Mapping[str, Flavor]) -> Flavor:
    found = known.get(ident) or await cloud.nova.find_flavor(ident)
    if found is None:
        raise InvalidInput(f"Unable to find flavor {ident}.", field="flavor_id")
    return found
