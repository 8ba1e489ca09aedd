"""Quotas of projects: unlimited until somebody sets one, as an administrator does through each service's own API.

Names are those of each service's quota API. What is used is counted from the records whenever somebody asks, so that
it can never be wrong; an unlimited resource is not counted. Whatever makes something asks `World.quotas` first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cloudsim.errors import ApiFault
from cloudsim.store import Store

if TYPE_CHECKING:
    from cloudsim.store import Record

UNLIMITED = -1
COMPUTE = (
    *("instances", "cores", "ram", "key_pairs", "server_groups", "server_group_members"),
    *("metadata_items", "injected_files", "injected_file_content_bytes", "injected_file_path_bytes"),
    *("fixed_ips", "floating_ips", "security_groups", "security_group_rules"),
)
_GIVEN = {
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "router_route": 30,
    "rbac_policy": 10,
    "backups": 10,
    "backup_gigabytes": 1000,
    "groups": 10,
}
"""Limits that every project has, of what is not counted here."""
VOLUME = ("volumes", "gigabytes", "snapshots", "backups", "backup_gigabytes", "per_volume_gigabytes", "groups")
LOAD_BALANCING = ("load_balancer", "listener", "pool", "member", "health_monitor", "l7policy", "l7rule")
NETWORK = (
    *("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule"),
    *("subnetpool", "router_route", "rbac_policy"),
)
_PER_TYPE = ("volumes", "gigabytes", "snapshots")

Limits = dict[str, int]


class Quotas:
    """The limits that were set, and what is used. Services are "compute", "volume", "network" and "load-balancer"."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._limits: dict[tuple[str, str], Limits] = {}

    def clear(self) -> None:
        """Forget all limits."""
        self._limits.clear()

    def names(self, service: str) -> tuple[str, ...]:
        """The resources that a service limits; Cinder has some for each volume type."""
        if service != "volume":
            return {"compute": COMPUTE, "network": NETWORK, "load-balancer": LOAD_BALANCING}[service]
        types = [str(one.get("name")) for one in self._store.list("volume_type")]
        return (*VOLUME, *(f"{kind}_{name}" for name in types for kind in _PER_TYPE))

    def limits(self, service: str, project_id: str) -> Limits:
        """Every limit of a project; -1: none."""
        own = self._limits.get((service, project_id), {})
        return {name: own.get(name, _GIVEN.get(name, UNLIMITED)) for name in self.names(service)}

    def set(self, service: str, project_id: str, limits: Mapping[str, object]) -> Limits:
        """Set limits, leave those that are not named, and give them all. Raises ApiFault 400 for what is no limit."""
        known = self.names(service)
        for name, value in limits.items():
            if name not in known:
                raise ApiFault(400, f"Unknown quota resources ['{name}'].", kind="QuotaResourceUnknown")
            if not str(value).removeprefix("-").isdecimal() or int(str(value)) < UNLIMITED:
                raise ApiFault(400, f"Quota limit {value} for {name} must be in the range of -1 and 2147483647.")
        own = self._limits.setdefault((service, project_id), {})
        own.update({name: int(str(value)) for name, value in limits.items()})
        return self.limits(service, project_id)

    def forget(self, service: str, project_id: str) -> None:
        """Take a project's limits away."""
        self._limits.pop((service, project_id), None)

    def used(self, service: str, project_id: str) -> dict[str, int]:
        """What a project has of each resource; of what is not simulated 0."""
        counted = _COUNT[service](self._store, project_id)
        return {name: counted.get(name, 0) for name in self.names(service)}

    def servers(self, project_id: str, flavor_id: str) -> None:
        """A server of this flavor is to be made. Raises ApiFault 403 as Nova does."""
        flavor = self._store.get("flavor", flavor_id)
        wanted = {"instances": 1}
        if flavor is not None:
            wanted |= {"cores": int(flavor.get("vcpus", 0)), "ram": int(flavor.get("ram", 0))}
        if over := self._over("compute", project_id, wanted):
            used, limits = self.used("compute", project_id), self.limits("compute", project_id)
            asked, had, most = (", ".join(str(of[name]) for name in over) for of in (wanted, used, limits))
            named = ", ".join(over)
            message = f"Quota exceeded for {named}: Requested {asked}, but already used {had} of {most} {named}"
            raise ApiFault(403, message, kind="Forbidden")

    def server_group(self, project_id: str) -> None:
        """A server group is to be made. Raises ApiFault 403 as Nova does."""
        if self._over("compute", project_id, {"server_groups": 1}):
            raise ApiFault(403, "Quota exceeded, too many server groups.", kind="Forbidden")

    def group_member(self, project_id: str, group_id: str) -> None:
        """A server is to be made in this group, whose members have a limit of their own. Raises ApiFault 403."""
        most = self._limits.get(("compute", project_id), {}).get("server_group_members", UNLIMITED)
        if 0 <= most <= len(self._store.find("server", server_group=group_id)):
            raise ApiFault(403, "Quota exceeded, too many servers in group", kind="Forbidden")

    def load_balancing(self, project_id: str, resource: str) -> None:
        """One of Octavia's things is to be made. Raises ApiFault 403 as Octavia does."""
        if self._over("load-balancer", project_id, {resource: 1}):
            named = resource.replace("_", " ").title()
            raise ApiFault(403, f"Quota has been met for resources: {named}", kind="Forbidden")

    def volumes(self, project_id: str, size: int, volume_type: str | None) -> None:
        """A volume is to be made. Raises ApiFault 413 as Cinder does."""
        wanted = {"gigabytes": size, "volumes": 1}
        if volume_type:
            wanted |= {f"gigabytes_{volume_type}": size, f"volumes_{volume_type}": 1}
        for name in self._over("volume", project_id, wanted):
            most, used = self.limits("volume", project_id)[name], self.used("volume", project_id)[name]
            message = (
                f"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. "
                f"Requested {size}G, quota is {most}G and {used}G has been consumed."
                if name.startswith("gigabytes")
                else f"VolumeLimitExceeded: Maximum number of volumes allowed ({most}) exceeded for quota '{name}'."
            )
            raise ApiFault(413, message, kind="OverLimit", headers={"Retry-After": "0"})

    def network(self, project_id: str, resource: str) -> None:
        """One of Neutron's things is to be made. Raises ApiFault 409 as Neutron does."""
        if self._over("network", project_id, {resource: 1}):
            raise ApiFault(409, f"Quota exceeded for resources: ['{resource}'].", kind="OverQuota")

    def _over(self, service: str, project_id: str, wanted: Mapping[str, int]) -> list[str]:
        own = self._limits.get((service, project_id), {})
        limited = {name: own[name] for name in sorted(wanted) if own.get(name, UNLIMITED) >= 0}
        if not limited:
            return []
        used = self.used(service, project_id)
        return [name for name, most in limited.items() if used[name] + wanted[name] > most]


def _compute(store: Store, project_id: str) -> dict[str, int]:
    servers = store.list("server", project_id)
    flavors = [flavor for one in servers if (flavor := store.get("flavor", str(one.get("flavor_id")))) is not None]
    return {
        "instances": len(servers),
        "cores": _sum(flavors, "vcpus"),
        "ram": _sum(flavors, "ram"),
        "server_groups": store.count("server_group", project_id),
    }


def _volume(store: Store, project_id: str) -> dict[str, int]:
    volumes = store.list("volume", project_id)
    counted = {"volumes": len(volumes), "gigabytes": _sum(volumes, "size")}
    names = {one.id: str(one.get("name")) for one in store.list("volume_type")}
    for name in names.values():
        typed = [one for one in volumes if names.get(_type_of(one), _type_of(one)) == name]
        counted |= {f"volumes_{name}": len(typed), f"gigabytes_{name}": _sum(typed, "size")}
    return counted


def _type_of(volume: Record) -> str:
    return str(volume.get("volume_type") or "lvmdriver-1")


def _network(store: Store, project_id: str) -> dict[str, int]:
    return {name: store.count(name, project_id) for name in NETWORK}


def _load_balancing(store: Store, project_id: str) -> dict[str, int]:
    kinds = {"load_balancer": "loadbalancer", "member": "pool_member"}
    return {name: store.count(kinds.get(name, name), project_id) for name in LOAD_BALANCING}


def _sum(records: list[Record], name: str) -> int:
    return sum(int(one.get(name) or 0) for one in records)


_COUNT: dict[str, Callable[[Store, str], dict[str, int]]] = {
    "compute": _compute,
    "volume": _volume,
    "network": _network,
    "load-balancer": _load_balancing,
}
