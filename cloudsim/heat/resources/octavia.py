"""OS::Octavia types: records that nothing balances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim import load_balancers
from cloudsim.heat.resources.base import Props, Stored, Waiting, find, given
from cloudsim.heat.stack import Resource

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine


class Balancing(Stored):
    """Any of Octavia's types; each has a quota of its own, by Octavia's name."""

    quota = ""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """As a POST to Octavia; raises its refusals."""
        engine.world.quotas.load_balancing(resource.stack.project_id, self.quota)
        return super().create(engine, resource, props)


class LoadBalancer(Balancing):
    """OS::Octavia::LoadBalancer, with a port on its subnet."""

    record_kind = "loadbalancer"
    quota = "load_balancer"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Name and options."""
        options = given(props, "description", "provider", "admin_state_up", "flavor", "availability_zone")
        return {**super().attrs(engine, resource, props), **options}

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Take an address."""
        super().create(engine, resource, props)
        subnet = find(engine, "subnet", props["vip_subnet"], resource.stack.project_id)
        if (record := self.record(resource)) is not None:
            load_balancers.take_address(engine.world, record, subnet, props.get("vip_address"))
        return None

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Give the address back."""
        record = self.record(resource)
        port = engine.world.store.get("port", record.get("vip_port_id") or "") if record is not None else None
        if port is not None:
            engine.world.delete_port(port)
        return super().delete(engine, resource)


class Listener(Balancing):
    """OS::Octavia::Listener."""

    record_kind = "listener"
    quota = "listener"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Protocol, port, balancer."""
        options = given(
            props, "protocol", "protocol_port", "description", "connection_limit", "allowed_cidrs", "default_pool"
        )
        balancer = {"loadbalancer_id": props["loadbalancer"]} if props.get("loadbalancer") else {}
        return {**super().attrs(engine, resource, props), **options, **balancer}

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """As Octavia nests it."""
        if name == "loadbalancers":
            return [{"id": super().value_of(resource, "loadbalancer_id")}]
        return super().value_of(resource, name)


class Pool(Balancing):
    """OS::Octavia::Pool."""

    record_kind = "pool"
    quota = "pool"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Protocol, algorithm, listener."""
        options = given(
            props, "protocol", "lb_algorithm", "description", "session_persistence", "listener", "loadbalancer"
        )
        return {**super().attrs(engine, resource, props), **options}

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """Members are found through their pool."""
        if name == "members":
            members = resource.stack.engine.world.store.find("pool_member", pool_id=resource.physical_id)
            return [{"id": member.id} for member in members]
        return super().value_of(resource, name)


class PoolMember(Balancing):
    """OS::Octavia::PoolMember."""

    record_kind = "pool_member"
    quota = "member"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Address, port, pool."""
        options = given(props, "address", "protocol_port", "weight", "monitor_address", "monitor_port", "tags")
        subnet = props.get("subnet")
        place = {"subnet_id": find(engine, "subnet", subnet, resource.stack.project_id).id} if subnet else {}
        return {"name": "", "pool_id": props["pool"], **options, **place}


class HealthMonitor(Balancing):
    """OS::Octavia::HealthMonitor."""

    record_kind = "health_monitor"
    quota = "health_monitor"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """How often and what."""
        options = given(props, "type", "delay", "timeout", "max_retries", "http_method", "url_path", "expected_codes")
        return {"name": "", "pool_id": props["pool"], **options}
