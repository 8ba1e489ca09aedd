"""What a bay has of which neither it nor its template says anything: the guide's defaults and those of later Magnum.

Two names, two promises: who says baymodel follows the user guide, who says cluster template follows Magnum's later
releases (contract §1.12, §4.2). tests/guide holds the product to this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NONE: Final = ""
"""No value: none is stored, and the bay has none."""


@dataclass(frozen=True)
class Default:
    """One attribute or label, in the kind of bay that most people make: Kubernetes on virtual machines."""

    name: str
    guide: str
    magnum: str
    """Of Magnum's later releases."""
    baymodel: str
    """Here, of a bay whose template was made as a baymodel."""
    template: str
    """Here, of a bay whose template was made as a cluster template."""
    why: str = ""

    @property
    def alike(self) -> bool:
        """Whether all say the same, so that there is nothing to tell."""
        return len({self.guide, self.magnum, self.baymodel, self.template}) == 1


DEFAULTS: Final = (
    Default("external_network_id", "public", NONE, "public", NONE, "a bay without one is refused"),
    Default("fixed_network", NONE, NONE, NONE, NONE),
    Default("dns_nameserver", "8.8.8.8", "8.8.8.8", "8.8.8.8", "8.8.8.8"),
    Default("network_driver", "flannel", "flannel", "flannel", "flannel"),
    Default("docker_volume_size", "5", NONE, "5", NONE, "bare-metal nodes have no volume under either name"),
    Default("docker_storage_driver", "devicemapper", "overlay2", "devicemapper", "overlay2", "each as its time has it"),
    Default("flannel_network_cidr", "10.100.0.0/16", "10.100.0.0/16", "10.100.0.0/16", "10.100.0.0/16"),
    Default("flannel_network_subnetlen", "24", "24", "24", "24"),
    Default(
        "flannel_backend",
        "udp",
        "vxlan",
        "udp",
        "udp",
        "a label has one default a driver: udp asks nothing of the guide's images; with `k8s_ubuntu` it is `vxlan`",
    ),
)
