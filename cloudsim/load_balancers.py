"""What Octavia does with a load balancer: its port, its states, and what hangs on it.

Heat's resource makes them at once; those that are asked for by HTTP take their time. Functions raise ApiFault with
Octavia's status and words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudsim.errors import ApiFault
from cloudsim.store import Record
from cloudsim.world import World

_PENDING = "PENDING_"
_PROVIDERS = frozenset({"amphora", "octavia"})
_CHILDREN = ("listener", "pool")


def create(world: World, project_id: str, attrs: dict[str, Any]) -> Record:
    """One on `vip_subnet_id`, or on the first subnet of `vip_network_id`."""
    subnet = world.store.get("subnet", str(attrs.get("vip_subnet_id") or ""))
    if subnet is None and (network := attrs.get("vip_network_id")):
        subnet = next(iter(world.store.find("subnet", network_id=network)), None)
    if subnet is None and attrs.get("vip_subnet_id"):
        raise ApiFault(400, f"Subnet {attrs['vip_subnet_id']} not found.")
    if subnet is None:
        raise ApiFault(400, "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
    if attrs.get("provider", "amphora") not in _PROVIDERS:
        raise ApiFault(400, f"Provider '{attrs['provider']}' is not enabled.")
    world.quotas.load_balancing(project_id, "load_balancer")
    own = {"name": "", "description": "", "tags": [], **attrs, "provisioning_status": "PENDING_CREATE"}
    record = world.store.create("loadbalancer", project_id, own)
    take_address(world, record, subnet, attrs.get("vip_address"))
    _later(world, record, lambda found: world.store.update(found, provisioning_status="ACTIVE"))
    return record


def take_address(world: World, record: Record, subnet: Record, wanted: str | None = None) -> None:
    """A port of its own, which keeps subnet and network from being deleted."""
    fixed = {"subnet_id": subnet.id} | ({"ip_address": wanted} if wanted else {})
    name, owner = f"octavia-lb-{record.id}", {"device_owner": "Octavia", "device_id": f"lb-{record.id}"}
    network_id = subnet.attrs["network_id"]
    port = world.create_port(record.project_id, network_id, {"name": name, **owner, "fixed_ips": [fixed]})
    address = port.attrs["fixed_ips"][0]["ip_address"]
    vip = {"vip_address": address, "vip_port_id": port.id, "vip_subnet_id": subnet.id, "vip_network_id": network_id}
    world.store.update(record, **vip)


def update(world: World, record: Record, changes: dict[str, Any]) -> None:
    """Change attributes."""
    _mutable(record)
    world.store.update(record, **changes, provisioning_status="PENDING_UPDATE")
    _later(world, record, lambda found: world.store.update(found, provisioning_status="ACTIVE"))


def delete(world: World, record: Record, *, cascade: bool) -> None:
    """Begin the deletion; its port is there until the end."""
    _mutable(record)
    if not cascade and any(world.store.find(kind, loadbalancer_id=record.id) for kind in _CHILDREN):
        raise ApiFault(400, f"Validation failure: Cannot delete Load Balancer {record.id} - it has children")
    world.store.update(record, provisioning_status="PENDING_DELETE")
    _later(world, record, lambda found: forget(world, found))


def forget(world: World, record: Record) -> None:
    """Delete it now, with its port and what hangs on it."""
    if (port := world.store.get("port", record.get("vip_port_id") or "")) is not None:
        world.delete_port(port)
    for kind in _CHILDREN:
        for child in world.store.find(kind, loadbalancer_id=record.id):
            world.store.delete(kind, child.id)
    world.store.delete("loadbalancer", record.id)


def _mutable(record: Record) -> None:
    if str(record.get("provisioning_status", "ACTIVE")).startswith(_PENDING):
        raise ApiFault(409, f"Invalid state {record.get('provisioning_status')} of loadbalancer resource {record.id}")


def _later(world: World, record: Record, ends: Callable[[Record], object]) -> None:
    """Leave the pending state in time; one that is stuck is asked again, so that it goes on once it is not."""

    def end() -> None:
        found = world.store.get("loadbalancer", record.id)
        if found is None:
            return
        if found.get("name") in world.settings.stuck_balancers:
            world.clock.call_later(world.settings.balancer_seconds, end)
        else:
            ends(found)

    world.clock.call_later(world.settings.balancer_seconds, end)
