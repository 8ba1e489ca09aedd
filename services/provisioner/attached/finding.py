"""Finding what a bay's own services made: by the bay's id, or by network inside the network that the bay's stack made.

Never otherwise: on a network that was there before, or that others use, only what carries the bay's id is the bay's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from typing_extensions import override

from services.provisioner.attached import marks
from shared.domain import names
from shared.domain.errors import CloudError
from shared.openstack.cloud import ProjectCloud
from shared.openstack.heat import HeatClient
from shared.openstack.neutron import NetworkItem
from shared.openstack.octavia import LoadBalancer
from shared.openstack.stacks import StackSummary

_log = structlog.get_logger()

_NETWORK: Final = "OS::Neutron::Net"
_DEPTH: Final = 3
"""As deep as our templates nest."""
_LOOSE: Final = ("neutron:LOADBALANCER", "kuryr")
"""How owners of ports begin that leave them behind; servers, routers and DHCP take theirs away."""
_BALANCER_OWNER: Final = "Octavia"
_BALANCER_DEVICE: Final = "lb-"
_NAMED: Final = 5


@dataclass(frozen=True)
class OwnNetwork:
    """The networks that a bay's stack made, and the ids of everything that its stacks made. Empty: it made none."""

    networks: frozenset[str] = frozenset()
    things: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Attached:
    """What a bay's own services made and is still there. Falsy when nothing is."""

    load_balancers: tuple[LoadBalancer, ...] = ()
    floating_ips: tuple[NetworkItem, ...] = ()
    ports: tuple[NetworkItem, ...] = ()
    security_groups: tuple[NetworkItem, ...] = ()
    candidates: frozenset[str] = field(default=frozenset(), compare=False)
    """Ids of the security groups on load balancers that only their network gives away: once those are gone, nothing
    else does, so they are to be remembered."""

    def __bool__(self) -> bool:
        return bool(self.load_balancers or self.floating_ips or self.ports or self.security_groups)

    @override
    def __str__(self) -> str:
        named = [named_balancer(one) for one in self.load_balancers]
        named += [f"floating IP {one.address} ({one.id})" for one in self.floating_ips]
        named += [f"port {one.name} ({one.id})" for one in self.ports]
        named += [f"security group {one.name} ({one.id})" for one in self.security_groups]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        return ", ".join(named[:_NAMED]) + more


def named_balancer(one: LoadBalancer) -> str:
    """As people find it in Octavia, with its status, which says why it cannot be deleted when it is pending."""
    return f"load balancer {one.name} ({one.id}), which is {one.status}"


async def find_attached(
    cloud: ProjectCloud,
    bay_id: UUID,
    project_id: str,
    stacks: Sequence[StackSummary] = (),
    remembered: Collection[str] = (),
) -> Attached:
    """What there is now. `stacks` are the bay's, `remembered` the `candidates` of earlier looks.

    Ports are listed before load balancers, so that the port of one that is just being made is not taken for that of one
    that is gone.
    """
    own = await own_network(cloud.heat, stacks)
    inside = [port for network in own.networks for port in await cloud.neutron.items("ports", network_id=network)]
    balancers, addresses, groups, tagged = await asyncio.gather(
        load_balancers(cloud, project_id),
        cloud.neutron.items("floatingips", project_id=project_id),
        cloud.neutron.items("security-groups", project_id=project_id),
        cloud.neutron.items("ports", tag=names.bay_tag(bay_id), project_id=project_id),
    )
    ours = [one for one in balancers if _is_ours(one, bay_id, own)]
    nameless = {one.port_id for one in ours if marks.owner(one) is None}
    candidates = {group for port in inside if port.id in nameless for group in port.security_group_ids}
    known = {*remembered, *candidates}
    return Attached(
        tuple(ours),
        tuple(one for one in addresses if marks.owner(one) == bay_id or _is_nameless_address(one, nameless)),
        tuple(_loose(inside, balancers, own, project_id)) + tuple(one for one in tagged if one.id not in own.things),
        tuple(one for one in groups if _is_group(one, bay_id, known)),
        frozenset(candidates),
    )


async def own_network(heat: HeatClient, stacks: Sequence[StackSummary]) -> OwnNetwork:
    """What the bay's stacks made, if they made a network; where they did not, nothing more is asked."""
    listed = [one for stack in stacks for one in await heat.resources(stack.id)]
    networks = frozenset(one.physical_id for one in listed if one.type == _NETWORK and one.physical_id)
    if not networks:
        return OwnNetwork()
    whole = [one for stack in stacks for one in await heat.resources(stack.id, _DEPTH)]
    return OwnNetwork(networks, frozenset(one.physical_id for one in whole if one.physical_id))


async def load_balancers(cloud: ProjectCloud, project_id: str) -> list[LoadBalancer]:
    """The project's; none, with a warning in the log, where Octavia does not let our service user see them."""
    try:
        return await cloud.octavia.load_balancers(project_id)
    except CloudError as error:
        if error.status != 403:
            raise
        _log.warning("load balancers not seen", project=project_id, reason=error.message)
        return []


def _is_ours(one: LoadBalancer, bay_id: UUID, own: OwnNetwork) -> bool:
    if one.network_id in own.networks:
        return one.id not in own.things
    return marks.owner(one) == bay_id and not marks.shared_with_others(one, bay_id)


def _is_nameless_address(one: NetworkItem, ports: Collection[str]) -> bool:
    return one.port_id in ports and marks.owner(one) is None and marks.may_be_kubernetes_address(one)


def _is_group(one: NetworkItem, bay_id: UUID, known: Collection[str]) -> bool:
    return marks.owner(one) == bay_id or (one.id in known and marks.may_be_kubernetes_group(one))


def _loose(
    inside: Iterable[NetworkItem], balancers: Iterable[LoadBalancer], own: OwnNetwork, project_id: str
) -> Iterable[NetworkItem]:
    """Ports in the bay's own network that nobody else takes away: those of nothing, and of a balancer that is gone."""
    there = {f"{_BALANCER_DEVICE}{one.id}" for one in balancers}
    for port in inside:
        if port.id in own.things or port.project_id != project_id:
            continue
        orphan = port.device_owner == _BALANCER_OWNER and port.device_id not in there
        if orphan or port.device_owner == "" or port.device_owner.startswith(_LOOSE):
            yield port
