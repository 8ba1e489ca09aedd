"""Holding a bay against a driver's table of support, and against what no driver can make; one sentence a refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network
from itertools import combinations
from typing import Final, NamedTuple

from shared.domain.errors import InvalidInput
from shared.drivers.contract import BayFacts, Support

MOST_NODES: Final = 10_000
"""Beyond what any of the COEs is known to run; judging a bay costs time by its stacks."""
_WORD: Final = re.compile(r"[^\s'\"\\`$]+")
"""A value that stays one word in every configuration file that it is written to."""
_DISCOVERY: Final = re.compile(r"https?://[^/?#]+(/[A-Za-z0-9._~-]+)+")
"""etcd's discovery protocol takes the last part of the path for the token of the cluster."""
_URL: Final = re.compile(r"https?://[^\s/]+(/\S*)?")


class Used(NamedTuple):
    """Addresses that a bay uses for something."""

    field: str
    """The attribute or label that says so; empty when nothing does."""
    what: str
    network: IPv4Network


def refuse(field: str, reason: str) -> None:
    """Raise InvalidInput."""
    raise InvalidInput(reason, field=field)


def check_support(facts: BayFacts, support: Support) -> None:
    """Raise InvalidInput, naming field and reason, for what the table does not have."""
    _allow(support, "master_count", str(facts.master_count), *map(str, support.master_counts))
    _allow(support, "network_driver", facts.network_driver, "", *support.network_drivers)
    _allow(support, "volume_driver", facts.volume_driver or "", "", *support.volume_drivers)
    _allow(support, "docker_storage_driver", facts.docker_storage_driver, "", *support.storage_drivers)
    _switch(support, "tls_disabled", facts.tls_disabled, on=False in support.tls, off=True in support.tls)
    _switch(
        support,
        "floating_ip_enabled",
        facts.floating_ip_enabled,
        on=True in support.floating_ip,
        off=False in support.floating_ip,
    )
    _switch(support, "master_lb_enabled", facts.master_lb_enabled, on=support.load_balancer)
    _switch(support, "registry_enabled", facts.registry_enabled, on=support.registry)
    _switch(support, "insecure_registry", bool(facts.insecure_registry), on=support.insecure_registry)
    _switch(support, "docker_volume_size", bool(facts.docker_volume_size), on=support.docker_volume)
    _switch(support, "discovery_url", bool(facts.discovery_url), on=support.discovery_url)
    _switch(support, "node_taints", bool(facts.node_taints), on=support.node_taints)
    _switch(
        support,
        "fixed_network",
        bool(facts.fixed_network),
        on="existing" in support.networks,
        off="new" in support.networks,
    )
    _check_counts_and_places(facts)


def check_words(facts: BayFacts) -> None:
    """Raise InvalidInput for what could not be written into a configuration file of a node as one word."""
    words = {
        "http_proxy": facts.http_proxy,
        "https_proxy": facts.https_proxy,
        "no_proxy": facts.no_proxy,
        "insecure_registry": facts.insecure_registry or "",
        "discovery_url": facts.discovery_url or "",
        "dns_nameserver": facts.dns_nameserver,
        "region": facts.region,
        "keystone_url": facts.keystone_url,
        "api_url": facts.api_url,
        **facts.node_sources,
    }
    for field, value in words.items():
        if value and not _WORD.fullmatch(value):
            refuse(field, f"{field} must be one word without quotes, backslashes or '$'.")
    for field in ("http_proxy", "https_proxy", "discovery_url"):
        if words[field] and not _URL.fullmatch(words[field]):
            refuse(field, f"{field} must be a URL that begins with http:// or https://.")
    for field in ("bay_name", "external_network_id", "cloud_ca_pem"):
        if "@@" in getattr(facts, field):  # what Heat fills in stands between such signs
            refuse(field, f"{field} must not contain @@.")
    if facts.discovery_url and not _DISCOVERY.fullmatch(facts.discovery_url):
        refuse("discovery_url", "discovery_url must end in a token, as https://discovery.etcd.io/<token> does.")


def check_networks(used: Sequence[Used]) -> None:
    """Raise InvalidInput when two of a bay's networks share addresses; the field is one that a user can change."""
    for one, other in combinations(used, 2):
        if one.network.overlaps(other.network):
            first, second = (one, other) if one.field else (other, one)
            refuse(first.field, f"{first.what} {first.network} overlaps {second.what} {second.network}.")


def _allow(support: Support, field: str, value: str, *allowed: str) -> None:
    if value not in allowed:
        names = ", ".join(name for name in allowed if name) or "none"
        why = support.reasons.get(field, f"allowed: {names}.")
        refuse(field, f"{field} {value} is not supported by this driver; {why}")


def _switch(support: Support, field: str, value: bool, *, on: bool, off: bool = True) -> None:
    if value and not on:
        refuse(field, f"{field} is not supported by this driver. {support.reasons.get(field, '')}".rstrip())
    if not value and not off:
        refuse(field, f"This driver needs {field}. {support.reasons.get(field, '')}".rstrip())


def _check_counts_and_places(facts: BayFacts) -> None:
    if facts.node_count < 0:
        refuse("node_count", f"node_count {facts.node_count} is below 0.")
    if facts.node_count > MOST_NODES:
        refuse("node_count", f"node_count {facts.node_count} is more than a bay can have; allowed: up to {MOST_NODES}.")
    if facts.fixed_subnet and not facts.fixed_network:
        refuse("fixed_subnet", "fixed_subnet needs the fixed_network that it belongs to.")
    if facts.master_lb_enabled and facts.fixed_network and not facts.fixed_subnet:
        refuse("fixed_subnet", "A load balancer on an existing network needs fixed_subnet, where its address is taken.")
