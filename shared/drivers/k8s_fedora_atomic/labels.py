"""The labels that take effect in this driver, and what of a bay it cannot make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from types import MappingProxyType

from shared.domain.errors import InvalidInput
from shared.drivers.common.labels import checked
from shared.drivers.contract import BayFacts, LabelRule

RULES: Mapping[str, LabelRule] = MappingProxyType(
    {
        "flannel_network_cidr": LabelRule(
            kind="cidr", default="10.100.0.0/16", summary="IPv4 network that all of the bay's containers share"
        ),
        "flannel_network_subnetlen": LabelRule(
            kind="integer", default="24", minimum=8, maximum=30, summary="prefix length of each node's part of it"
        ),
        "flannel_backend": LabelRule(
            kind="choice", default="udp", allowed=("udp", "vxlan", "host-gw"), summary="how packets go between nodes"
        ),
    }
)

SERVICE_NETWORK = IPv4Network("10.254.0.0/16")
NODE_NETWORK = IPv4Network("10.0.0.0/24")
"""Network of the nodes when the bay makes its own."""
_TAKEN_PORTS = frozenset({2379, 2380, 4001, 7001, 10250, 10251, 10252, 10255})
_WORD = re.compile(r"[^\s'\"\\`$]+")
"""A value that stays one word in every configuration file that it is written to."""


def flannel_network(facts: BayFacts) -> IPv4Network:
    """The containers' network, checked by validate()."""
    return IPv4Network(checked(RULES, facts.labels, "flannel_network_cidr"))


def api_port(facts: BayFacts) -> int:
    """The port of kube-apiserver: the user's wish, else 6443, or 8080 without TLS."""
    return facts.apiserver_port or (8080 if facts.tls_disabled else 6443)


def validate(facts: BayFacts) -> None:
    """Raise InvalidInput, naming field and reason, for what this driver cannot make."""
    _check_support(facts)
    _check_words(facts)
    _check_port(facts)
    _check_flannel(facts)


def _refuse(field: str, reason: str) -> None:
    raise InvalidInput(reason, field=field)


def _check_support(facts: BayFacts) -> None:
    _allow("master_count", str(facts.master_count), "1")
    _allow("network_driver", facts.network_driver, "", "flannel")
    _allow("volume_driver", facts.volume_driver or "", "", "cinder")
    _allow("docker_storage_driver", facts.docker_storage_driver, "", "devicemapper", "overlay", "overlay2")
    if facts.master_lb_enabled:
        _refuse("master_lb_enabled", "A load balancer before the master is not supported by this driver.")
    if facts.node_count < 0:
        _refuse("node_count", f"node_count {facts.node_count} is below 0.")
    if facts.registry_enabled:
        reason = "A registry on the nodes is not supported by this driver: its store in Swift asks for a password."
        _refuse("registry_enabled", reason)
    if facts.fixed_subnet and not facts.fixed_network:
        _refuse("fixed_subnet", "fixed_subnet needs the fixed_network that it belongs to.")


def _allow(field: str, value: str, *allowed: str) -> None:
    if value not in allowed:
        names = ", ".join(name for name in allowed if name)
        _refuse(field, f"{field} {value} is not supported by this driver; allowed: {names}.")


def _check_words(facts: BayFacts) -> None:
    words = {
        "http_proxy": facts.http_proxy,
        "https_proxy": facts.https_proxy,
        "no_proxy": facts.no_proxy,
        "insecure_registry": facts.insecure_registry or "",
        "dns_nameserver": facts.dns_nameserver,
        "region": facts.region,
        "keystone_url": facts.keystone_url,
        "api_url": facts.api_url,
        **facts.node_sources,
    }
    for field, value in words.items():
        if value and not _WORD.fullmatch(value):
            _refuse(field, f"{field} must be one word without quotes, backslashes or '$'.")


def _check_port(facts: BayFacts) -> None:
    port = api_port(facts)
    if not 1024 <= port <= 65535:
        _refuse("apiserver_port", f"apiserver_port {port} is out of range; allowed: 1024 to 65535.")
    if port in _TAKEN_PORTS or (port == 8080 and not facts.tls_disabled):
        _refuse("apiserver_port", f"apiserver_port {port} is taken by another service of the master.")


def _check_flannel(facts: BayFacts) -> None:
    for name in RULES:
        checked(RULES, facts.labels, name)
    network = flannel_network(facts)
    length = int(checked(RULES, facts.labels, "flannel_network_subnetlen"))
    if length <= network.prefixlen:
        reason = f"flannel_network_subnetlen {length} leaves no subnets in {network}; it must be larger."
        _refuse("labels/flannel_network_subnetlen", reason)
    for other in [SERVICE_NETWORK] + ([] if facts.fixed_network else [NODE_NETWORK]):
        if network.overlaps(other):
            _refuse("labels/flannel_network_cidr", f"flannel_network_cidr {network} overlaps {other}.")
