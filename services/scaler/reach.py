"""Which bays the scaler calls: those whose API has an address that everybody may have, unless the operator allows more.

A bay without floating addresses can be reached from its own network alone. The scaler is not there, and what it would
dial instead may be somebody else's server with the same private address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final

from shared.domain.bay import Bay, Node
from shared.domain.errors import CloudError
from shared.drivers import registry
from shared.drivers.common.labels import truth
from shared.runtime.egress import EgressPolicy, EgressRefused

KUBERNETES: Final = "kubernetes"
MESOS: Final = "mesos"
_BALANCER_FLOATS: Final = "master_lb_floating_ip_enabled"


class NotCalled(CloudError):
    """We are not meant to call this bay's API; trying again changes nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(why, service="coe")


def coe_of(bay: Bay) -> str:
    """The bay's engine, as drivers call it: kubernetes, swarm, swarm-mode or mesos."""
    return registry.by_name(bay.driver).key[2]


def host_of(api_address: str) -> str:
    """The address in `https://ADDRESS:PORT`, `tcp://ADDRESS:PORT` and `ADDRESS`; IPv6 without its brackets."""
    authority = (api_address.partition("://")[2] or api_address).partition("/")[0]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority if authority.count(":") > 1 else authority.partition(":")[0]


def port_of(api_address: str) -> int | None:
    """The port in it, if there is one."""
    last = (api_address.partition("://")[2] or api_address).partition("/")[0].rpartition("]")[2]
    port = last.rpartition(":")[2] if last.count(":") == 1 else ""
    return int(port) if port.isdecimal() else None


def unreachable(bay: Bay, egress: EgressPolicy, *, private_too: bool) -> str | None:
    """Why we do not call this bay's API, as a sentence for people; None: we do."""
    if not bay.api_address:
        return "The bay has no API address yet."
    if not private_too and not is_public(bay):
        return (
            "The bay's API has no floating address, and this service reaches only such; the operator allows others "
            "with JEROBOAM_SCALER_REACH_PRIVATE."
        )
    try:
        egress.check_address(ip_address(host_of(bay.api_address)))
    except EgressRefused as error:
        return error.message
    except ValueError:
        return "The bay's API address is not an IP address."
    return None


def dialled(nodes: Iterable[Node], *, private_too: bool) -> list[Node]:
    """The masters whose addresses we may dial."""
    return [
        node
        for node in nodes
        if node.role == "master" and (private_too or node.address not in ("", node.private_address))
    ]


def is_public(bay: Bay) -> bool:
    """Whether the bay's API has a floating address: that of its load balancer, else of its first master. Mesos itself
    is behind no load balancer."""
    floats = bay.spec.get("floating_ip_enabled") is not False
    if not bay.spec.get("master_lb_enabled") or coe_of(bay) == MESOS:
        return floats
    given = bay.spec.get("labels")
    labels = {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    rules = registry.by_name(bay.driver).label_rules
    balancer = truth(rules, labels, _BALANCER_FLOATS) if _BALANCER_FLOATS in rules else None
    return floats if balancer is None else balancer
