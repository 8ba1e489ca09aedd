"""Why a stack failed, is late, or cannot be deleted: which resource, in Heat's own words, and what to do about it.

How it is worded is `shared.domain.advice`; this reads it from the cloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from services.provisioner.attached.finding import named_balancer
from services.provisioner.factory import Deps
from services.provisioner.steps.broken import NESTED_DEPTH
from shared.domain.advice import Cause, aborted, failure, faults, lateness
from shared.domain.errors import CloudError
from shared.domain.operation import OperationKind
from shared.openstack.cloud import ProjectCloud
from shared.openstack.neutron import NetworkItem, NeutronClient
from shared.openstack.stacks import StackEvent, StackResource, StackSummary
from shared.worker.outcome import Apply, Broke, StepContext

_log = structlog.get_logger()

_DEEDS: Final = {
    OperationKind.CREATE: "Creating the bay",
    OperationKind.RESIZE: "Resizing the bay",
    OperationKind.RESIZE_MASTERS: "Changing the number of masters",
    OperationKind.HEAL: "Healing a node",
    OperationKind.DELETE: "Deleting the bay",
}
_HOLDERS_NAMED: Final = 3
_ROUTER_SIDE: Final = "OS::Neutron::RouterInterface"
"""Its id in Heat begins with the router's."""
_BALANCER: Final = "OS::Octavia::LoadBalancer"
_OCTAVIA: Final = "Octavia"
_BALANCER_DEVICE: Final = "lb-"
_REQUEST_IDS: Final = re.compile(r"\s*Neutron server returns request_ids: .*", re.DOTALL)
_OWNERS: Final = (
    (_OCTAVIA, "load balancer"),
    ("neutron:LOADBALANCER", "load balancer"),
    ("compute:", "server"),
    ("network:router", "router"),
)
_GOES_WITH_ITS_NETWORK: Final = "network:dhcp"


def deed(ctx: StepContext[Deps]) -> str:
    """What the operation does, as its reason begins."""
    return _DEEDS.get(ctx.operation.kind, "Changing the bay")


def stack_failed(
    ctx: StepContext[Deps], stack: StackSummary, resources: Sequence[StackResource], apply: Apply | None
) -> Broke:
    """The end of an operation whose stack failed; `resources` is a listing of `NESTED_DEPTH`.

    When one resource fails, or time runs out, Heat aborts those that are under way: they are causes only if there is
    no other, and then they are what it waited for.
    """
    failed = [one for one in resources if one.status.endswith("FAILED")]
    causes = _causes([one for one in failed if not aborted(one.reason)], resources)
    said = f"Heat says {stack.status}: {stack.reason}"
    if failed and not causes:
        causes = _causes(failed, resources)
        return Broke(lateness(deed(ctx), said, causes), faults(causes), apply)
    return Broke(failure(deed(ctx), causes, fallback=said), faults(causes), apply)


def rolled_back(did: str, events: Iterable[StackEvent], fallback: str, apply: Apply | None = None) -> Broke:
    """The end of an update that failed and was undone: only the stack's events tell why, and the first is the cause."""
    real = [one for one in events if not aborted(one.reason)]
    causes = [Cause(one.resource_name, "", one.reason, one.physical_id) for one in real[:1]]
    return Broke(failure(did, causes, fallback=fallback), faults(causes), apply)


def awaited(ctx: StepContext[Deps], waited: str, resources: Sequence[StackResource]) -> Broke:
    """The end of an operation that took too long; `waited` says how long, see `lateness`."""
    late = _causes([one for one in resources if one.status.endswith("IN_PROGRESS")], resources)
    return Broke(lateness(deed(ctx), waited, late), {one.name: f"{waited}." for one in late})


async def undeletable(ctx: StepContext[Deps], stacks: Sequence[StackSummary]) -> Broke:
    """Why stacks do not go: the resources that failed and what holds them, else those that are being waited for."""
    cloud = ctx.deps.project(ctx.bay)
    listed = [one for stack in stacks for one in await cloud.heat.resources(stack.id, NESTED_DEPTH)]
    failed = [one for one in listed if one.status == "DELETE_FAILED"]
    said = "; ".join(f"stack {one.name} is {one.status}: {one.reason}" for one in stacks)
    if not failed and all(one.status == "DELETE_IN_PROGRESS" for one in stacks):
        return awaited(ctx, said, listed)
    found = _causes([one for one in failed if not aborted(one.reason)], listed) or _causes(failed, listed)
    causes = [await _with_holders(cloud, one) for one in found]
    return Broke(failure(deed(ctx), causes, fallback=said), faults(causes))


def _causes(resources: Sequence[StackResource], listed: Sequence[StackResource]) -> list[Cause]:
    """Those that are not merely the outer side of another one of them: the innermost tell the cause."""
    outer = [_around(one, resources) for one in resources]
    return [
        Cause(_path(one, listed), one.type, one.reason, one.physical_id, one.updated_at)
        for one in resources
        if one not in outer
    ]


def _around(inner: StackResource, listed: Iterable[StackResource]) -> StackResource | None:
    """The resource that the stack of `inner` is. Groups number their members alike, so the name of the stack decides:
    Heat makes it of the outer stack's and the resource's."""
    for one in listed if inner.parent else ():
        if one.name == inner.parent and inner.stack_name.startswith(f"{one.stack_name}-{one.name}-"):
            return one
    return None


def _path(resource: StackResource, listed: Sequence[StackResource]) -> str:
    """The names from the outside in, as far as they are known."""
    around = _around(resource, listed)
    before = resource.parent if around is None else _path(around, listed)
    return f"{before}.{resource.name}" if before else resource.name


async def _with_holders(cloud: ProjectCloud, cause: Cause) -> Cause:
    """The cause, with the ports that keep a network or subnet from going, and the load balancers behind them."""
    try:
        ports = await _ports_of(cloud.neutron, cause)
        held = [await _holder(cloud, port) for port in ports if port.device_owner != _GOES_WITH_ITS_NETWORK]
        if cause.type == _BALANCER and (balancer := await cloud.octavia.load_balancer(cause.physical_id)):
            return replace(cause, reason=_ended(cause.reason, f"It is {named_balancer(balancer)}"))
    except CloudError as error:
        _log.warning("holders not known", resource=cause.name, reason=error.message)
        return cause
    if not held:
        return cause
    more = f" and {len(held) - _HOLDERS_NAMED} more" if len(held) > _HOLDERS_NAMED else ""
    return replace(cause, reason=_ended(cause.reason, f"Held by {', '.join(held[:_HOLDERS_NAMED])}{more}"))


def _ended(reason: str, more: str) -> str:
    """Room is dear: nobody who reads what holds it wants to know which requests told."""
    return f"{_REQUEST_IDS.sub('', reason).rstrip('.')}. {more}"


async def _ports_of(neutron: NeutronClient, cause: Cause) -> list[NetworkItem]:
    """The ports on the network, or on that of the subnet, or those with floating IPs behind the router; else none."""
    if cause.type == _ROUTER_SIDE:
        router = cause.physical_id.partition(":")[0]
        addresses = await neutron.items("floatingips", router_id=router) if router else []
        return [port for one in addresses for port in await neutron.items("ports", id=one.port_id)]
    if not cause.physical_id or cause.type not in ("OS::Neutron::Net", "OS::Neutron::Subnet"):
        return []
    networks = [cause.physical_id]
    if cause.type == "OS::Neutron::Subnet":
        networks = [one.network_id for one in await neutron.items("subnets", id=cause.physical_id)]
    return [port for network in networks for port in await neutron.items("ports", network_id=network)]


async def _holder(cloud: ProjectCloud, port: NetworkItem) -> str:
    kind = next((word for owner, word in _OWNERS if port.device_owner.startswith(owner)), port.device_owner)
    if port.device_owner == _OCTAVIA and port.device_id.startswith(_BALANCER_DEVICE):
        found = await cloud.octavia.load_balancer(port.device_id.removeprefix(_BALANCER_DEVICE))
        if found is not None:
            return named_balancer(found)
    whose = f" of {kind} {port.device_id}".rstrip() if kind else ""
    return f"port {port.id}{whose}"
