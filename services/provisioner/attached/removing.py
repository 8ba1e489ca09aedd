"""Removing what a bay's own services made: one pass over what was found. It may be repeated, and it never waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from services.provisioner.attached.finding import Attached, named_balancer
from shared.domain.errors import CloudError
from shared.openstack.cloud import ProjectCloud
from shared.openstack.octavia import LoadBalancer

Guard = Callable[[], Awaitable[None]]
"""See `StepContext.guard`."""

_IN_USE: Final = 409


async def remove(cloud: ProjectCloud, found: Attached, guard: Guard) -> list[str]:
    """Remove what can be removed now; the rest in words.

    Addresses go before the load balancers, because those let them go and then nothing tells whose they were. A security
    group that a node's port still uses is left without a word: it goes when the nodes have gone.

    Raises:
        CloudError: something that may go better later, but for 409.
    """
    left = []
    for address in found.floating_ips:
        deleting = partial(cloud.neutron.delete, "floatingips", address.id)
        left += await _tried(guard, f"floating IP {address.address} ({address.id})", deleting)
    for one in found.load_balancers:
        left += [named_balancer(one)] if one.pending else await _balancer(cloud, one, guard)
    for port in found.ports:
        left += await _tried(guard, f"port {port.name} ({port.id})", partial(cloud.neutron.delete, "ports", port.id))
    for group in found.security_groups:
        deleting = partial(cloud.neutron.delete, "security-groups", group.id)
        await _tried(guard, f"security group {group.name} ({group.id})", deleting)
    return left


async def _balancer(cloud: ProjectCloud, one: LoadBalancer, guard: Guard) -> list[str]:
    refused = await _tried(guard, named_balancer(one), partial(cloud.octavia.delete, one.id))
    return refused or [f"load balancer {one.name} ({one.id}), which is being deleted"]


async def _tried(guard: Guard, what: str, deleting: Callable[[], Awaitable[bool]]) -> list[str]:
    """Delete one thing; what the cloud says against it, if it does. A refusal of one is none of the others."""
    await guard()
    try:
        await deleting()
    except CloudError as error:
        if error.retryable and error.status != _IN_USE:
            raise
        return [f"{what}: {error.message}"]
    return []
