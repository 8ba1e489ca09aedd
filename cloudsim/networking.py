"""What Neutron does beyond keeping records: what follows a creation and what stands in the way of a deletion.

Functions raise ApiFault with Neutron's status and error type. The Heat simulation may call them as the router does.
What a request names is held against the quota; what comes along with it (a router interface's port, a new group's two
rules) only counts as used, as in Neutron.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from cloudsim.errors import ApiFault, not_found
from cloudsim.store import Record
from cloudsim.world import World

Attrs = dict[str, Any]
ROUTER_PORT = "network:router_interface"


def create_network(world: World, project_id: str, attrs: Attrs) -> Record:
    """A network."""
    world.quotas.network(project_id, "network")
    return world.store.create("network", project_id, {"name": "", **attrs})


def create_subnet(world: World, project_id: str, attrs: Attrs) -> Record:
    """A subnet with its gateway on the first address unless told otherwise."""
    world.quotas.network(project_id, "subnet")
    if world.store.get("network", attrs.get("network_id", "")) is None:
        raise not_found("network", str(attrs.get("network_id")))
    try:
        cidr = ipaddress.ip_network(attrs.get("cidr", ""))
    except ValueError as error:
        raise ApiFault(400, f"Invalid input for cidr. Reason: {error}.", kind="HTTPBadRequest") from error
    return world.store.create("subnet", project_id, {"name": "", "gateway_ip": str(cidr[1]), **attrs})


def create_port(world: World, project_id: str, attrs: Attrs) -> Record:
    """A port with an address."""
    world.quotas.network(project_id, "port")
    try:
        return world.create_port(project_id, attrs.get("network_id", ""), attrs)
    except KeyError as error:
        raise not_found("network", str(attrs.get("network_id"))) from error
    except ValueError as error:
        message = f"No more IP addresses available on network {attrs['network_id']}."
        raise ApiFault(409, message, kind="IpAddressGenerationFailure") from error


def create_floatingip(world: World, project_id: str, attrs: Attrs) -> Record:
    """A floating address from an external network, pointed at a port when one is named."""
    world.quotas.network(project_id, "floatingip")
    network_id = str(attrs.get("floating_network_id"))
    network = world.store.get("network", network_id)
    if network is None:
        raise not_found("network", network_id)
    if not network.get("router:external"):
        raise ApiFault(400, f"Network {network_id} is not a valid external network.", kind="BadRequest")
    body = {**attrs, "floating_ip_address": world.allocate_floating_address()}
    body |= association(world, attrs.get("port_id"))
    return world.store.create("floatingip", project_id, body)


def association(world: World, port_id: str | None) -> Attrs:
    """What a floating address holds about the port it points at. Raises ApiFault 404 for an unknown port."""
    if not port_id:
        return {"port_id": None, "fixed_ip_address": None, "router_id": None}
    port = world.store.get("port", port_id)
    if port is None:
        raise not_found("port", port_id)
    fixed = next(iter(port.get("fixed_ips", ())), None)
    router_id = None
    if fixed is not None:
        interfaces = world.store.find("router_interface", subnet_id=fixed["subnet_id"])
        router_id = interfaces[0].attrs["router_id"] if interfaces else None
    return {"port_id": port_id, "fixed_ip_address": fixed and fixed["ip_address"], "router_id": router_id}


def create_security_group(world: World, project_id: str, attrs: Attrs) -> Record:
    """A security group with the two rules that let everything out."""
    world.quotas.network(project_id, "security_group")
    group = world.store.create("security_group", project_id, {"name": "", "description": "", **attrs})
    for ethertype in ("IPv4", "IPv6"):
        rule = {"security_group_id": group.id, "direction": "egress", "ethertype": ethertype}
        world.store.create("security_group_rule", project_id, rule)
    return group


def create_security_group_rule(world: World, project_id: str, attrs: Attrs) -> Record:
    """A rule of an existing group."""
    world.quotas.network(project_id, "security_group_rule")
    group_id = attrs.get("security_group_id", "")
    if world.store.get("security_group", group_id) is None:
        raise ApiFault(404, f"Security group {group_id} does not exist", kind="SecurityGroupNotFound")
    return world.store.create("security_group_rule", project_id, {"direction": "ingress", "ethertype": "IPv4", **attrs})


def create_router(world: World, project_id: str, attrs: Attrs) -> Record:
    """A router, with a gateway when `external_gateway_info` names an external network."""
    world.quotas.network(project_id, "router")
    gateway = attrs.get("external_gateway_info") or {}
    if gateway and world.store.get("network", gateway.get("network_id", "")) is None:
        raise not_found("network", str(gateway.get("network_id")))
    return world.store.create("router", project_id, {"name": "", **attrs})


def add_router_interface(world: World, router: Record, subnet_id: str) -> Record:
    """Put the router on a subnet: one port on the gateway address and one router_interface record of the same id."""
    subnet = world.store.get("subnet", subnet_id)
    if subnet is None:
        raise not_found("subnet", subnet_id)
    if world.store.find("router_interface", router_id=router.id, subnet_id=subnet_id):
        raise ApiFault(400, f"Router already has a port on subnet {subnet_id}.", kind="BadRequest")
    network_id = subnet.attrs["network_id"]
    ips = [{"subnet_id": subnet_id, "ip_address": subnet.attrs["gateway_ip"]}]
    owner = {"device_id": router.id, "device_owner": ROUTER_PORT, "fixed_ips": ips}
    port = world.create_port(router.project_id, network_id, owner)
    attrs = {"router_id": router.id, "subnet_id": subnet_id, "network_id": network_id}
    return world.store.create("router_interface", router.project_id, attrs, id=port.id)


def remove_router_interface(world: World, router: Record, *, subnet_id: str = "", port_id: str = "") -> Record:
    """Take the router off a subnet. Raises ApiFault 404 when it is not on it, 409 while floating addresses need it."""
    found = world.store.find("router_interface", router_id=router.id)
    match = next((i for i in found if i.attrs["subnet_id"] == subnet_id or i.id == port_id), None)
    if match is None:
        message = f"Router {router.id} has no interface on subnet {subnet_id or port_id}"
        raise ApiFault(404, message, kind="RouterInterfaceNotFoundForSubnet")
    where = match.attrs["subnet_id"]
    for port in world.store.find("port", network_id=match.attrs["network_id"]):
        on_subnet = any(ip["subnet_id"] == where for ip in port.get("fixed_ips", ()))
        if on_subnet and world.store.find("floatingip", port_id=port.id):
            message = f"Router interface for subnet {where} on router {router.id} is required by a floating IP."
            raise ApiFault(409, message, kind="RouterInterfaceInUseByFloatingIP")
    world.store.delete("port", match.id)
    world.store.delete("router_interface", match.id)
    return match


def _delete_network(world: World, network: Record) -> None:
    ports = world.store.find("port", network_id=network.id)
    gateways = [r for r in world.store.list("router") if _gateway(r) == network.id] if _external(network) else []
    floating = world.store.find("floatingip", floating_network_id=network.id) if _external(network) else []
    if ports or gateways or floating:
        message = f"Unable to complete operation on network {network.id}. There are one or more ports still in use."
        raise ApiFault(409, message, kind="NetworkInUse")
    for subnet in world.store.find("subnet", network_id=network.id):
        world.forget_subnet(subnet.id)
    world.store.delete("network", network.id)


def _external(network: Record) -> bool:
    return bool(network.get("router:external"))


def _gateway(router: Record) -> str:
    return str((router.get("external_gateway_info") or {}).get("network_id", ""))


def _delete_subnet(world: World, subnet: Record) -> None:
    for port in world.store.find("port", network_id=subnet.attrs["network_id"]):
        if any(ip["subnet_id"] == subnet.id for ip in port.get("fixed_ips", ())):
            message = f"Unable to complete operation on subnet {subnet.id}: One or more ports have an IP allocation."
            raise ApiFault(409, message, kind="SubnetInUse")
    world.forget_subnet(subnet.id)


def _delete_router(world: World, router: Record) -> None:
    if world.store.find("router_interface", router_id=router.id):
        raise ApiFault(409, f"Router {router.id} still has ports", kind="RouterInUse")
    world.store.delete("router", router.id)


def _delete_port(world: World, port: Record) -> None:
    if port.get("device_owner") == ROUTER_PORT:
        message = f"Port {port.id} cannot be deleted directly via the port API: has device owner {ROUTER_PORT}."
        raise ApiFault(409, message, kind="ServicePortInUse")
    world.delete_port(port)


def _delete_security_group(world: World, group: Record) -> None:
    if any(group.id in p.get("security_groups", ()) for p in world.store.list("port", group.project_id)):
        raise ApiFault(409, f"Security Group {group.id} in use.", kind="SecurityGroupInUse")
    if group.get("name") == "default":
        raise ApiFault(409, "Removing default security group not allowed.", kind="SecurityGroupCannotRemoveDefault")
    for rule in world.store.find("security_group_rule", security_group_id=group.id):
        world.store.delete("security_group_rule", rule.id)
    world.store.delete("security_group", group.id)


CREATE: dict[str, Callable[[World, str, Attrs], Record]] = {
    "network": create_network,
    "subnet": create_subnet,
    "port": create_port,
    "router": create_router,
    "floatingip": create_floatingip,
    "security_group": create_security_group,
    "security_group_rule": create_security_group_rule,
}
_DELETE: dict[str, Callable[[World, Record], None]] = {
    "network": _delete_network,
    "subnet": _delete_subnet,
    "port": _delete_port,
    "router": _delete_router,
    "security_group": _delete_security_group,
}


def delete(world: World, record: Record) -> None:
    """Delete any Neutron record as Neutron would. Raises ApiFault 409 when something still needs it."""
    deleter = _DELETE.get(record.kind)
    if deleter is None:
        world.store.delete(record.kind, record.id)
    else:
        deleter(world, record)
