"""What a bay's restricted application credential may do: Keystone access rules, as the credential is created with.

Each list is what one kind of software on the nodes calls, and no more. A driver's `access_rules(facts)` puts together
those that its bay needs. In a path `*` stands for one segment and `**` for any number of letters. Nova, Neutron, Cinder
and Octavia obey them only where `service_type` is set in their `[keystone_authtoken]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

AccessRule = dict[str, str]
Rules = tuple[AccessRule, ...]


def _rules(service: str, *calls: str) -> Iterator[AccessRule]:
    """Each call is methods, separated by commas, and a path."""
    for call in calls:
        methods, path = call.split(" ")
        for method in methods.split(","):
            yield {"service": service, "method": method, "path": path}


def together(*lists: Rules) -> Rules:
    """All of them, each rule once."""
    return tuple({tuple(rule.items()): rule for rules in lists for rule in rules}.values())


READ_NODES: Final[Rules] = (
    *_rules(
        "compute",
        "GET /v2.1/servers/detail",
        "GET /v2.1/servers/*",
        "GET /v2.1/servers/*/os-interface",
        "GET /v2.1/flavors/*",
    ),
    *_rules(
        "network",
        "GET /v2.0/extensions",
        "GET /v2.0/networks",
        "GET /v2.0/networks/*",
        "GET /v2.0/subnets",
        "GET /v2.0/subnets/*",
        "GET /v2.0/ports",
        "GET /v2.0/ports/*",
        "GET /v2.0/trunks",
    ),
)
"""Who a node is and where it lives: the cloud controller's node controllers."""

LOAD_BALANCERS: Final[Rules] = (
    *_rules(
        "load-balancer",
        "GET /",
        *(
            call
            for kind in ("loadbalancers", "listeners", "pools", "healthmonitors")
            for call in (f"GET,POST /v2.0/lbaas/{kind}", f"GET,POST,PUT,DELETE /v2.0/lbaas/{kind}/**")
        ),
    ),
    *_rules("network", "GET,POST /v2.0/floatingips", "GET,PUT,DELETE /v2.0/floatingips/*"),
)
"""Kubernetes' services of type LoadBalancer; the cloud controller reads networks and ports for them, too."""

ATTACH_VOLUMES: Final[Rules] = (
    *_rules(
        "compute",
        "GET /v2.1/servers/detail",
        "GET /v2.1/servers/*",
        "GET /v2.1/servers/*/os-interface",
        "GET,POST /v2.1/servers/*/os-volume_attachments",
        "GET,DELETE /v2.1/servers/*/os-volume_attachments/*",
    ),
    *_rules("volumev3", "GET /v3/*/volumes/detail", "GET /v3/*/volumes/*"),
)
"""Volumes that there are already."""

MANAGE_VOLUMES: Final[Rules] = together(
    ATTACH_VOLUMES,
    tuple(
        _rules(
            "volumev3",
            "GET,POST /v3/*/volumes",
            "DELETE /v3/*/volumes/*",
            "POST /v3/*/volumes/*/action",
            "GET /v3/*/types",
        )
    ),
)
"""Volumes that pods and containers ask for, and that go with them."""
