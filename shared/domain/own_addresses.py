"""Which addresses are a bay's own, so that a certificate of its authority may hold them.

They are those of its nodes and of its API, the network its nodes are in, those of its containers and services, and
loopback. Any other is somebody else's, for whom the bay's authority must not speak.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from shared.domain.labels import rules_of

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_NODES: Final = "fixed_subnet_cidr"
_INSIDE: Final = ("flannel_network_cidr", "service_cluster_ip_range")


def own_networks(driver: str, spec: Mapping[str, object], addresses: Iterable[str | None]) -> tuple[Network, ...]:
    """The networks of a bay of that driver, born with that spec.

    Args:
        driver: its name; what labels mean is the driver's.
        spec: `Bay.spec`.
        addresses: of its API (an address, ADDRESS:PORT or a URL) and of its nodes. What is none is passed over.
    """
    given = spec.get("labels")
    labels: Mapping[str, object] = given if isinstance(given, Mapping) else {}
    rules = rules_of(driver)
    names = _INSIDE if spec.get("fixed_network") else (_NODES, *_INSIDE)
    texts = [str(labels.get(name) or rules[name].default) for name in names if name in rules]
    if spec.get("fixed_network"):
        texts += str(spec.get("fixed_network_cidrs") or "").split(",")
    texts += [_host(one) for one in addresses if one]
    return (*LOOPBACK, *(network for one in texts if (network := _network(one)) is not None))


def foreign(asked: Iterable[Address], own: Iterable[Network]) -> Address | None:
    """The first of the addresses that is in none of the networks, None when all are in one."""
    networks = tuple(own)
    return next((one for one in asked if not any(one in network for network in networks)), None)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _host(text: str) -> str:
    """The address in `https://ADDRESS:PORT/`, `[ADDRESS]:PORT`, `ADDRESS:PORT` and `ADDRESS`."""
    authority = text.partition("://")[2] or text
    authority = authority.partition("/")[0]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    try:
        return str(ip_address(authority))
    except ValueError:
        return authority.rpartition(":")[0] or authority
