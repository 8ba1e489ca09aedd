"""OS::Neutron types, on the same functions as the network API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim import networking
from cloudsim.heat.resources.base import Kind, Props, Stored, Waiting, find, given, same_list
from cloudsim.heat.stack import Resource
from cloudsim.world import Record

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine


class Network(Stored):
    """A type that Neutron has a create and a delete function for."""

    record_kind = "network"

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """As a POST to Neutron."""
        attrs = self.attrs(engine, resource, props)
        resource.physical_id = networking.CREATE[self.record_kind](engine.world, resource.stack.project_id, attrs).id
        return None

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """As a DELETE to Neutron; raises its conflicts."""
        record = self.record(resource)
        if record is not None:
            networking.delete(engine.world, record)
        return None


class Net(Network):
    """OS::Neutron::Net."""

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Fields as Neutron names them."""
        return {
            **super().attrs(engine, resource, props),
            **given(props, "admin_state_up", "shared", "port_security_enabled", "tags"),
        }

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """Subnets are found through their network."""
        if name == "subnets":
            return [one.id for one in resource.stack.engine.world.store.find("subnet", network_id=resource.physical_id)]
        return {"status": "ACTIVE", "mtu": 1450}.get(name) or super().value_of(resource, name)


class Subnet(Network):
    """OS::Neutron::Subnet."""

    record_kind = "subnet"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Fields as Neutron names them; the network may be given by name."""
        network = find(engine, "network", props["network"], resource.stack.project_id)
        options = given(
            props,
            "cidr",
            "gateway_ip",
            "dns_nameservers",
            "enable_dhcp",
            "ip_version",
            "allocation_pools",
            "host_routes",
            "tags",
        )
        return {**super().attrs(engine, resource, props), "network_id": network.id, **options}

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """Neutron's defaults where nothing was said."""
        found = super().value_of(resource, name)
        return {"ip_version": 4, "enable_dhcp": True}.get(name) if found is None else found


class Router(Network):
    """OS::Neutron::Router."""

    record_kind = "router"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """The gateway's network may be given by name."""
        attrs = {**super().attrs(engine, resource, props), **given(props, "admin_state_up", "tags")}
        gateway = props.get("external_gateway_info")
        if gateway:
            network = find(engine, "network", gateway.get("network"), resource.stack.project_id)
            attrs["external_gateway_info"] = {"network_id": network.id, "enable_snat": gateway.get("enable_snat", True)}
        return attrs

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """A router is up at once."""
        return "ACTIVE" if name == "status" else super().value_of(resource, name)


class RouterInterface(Kind):
    """OS::Neutron::RouterInterface; its id is `router:subnet_id=subnet`, as Heat writes it."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Put the router on the subnet."""
        project_id = resource.stack.project_id
        router = find(engine, "router", props["router"], project_id)
        if props.get("subnet"):
            subnet_id = find(engine, "subnet", props["subnet"], project_id).id
        else:
            port = find(engine, "port", props.get("port"), project_id)
            subnet_id = port.attrs["fixed_ips"][0]["subnet_id"]
        networking.add_router_interface(engine.world, router, subnet_id)
        resource.physical_id = f"{router.id}:subnet_id={subnet_id}"
        return None

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Take it off again."""
        router, subnet_id = self._parts(engine, resource)
        if router is not None and engine.world.store.find("router_interface", router_id=router.id, subnet_id=subnet_id):
            networking.remove_router_interface(engine.world, router, subnet_id=subnet_id)
        return None

    @staticmethod
    def _parts(engine: Engine, resource: Resource) -> tuple[Record | None, str]:
        router_id, _, subnet_id = (resource.physical_id or "").partition(":subnet_id=")
        return engine.world.store.get("router", router_id), subnet_id

    @override
    def exists(self, engine: Engine, resource: Resource) -> bool:
        """Whether the router is on the subnet."""
        router, subnet_id = self._parts(engine, resource)
        return router is not None and bool(
            engine.world.store.find("router_interface", router_id=router.id, subnet_id=subnet_id)
        )


class Port(Network):
    """OS::Neutron::Port."""

    record_kind = "port"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Networks, subnets and groups may be given by name."""
        project_id = resource.stack.project_id
        attrs = {
            **super().attrs(engine, resource, props),
            "network_id": find(engine, "network", props["network"], project_id).id,
        }
        attrs |= given(
            props,
            "device_id",
            "device_owner",
            "allowed_address_pairs",
            "port_security_enabled",
            "admin_state_up",
            "tags",
        )
        if props.get("security_groups"):
            attrs["security_groups"] = same_list(
                tuple(find(engine, "security_group", one, project_id).id for one in props["security_groups"])
            )
        if props.get("fixed_ips"):
            attrs["fixed_ips"] = [self._fixed_ip(engine, one, project_id) for one in props["fixed_ips"]]
        return attrs

    @staticmethod
    def _fixed_ip(engine: Engine, wanted: Props, project_id: str) -> dict[str, str]:
        subnet = wanted.get("subnet") or wanted.get("subnet_id")
        place = {"subnet_id": find(engine, "subnet", subnet, project_id).id} if subnet else {}
        return place | ({"ip_address": str(wanted["ip_address"])} if wanted.get("ip_address") else {})

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Addresses stay what they are unless new ones are named."""
        return super().update(engine, resource, props, changed - {"fixed_ips"})

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """Some attributes are read from elsewhere."""
        store = resource.stack.engine.world.store
        if name == "subnets":
            ids = [ip["subnet_id"] for ip in super().value_of(resource, "fixed_ips") or ()]
            return [{"id": one.id, **one.attrs} for one in (store.get("subnet", key) for key in ids) if one is not None]
        if name == "network":
            network = store.get("network", super().value_of(resource, "network_id") or "")
            return {"id": network.id, **network.attrs} if network is not None else None
        if name == "mac_address":
            return "fa:16:3e:" + ":".join((resource.physical_id or "000000")[i : i + 2] for i in (0, 2, 4))
        return "ACTIVE" if name == "status" else super().value_of(resource, name)


class FloatingIP(Network):
    """OS::Neutron::FloatingIP."""

    record_kind = "floatingip"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """The network may be given by name."""
        network = find(engine, "network", props["floating_network"], resource.stack.project_id)
        return {"floating_network_id": network.id, **given(props, "port_id")}

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Point it elsewhere."""
        record = self.record(resource)
        if record is not None and "port_id" in changed:
            where = record.attrs["floating_network_id"]
            engine.world.store.update(record, **networking.association(engine.world, props.get("port_id"), where))
        return None


class FloatingIPAssociation(Kind):
    """OS::Neutron::FloatingIPAssociation; its id is `floating:port`."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Point the address at the port."""
        floating = find(engine, "floatingip", props["floatingip_id"])
        where = floating.attrs["floating_network_id"]
        engine.world.store.update(floating, **networking.association(engine.world, props.get("port_id"), where))
        resource.physical_id = f"{floating.id}:{props.get('port_id')}"
        return None

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Let go and point anew."""
        self.delete(engine, resource)
        return self.create(engine, resource, props)

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Let go, unless it points elsewhere by now."""
        floating_id, _, port_id = (resource.physical_id or "").partition(":")
        floating = engine.world.store.get("floatingip", floating_id)
        if floating is not None and floating.get("port_id") == port_id:
            engine.world.store.update(floating, **networking.association(engine.world, None, ""))
        return None


class SecurityGroup(Network):
    """OS::Neutron::SecurityGroup with its rules; without rules, what Neutron gives every group."""

    record_kind = "security_group"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Name and description."""
        return {**super().attrs(engine, resource, props), **given(props, "description", "stateful")}

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """The group, then its rules."""
        super().create(engine, resource, props)
        self._rules(engine, resource, props)
        return None

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """New rules take the place of all old ones."""
        super().update(engine, resource, props, changed)
        if "rules" in changed:
            for rule in engine.world.store.find("security_group_rule", security_group_id=resource.physical_id):
                engine.world.store.delete("security_group_rule", rule.id)
            self._rules(engine, resource, props)
        return None

    @staticmethod
    def _rules(engine: Engine, resource: Resource, props: Props) -> None:
        for rule in props.get("rules") or ():
            attrs = {"security_group_id": resource.physical_id, **given(rule, *_RULE_FIELDS)}
            if rule.get("remote_mode") == "remote_group_id":
                attrs["remote_group_id"] = rule.get("remote_group_id") or resource.physical_id
            networking.create_security_group_rule(engine.world, resource.stack.project_id, attrs)


_RULE_FIELDS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")


class SecurityGroupRule(Network):
    """OS::Neutron::SecurityGroupRule."""

    record_kind = "security_group_rule"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Groups may be given by name."""
        project_id = resource.stack.project_id
        attrs = {"security_group_id": find(engine, "security_group", props["security_group"], project_id).id}
        attrs |= given(props, "description", *_RULE_FIELDS)
        if props.get("remote_group"):
            attrs["remote_group_id"] = find(engine, "security_group", props["remote_group"], project_id).id
        return attrs
