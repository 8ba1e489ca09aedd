"""What a stack will take of the cloud, counted from its templates before it exists.

Things are counted as the services count them for quotas: a router interface and a load balancer take a port each, a
security group comes with two rules, a server takes a port for each network that it is given without one. Ports that no
project pays for (a router's gateway, a floating address's outer end) and those that a network agent adds on its own
(DHCP: one per agent, if the cloud has agents) are left out, so a bay is never refused for what it may not take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple, Protocol, cast

from shared.drivers.contract import RenderedStack
from shared.drivers.hot import Node, Scope, Unknown, bound, parse, section

_DEEPEST: Final = 5
"""Heat's max_nested_stack_depth."""
_WRAPPING: Final = 8192
"""What Heat adds, at most, to user-data that it is not told to leave alone (RAW)."""
_NETWORK: Final = {
    "OS::Neutron::Net": "networks",
    "OS::Neutron::Subnet": "subnets",
    "OS::Neutron::Router": "routers",
    "OS::Neutron::RouterInterface": "ports",
    "OS::Neutron::Port": "ports",
    "OS::Neutron::FloatingIP": "floating_ips",
    "OS::Neutron::SecurityGroup": "security_groups",
    "OS::Neutron::SecurityGroupRule": "security_group_rules",
    "OS::Octavia::LoadBalancer": "load_balancers",
    "OS::Octavia::Listener": "listeners",
    "OS::Octavia::Pool": "pools",
    "OS::Octavia::PoolMember": "pool_members",
    "OS::Octavia::HealthMonitor": "health_monitors",
}
_DEFAULT_RULES: Final = 2
"""Neutron lets everything out of a new group, by IPv4 and IPv6; Heat drops these when a group says what may go out."""


class Volumes(NamedTuple):
    """Volumes of one type."""

    number: int
    gb: int


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a stack takes, everything nested in it included."""

    resources: Mapping[str, int] = field(default_factory=dict)
    """Heat's resources by type; a member of a group that is a template counts under the template's file name."""
    servers: Mapping[str, int] = field(default_factory=dict)
    """By flavor, as the stack names it: an id or a name."""
    volumes: Mapping[str, Volumes] = field(default_factory=dict)
    """By volume type; "" is the cloud's default type."""
    networks: int = 0
    subnets: int = 0
    routers: int = 0
    ports: int = 0
    floating_ips: int = 0
    security_groups: int = 0
    security_group_rules: int = 0
    load_balancers: int = 0
    listeners: int = 0
    pools: int = 0
    pool_members: int = 0
    health_monitors: int = 0
    stacks: int = 0
    """Nested stacks: one per group, one per member that is a template."""
    user_data_bytes: int = 0
    """The longest user-data of any server once Heat has filled it in, after base64; from above."""
    left_out: int = 0
    """Most resources that conditions leave out of one nested template; Heat's limit counts them while it adds that."""

    @property
    def total(self) -> int:
        """Heat's resources, as max_resources_per_stack counts them."""
        return sum(self.resources.values())

    @property
    def server_count(self) -> int:
        """Servers of all flavors."""
        return sum(self.servers.values())


class FlavorSize(Protocol):
    """What a flavor takes of the quotas."""

    @property
    def vcpus(self) -> int: ...

    @property
    def ram_mb(self) -> int: ...


def footprint(rendered: RenderedStack) -> Footprint:
    """Count what a stack will take.

    Raises:
        ValueError: a count, a flavor or a size cannot be told from the parameters, a file is missing, or something in a
            template refers to itself; the driver's fault, not the user's.
    """
    registry = cast("Mapping[str, object]", rendered.environment.get("resource_registry") or {})
    defaults = cast("Mapping[str, object]", rendered.environment.get("parameter_defaults") or {})
    tally = _Tally({name: kind for name, kind in registry.items() if isinstance(kind, str)})
    try:
        tally.template(Scope(parse(rendered.template), {**defaults, **rendered.parameters}, rendered.files), 1, 0)
    except RecursionError:
        raise ValueError("A part of a template, for instance a condition, refers to itself.") from None
    return tally.footprint()


def difference(after: Footprint, before: Footprint) -> Footprint:
    """What `after` takes beyond `before`, e.g. of a resize; what it takes less of is 0.

    Of the sizes (`user_data_bytes`, `left_out`) it has those of `after`, which limits are compared with.
    """
    numbers = {
        one.name: max(0, getattr(after, one.name) - getattr(before, one.name))
        for one in fields(Footprint)
        if one.name not in {"resources", "servers", "volumes", "user_data_bytes", "left_out"}
    }
    volumes = {}
    for name, have in after.volumes.items():
        had = before.volumes.get(name, Volumes(0, 0))
        more = Volumes(max(0, have.number - had.number), max(0, have.gb - had.gb))
        if any(more):
            volumes[name] = more
    return Footprint(
        resources=dict(Counter(after.resources) - Counter(before.resources)),
        servers=dict(Counter(after.servers) - Counter(before.servers)),
        volumes=volumes,
        user_data_bytes=after.user_data_bytes,
        left_out=after.left_out,
        **numbers,
    )


def combined(parts: Sequence[Footprint]) -> Footprint:
    """What several stacks take together; of the sizes (`user_data_bytes`, `left_out`) the largest."""
    sizes = ("user_data_bytes", "left_out")
    volumes: dict[str, Volumes] = {}
    for part in parts:
        for name, one in part.volumes.items():
            had = volumes.get(name, Volumes(0, 0))
            volumes[name] = Volumes(had.number + one.number, had.gb + one.gb)
    return Footprint(
        resources=dict(sum((Counter(part.resources) for part in parts), Counter())),
        servers=dict(sum((Counter(part.servers) for part in parts), Counter())),
        volumes=volumes,
        **{
            one.name: (max if one.name in sizes else sum)(getattr(part, one.name) for part in parts)
            for one in fields(Footprint)
            if one.name not in {"resources", "servers", "volumes"}
        },
    )


def need(of: Footprint, flavors: Mapping[str, FlavorSize]) -> dict[str, int]:
    """What quotas are asked for, by the names of `shared.domain.headroom`. What is not needed is left out.

    Raises:
        KeyError: `flavors` lacks one of `of.servers`.
    """
    wanted = {
        "servers": of.server_count,
        "cores": sum(flavors[name].vcpus * count for name, count in of.servers.items()),
        "ram_mb": sum(flavors[name].ram_mb * count for name, count in of.servers.items()),
        "volumes": sum(one.number for one in of.volumes.values()),
        "volume_gb": sum(one.gb for one in of.volumes.values()),
        **{name: getattr(of, name) for name in dict.fromkeys(_NETWORK.values())},
    }
    for name, one in of.volumes.items():
        if name:
            wanted |= {f"volumes:{name}": one.number, f"volume_gb:{name}": one.gb}
    return {name: number for name, number in wanted.items() if number}


class _Tally:
    """Counts while it walks down the templates. `times` is how often what is looked at will be there."""

    def __init__(self, registry: Mapping[str, str]) -> None:
        self._registry = registry
        self._resources: Counter[str] = Counter()
        self._servers: Counter[str] = Counter()
        self._volumes: dict[str, Volumes] = {}
        self._numbers: Counter[str] = Counter()
        self._user_data = self._left_out = 0

    def footprint(self) -> Footprint:
        """What was counted."""
        return Footprint(
            resources=dict(self._resources),
            servers=dict(self._servers),
            volumes=self._volumes,
            user_data_bytes=self._user_data,
            left_out=self._left_out,
            **self._numbers,
        )

    def template(self, scope: Scope, times: int, depth: int) -> None:
        """Count all resources of a template."""
        if depth > _DEEPEST:
            raise ValueError(f"Templates are nested more than {_DEEPEST} deep.")
        kept, left_out = scope.resources()
        if depth:
            self._numbers["stacks"] += times
            self._left_out = max(self._left_out, left_out)
        for resource in kept.values():
            self._resource(scope, str(resource["type"]), section(resource, "properties"), times, depth)

    def _resource(self, scope: Scope, declared: str, properties: Node, times: int, depth: int) -> None:
        kind = self._registry.get(declared, declared)
        self._resources[kind] += times
        if kind == "OS::Heat::ResourceGroup":
            self._group(scope, properties, times, depth)
        elif "::" not in kind:
            if kind not in scope.files:
                raise ValueError(f"The stack has no file {kind}.")
            given = {name: scope.value(value) for name, value in properties.items()}
            self.template(Scope(parse(scope.files[kind]), given, scope.files), times, depth + 1)
        elif kind == "OS::Nova::Server":
            self._server(scope, properties, times)
        elif kind == "OS::Cinder::Volume":
            self._volume(scope.value(properties.get("volume_type")), scope.value(properties.get("size")), times)
        elif kind in _NETWORK:
            self._numbers[_NETWORK[kind]] += times
            if kind == "OS::Octavia::LoadBalancer":
                self._numbers["ports"] += times
            if kind == "OS::Neutron::SecurityGroup":
                self._numbers["security_group_rules"] += times * _rules(scope.value(properties.get("rules")))

    def _group(self, scope: Scope, properties: Node, times: int, depth: int) -> None:
        """A group is a nested stack of its own, also when it is empty; members stand for one another."""
        count = scope.value(properties.get("count", 1))
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"A group's count is {count}.")
        self._numbers["stacks"] += times
        if count:
            member = section(properties, "resource_def")
            variable = str(properties.get("index_var", "%index%"))
            inner = cast("Node", _indexed(member.get("properties") or {}, variable, str(count - 1)))
            self._resource(scope, str(member["type"]), inner, times * count, depth + 1)

    def _server(self, scope: Scope, properties: Node, times: int) -> None:
        flavor = scope.value(properties.get("flavor"))
        if not isinstance(flavor, str):
            raise ValueError("A server's flavor cannot be told from the parameters.")  # noqa: TRY004 - the template's fault
        self._servers[flavor] += times
        networks = scope.value(properties.get("networks") or [])
        if isinstance(networks, list):
            portless = [one for one in networks if isinstance(one, Mapping) and not one.get("port")]
            self._numbers["ports"] += times * len(portless)
        devices = scope.value(properties.get("block_device_mapping_v2") or [])
        for device in devices if isinstance(devices, list) else ():
            if device.get("volume_size") and not device.get("volume_id"):
                self._volume(device.get("volume_type"), device["volume_size"], times)
        node = properties.get("user_data") or ""
        if isinstance(node, Mapping) and node.keys() & {"get_resource", "get_attr"}:
            raise ValueError("The length of a server's user-data cannot be told: it is another resource's.")
        text = scope.value(node)
        wrapping = 0 if scope.value(properties.get("user_data_format")) == "RAW" else _WRAPPING
        self._user_data = max(self._user_data, 4 * -(-(bound(text) + wrapping) // 3))

    def _volume(self, volume_type: object, size: object, times: int) -> None:
        if not isinstance(size, int) or isinstance(volume_type, Unknown):
            raise ValueError("A volume's size or type cannot be told from the parameters.")  # noqa: TRY004 - as above
        name = str(volume_type or "")
        before = self._volumes.get(name, Volumes(0, 0))
        self._volumes[name] = Volumes(before.number + times, before.gb + times * size)


def _rules(rules: object) -> int:
    listed = rules if isinstance(rules, list) else []
    outward = any(isinstance(one, Mapping) and one.get("direction") == "egress" for one in listed)
    return len(listed) + (0 if outward else _DEFAULT_RULES)


def _indexed(node: object, variable: str, index: str) -> object:
    """A member's properties with its index put in."""
    if isinstance(node, Mapping):
        return {key: _indexed(item, variable, index) for key, item in node.items()}
    if isinstance(node, list):
        return [_indexed(item, variable, index) for item in node]
    return node.replace(variable, index) if isinstance(node, str) else node
