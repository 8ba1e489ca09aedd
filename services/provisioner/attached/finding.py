"""Finding what a bay's own services made: by the bay's id, or by network inside the network that the bay's stack made.

Never otherwise: on a network that was there before only what carries the bay's id is the bay's; and other bays may use
the network that this one made, so what carries their id, or their stack's name, stays everywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    """The networks that a bay's stack made, none where it uses one of others, and the ids of all its stacks made."""

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
    ours = [one for one in balancers or () if _is_ours(one, bay_id, own)]
    kept = {one.port_id for one in balancers or () if one not in ours}
    nameless = {one.port_id: one for one in ours if marks.owner(one) is None}
    candidates = {group for port in inside if port.id in nameless for group in port.security_group_ids}
    known = {*remembered, *candidates}
    return Attached(
        tuple(ours),
        tuple(one for one in addresses if _is_address(one, bay_id, kept, nameless)),
        tuple(_loose(_unmarked(inside, bay_id, own, project_id), balancers))
        + tuple(one for one in tagged if one.id not in own.things),
        tuple(one for one in groups if _is_group(one, bay_id, known)),
        frozenset(candidates),
    )


async def own_network(heat: HeatClient, stacks: Sequence[StackSummary]) -> OwnNetwork:
    """What the bay's stacks made, and which networks are among it."""
    listed = [one for stack in stacks for one in await heat.resources(stack.id, _DEPTH) if one.physical_id]
    networks = frozenset(one.physical_id for one in listed if one.type == _NETWORK)
    return OwnNetwork(networks, frozenset(one.physical_id for one in listed))


async def load_balancers(cloud: ProjectCloud, project_id: str) -> list[LoadBalancer] | None:
    """The project's; None, with a warning in the log, where Octavia does not let our service user see them."""
    try:
        return await cloud.octavia.load_balancers(project_id)
    except CloudError as error:
        if error.status != 403:
            raise
        _log.warning("load balancers not seen", project=project_id, reason=error.message)
        return None


def _is_ours(one: LoadBalancer, bay_id: UUID, own: OwnNetwork) -> bool:
    owner = marks.owner(one)
    if marks.shared_with_others(one, bay_id):
        return False
    if owner is not None:
        return owner == bay_id
    inside = one.network_id in own.networks and one.id not in own.things
    return inside and not marks.of_another_stack(one.name, bay_id)


def _is_address(one: NetworkItem, bay_id: UUID, kept: Collection[str], nameless: Mapping[str, LoadBalancer]) -> bool:
    """Whether it is the bay's: not while a load balancer that stays, since others use it too, is reached by it."""
    if one.port_id and one.port_id in kept:
        return False
    owner, balancer = marks.owner(one), nameless.get(one.port_id)
    if owner is not None or balancer is None:
        return owner == bay_id
    return marks.may_be_kubernetes_address(one, balancer)


def _is_group(one: NetworkItem, bay_id: UUID, known: Collection[str]) -> bool:
    owner = marks.owner(one)
    return owner == bay_id or (owner is None and one.id in known and marks.may_be_kubernetes_group(one))


def _unmarked(inside: Iterable[NetworkItem], bay_id: UUID, own: OwnNetwork, project_id: str) -> Iterable[NetworkItem]:
    """Without what the bay's stacks made, and what is another bay's or another project's."""
    for port in inside:
        others = marks.owner(port) not in (None, bay_id) or marks.of_another_stack(port.name, bay_id)
        if port.id not in own.things and port.project_id == project_id and not others:
            yield port


def _loose(inside: Iterable[NetworkItem], balancers: Iterable[LoadBalancer] | None) -> Iterable[NetworkItem]:
    """Ports that nobody else takes away: those of nothing, and of a balancer that is gone, if that can be seen."""
    there = None if balancers is None else {f"{_BALANCER_DEVICE}{one.id}" for one in balancers}
    for port in inside:
        orphan = port.device_owner == _BALANCER_OWNER and there is not None and port.device_id not in there
        if orphan or port.device_owner == "" or port.device_owner.startswith(_LOOSE):
            yield port
