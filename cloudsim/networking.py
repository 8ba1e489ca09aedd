"""What Neutron does beyond keeping records: what follows a creation and what stands in the way of a deletion.

Functions raise ApiFault with Neutron's status and error type. The Heat simulation may call them as the router does.
What a request names is held against the quota; what comes along with it (a router interface's port, a new group's two
rules) only counts as used, as in Neutron.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from cloudsim.errors import ApiFault
from cloudsim.store import Record
from cloudsim.world import World, stable_id

Attrs = dict[str, Any]
ROUTER_PORT = "network:router_interface"
_MISSING = {
    "network": ("NetworkNotFound", "Network {} could not be found."),
    "subnet": ("SubnetNotFound", "Subnet {} could not be found."),
    "port": ("PortNotFound", "Port {} could not be found."),
    "router": ("RouterNotFound", "Router {} could not be found"),
    "floatingip": ("FloatingIPNotFound", "Floating IP {} could not be found"),
    "security_group": ("SecurityGroupNotFound", "Security group {} does not exist"),
    "security_group_rule": ("SecurityGroupRuleNotFound", "Security group rule {} does not exist"),
}
_SAME_RULE = (
    *("direction", "ethertype", "protocol", "port_range_min", "port_range_max"),
    *("remote_ip_prefix", "remote_group_id"),
)


def missing(kind: str, record_id: str) -> ApiFault:
    """404 as Neutron words it for each kind."""
    name, words = _MISSING[kind]
    return ApiFault(404, words.format(record_id), kind=name)


def default_group(world: World, project_id: str) -> Record:
    """The project's security group "default", which is there as soon as anybody looks."""
    group_id = stable_id("security_group", f"default of {project_id}")
    found = world.store.get("security_group", group_id)
    if found is not None:
        return found
    attrs = {"name": "default", "description": "Default security group"}
    group = world.store.create("security_group", project_id, attrs, id=group_id)
    for ethertype in ("IPv4", "IPv6"):
        rule = {"security_group_id": group.id, "ethertype": ethertype, "description": None}
        world.store.create("security_group_rule", project_id, rule | {"direction": "egress"})
        world.store.create(
            "security_group_rule", project_id, rule | {"direction": "ingress", "remote_group_id": group.id}
        )
    return group


def create_network(world: World, project_id: str, attrs: Attrs) -> Record:
    """A network."""
    default_group(world, project_id)
    world.quotas.network(project_id, "network")
    return world.store.create("network", project_id, {"name": "", **attrs})


def create_subnet(world: World, project_id: str, attrs: Attrs) -> Record:
    """A subnet with its gateway on the first address unless told otherwise."""
    world.quotas.network(project_id, "subnet")
    if world.store.get("network", attrs.get("network_id", "")) is None:
        raise missing("network", str(attrs.get("network_id")))
    try:
        cidr = ipaddress.ip_network(attrs.get("cidr", ""))
    except ValueError as error:
        message = f"Invalid input for operation: {attrs.get('cidr')} is not in a CIDR format."
        raise ApiFault(400, message, kind="InvalidInput") from error
    for other in world.store.find("subnet", network_id=attrs["network_id"]):
        if ipaddress.ip_network(other.attrs["cidr"]).overlaps(cidr):
            words = (
                f"Requested subnet with cidr: {cidr} for network: {attrs['network_id']} overlaps with another subnet."
            )
            raise ApiFault(400, f"Invalid input for operation: {words}", kind="InvalidInput")
    return world.store.create("subnet", project_id, {"name": "", "gateway_ip": str(cidr[1]), **attrs})


def create_port(world: World, project_id: str, attrs: Attrs) -> Record:
    """A port with an address, in the default security group unless others are named."""
    group = default_group(world, project_id)
    if attrs.get("security_groups") is None and attrs.get("port_security_enabled") is not False:
        attrs = {**attrs, "security_groups": [group.id]}
    world.quotas.network(project_id, "port")
    try:
        return world.create_port(project_id, attrs.get("network_id", ""), attrs)
    except KeyError as error:
        raise missing("network", str(attrs.get("network_id"))) from error
    except ValueError as error:
        message = f"No more IP addresses available on network {attrs['network_id']}."
        raise ApiFault(409, message, kind="IpAddressGenerationFailure") from error


def create_floatingip(world: World, project_id: str, attrs: Attrs) -> Record:
    """A floating address from an external network, pointed at a port when one is named."""
    world.quotas.network(project_id, "floatingip")
    network_id = str(attrs.get("floating_network_id"))
    network = world.store.get("network", network_id)
    if network is None:
        raise missing("network", network_id)
    if not network.get("router:external"):
        message = f"Bad floatingip request: Network {network_id} is not a valid external network."
        raise ApiFault(400, message, kind="BadRequest")
    body = {**attrs, "floating_ip_address": world.allocate_floating_address()}
    body |= association(world, attrs.get("port_id"), network_id)
    return world.store.create("floatingip", project_id, body)


def association(world: World, port_id: str | None, external_id: str) -> Attrs:
    """What a floating address of the external network holds about the port it points at.

    Raises ApiFault 404 for an unknown port, and where no router leads from the port's subnet to the network.
    """
    if not port_id:
        return {"port_id": None, "fixed_ip_address": None, "router_id": None}
    port = world.store.get("port", port_id)
    if port is None:
        raise missing("port", port_id)
    fixed = next(iter(port.get("fixed_ips", ())), None)
    subnet_id = fixed["subnet_id"] if fixed else None
    interfaces = world.store.find("router_interface", subnet_id=subnet_id) if subnet_id else []
    routers = [r for i in interfaces if (r := world.store.get("router", i.attrs["router_id"])) is not None]
    leading = next((router.id for router in routers if _gateway(router) == external_id), None)
    if leading is None:
        message = f"External network {external_id} is not reachable from subnet {subnet_id}.  "
        message += f"Therefore, cannot associate Port {port_id} with a Floating IP."
        raise ApiFault(404, message, kind="ExternalGatewayForFloatingIPNotFound")
    return {"port_id": port_id, "fixed_ip_address": fixed and fixed["ip_address"], "router_id": leading}


def create_security_group(world: World, project_id: str, attrs: Attrs) -> Record:
    """A security group with the two rules that let everything out."""
    default_group(world, project_id)
    world.quotas.network(project_id, "security_group")
    group = world.store.create("security_group", project_id, {"name": "", "description": "", **attrs})
    for ethertype in ("IPv4", "IPv6"):
        rule = {"security_group_id": group.id, "direction": "egress", "ethertype": ethertype, "description": None}
        world.store.create("security_group_rule", project_id, rule)
    return group


def create_security_group_rule(world: World, project_id: str, attrs: Attrs) -> Record:
    """A rule of an existing group."""
    world.quotas.network(project_id, "security_group_rule")
    group_id = attrs.get("security_group_id", "")
    if world.store.get("security_group", group_id) is None:
        raise missing("security_group", group_id)
    attrs = {"direction": "ingress", "ethertype": "IPv4", **attrs}
    for other in world.store.find("security_group_rule", security_group_id=group_id):
        if all(other.get(name) == attrs.get(name) for name in _SAME_RULE):
            message = f"Security group rule already exists. Rule id is {other.id}."
            raise ApiFault(409, message, kind="SecurityGroupRuleExists")
    return world.store.create("security_group_rule", project_id, attrs)


def create_router(world: World, project_id: str, attrs: Attrs) -> Record:
    """A router, with a gateway when `external_gateway_info` names an external network."""
    world.quotas.network(project_id, "router")
    gateway = attrs.get("external_gateway_info") or {}
    if gateway:
        network_id = str(gateway.get("network_id"))
        if world.store.get("network", network_id) is None:
            raise missing("network", network_id)
        subnets = world.store.find("subnet", network_id=network_id)
        addresses = [{"subnet_id": one.id, "ip_address": world.allocate_floating_address()} for one in subnets[:1]]
        attrs = {**attrs, "external_gateway_info": {"enable_snat": True, "external_fixed_ips": addresses, **gateway}}
    return world.store.create("router", project_id, {"name": "", **attrs})


def add_router_interface(world: World, router: Record, subnet_id: str) -> Record:
    """Put the router on a subnet: one port on the gateway address and one router_interface record of the same id."""
    subnet = world.store.get("subnet", subnet_id)
    if subnet is None:
        raise missing("subnet", subnet_id)
    if world.store.find("router_interface", router_id=router.id, subnet_id=subnet_id):
        raise ApiFault(400, f"Bad router request: Router already has a port on subnet {subnet_id}.", kind="BadRequest")
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
            message = f"Router interface for subnet {where} on router {router.id} cannot be deleted, as it is required "
            message += "by one or more floating IPs."
            raise ApiFault(409, message, kind="RouterInterfaceInUseByFloatingIP")
    world.store.delete("port", match.id)
    world.store.delete("router_interface", match.id)
    return match


def _delete_network(world: World, network: Record) -> None:
    ports = world.store.find("port", network_id=network.id)
    gateways = [r for r in world.store.list("router") if _gateway(r) == network.id] if _external(network) else []
    floating = world.store.find("floatingip", floating_network_id=network.id) if _external(network) else []
    if ports or gateways or floating:
        message = f"Unable to complete operation on network {network.id}. There are one or more ports still in use on "
        message += f"the network, id for these ports is: {','.join(port.id for port in ports)}."
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
            message = f"Unable to complete operation on subnet {subnet.id}: One or more ports have an IP allocation "
            message += "from this subnet."
            raise ApiFault(409, message, kind="SubnetInUse")
    world.forget_subnet(subnet.id)


def _delete_router(world: World, router: Record) -> None:
    if interfaces := world.store.find("router_interface", router_id=router.id):
        ports = ", ".join(one.id for one in interfaces)
        raise ApiFault(409, f"Router {router.id} has ports still attached: {ports}", kind="RouterInUse")
    world.store.delete("router", router.id)


def _delete_port(world: World, port: Record) -> None:
    if port.get("device_owner") == ROUTER_PORT:
        message = f"Port {port.id} cannot be deleted directly via the port API: has device owner {ROUTER_PORT}."
        raise ApiFault(409, message, kind="ServicePortInUse")
    if str(port.get("device_owner") or "").startswith("compute:") and world.store.get(
        "server", port.attrs["device_id"]
    ):
        # Who is no service may not take a port from under a server.
        raise ApiFault(403, "rule:delete_port is disallowed by policy", kind="PolicyNotAuthorized")
    world.delete_port(port)


def _delete_security_group(world: World, group: Record) -> None:
    if group.get("name") == "default":
        message = "Insufficient rights for removing default security group."
        raise ApiFault(409, message, kind="SecurityGroupCannotRemoveDefault")
    if any(group.id in p.get("security_groups", ()) for p in world.store.list("port", group.project_id)):
        raise ApiFault(409, f"Security Group {group.id} in use.", kind="SecurityGroupInUse")
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
