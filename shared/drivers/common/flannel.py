"""Flannel: the network that all containers of a bay share, from the guide's three labels."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Final

from shared.domain.labels import rules_of
from shared.drivers.common.labels import checked
from shared.drivers.common.support import Used, refuse
from shared.drivers.contract import BayFacts

HOST_GATEWAY: Final = "host-gw"


def network(driver: str, facts: BayFacts) -> Used:
    """The containers' network. Raises InvalidInput when the label is none."""
    label = checked(rules_of(driver), facts.labels, "flannel_network_cidr")
    return Used("labels/flannel_network_cidr", "flannel_network_cidr", IPv4Network(label))


def backend(driver: str, facts: BayFacts) -> str:
    """How packets go between nodes: udp, vxlan or host-gw."""
    return checked(rules_of(driver), facts.labels, "flannel_backend")


def check(driver: str, facts: BayFacts) -> None:
    """Raise InvalidInput when the network cannot be cut into a subnet per node."""
    whole = network(driver, facts).network
    length = int(checked(rules_of(driver), facts.labels, "flannel_network_subnetlen"))
    if length <= whole.prefixlen:
        reason = f"flannel_network_subnetlen {length} leaves no subnets in {whole}; it must be larger."
        refuse("labels/flannel_network_subnetlen", reason)


def advice(driver: str, facts: BayFacts) -> list[str]:
    """What the guide advises about host-gw."""
    if facts.fixed_network and backend(driver, facts) == HOST_GATEWAY:
        return [
            "Label 'flannel_backend' is host-gw, which works only when all nodes of the fixed network share one link."
        ]
    return []


def config(driver: str, facts: BayFacts) -> str:
    """The JSON that flanneld reads."""
    return json.dumps(
        {
            "Network": str(network(driver, facts).network),
            "SubnetLen": int(checked(rules_of(driver), facts.labels, "flannel_network_subnetlen")),
            "Backend": {"Type": backend(driver, facts)},
        }
    )
