"""What a project's quotas in the cloud leave, and what of a need does not fit: pure arithmetic.

Needs and allowances are maps by the same names. They are the keys of `NOUNS`, and for volumes of one type
`volumes:<type>` and `volume_gb:<type>`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

NOUNS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "servers": ("server", "servers"),
        "cores": ("core", "cores"),
        "ram_mb": ("MB of memory", "MB of memory"),
        "volumes": ("volume", "volumes"),
        "volume_gb": ("GB of volumes", "GB of volumes"),
        "networks": ("network", "networks"),
        "subnets": ("subnet", "subnets"),
        "routers": ("router", "routers"),
        "ports": ("port", "ports"),
        "floating_ips": ("floating address", "floating addresses"),
        "security_groups": ("security group", "security groups"),
        "security_group_rules": ("security group rule", "security group rules"),
        "server_groups": ("server group", "server groups"),
        "server_group_members": ("server in one server group", "servers in one server group"),
        "load_balancers": ("load balancer", "load balancers"),
        "listeners": ("listener of load balancers", "listeners of load balancers"),
        "pools": ("pool of load balancers", "pools of load balancers"),
        "pool_members": ("member of load balancers' pools", "members of load balancers' pools"),
        "health_monitors": ("health monitor of load balancers", "health monitors of load balancers"),
    }
)
"""Every resource that a quota may limit: its name for one and for several, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A quota and its use, which counts what the cloud has only promised to somebody so far."""

    limit: int | None
    """None: unlimited."""
    used: int

    @property
    def left(self) -> int | None:
        """What may still be had; never below 0, even when the limit was lowered under the use. None: any number."""
        return None if self.limit is None else max(0, self.limit - self.used)


def shortfall(need: Mapping[str, int], allowed: Mapping[str, Allowance]) -> list[str]:
    """Say for each resource that does not fit what is needed and what is left; empty when all fits.

    A resource of which no allowance is known is not judged: the cloud will.
    """
    known = list(NOUNS)
    order = sorted(need, key=lambda name: (known.index(name.partition(":")[0]), name))
    return [
        f"{_amount(need[name], name)} needed, {allowance.left} left of {allowance.limit}"
        for name in order
        if (allowance := allowed.get(name)) is not None and allowance.left is not None and need[name] > allowance.left
    ]


def need_of_groups(members: Collection[int]) -> dict[str, int]:
    """What server groups with so many members each ask for. The quota of members is for every group by itself."""
    return {"server_groups": len(members), "server_group_members": max(members)} if members else {}


def _amount(number: int, name: str) -> str:
    kind, _, volume_type = name.partition(":")
    noun = NOUNS[kind][0 if number == 1 else 1]
    return f"{number} {noun}" + (f" of type {volume_type}" if volume_type else "")
