"""Services: they get addresses and ports, and nothing listens there."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from cloudsim.coe.kubernetes.replies import Object

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

_NETWORK: Final = ipaddress.ip_network("10.254.0.0/16")
_PORTS: Final = range(30000, 32768)


def complete(bay: KubernetesBay, service: Object) -> None:
    """What a service leaves open is chosen for it."""
    spec = service.setdefault("spec", {})
    others = [one["spec"] for one in bay.objects.all("services")]
    taken = {one.get("clusterIP") for one in others}
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("clusterIP", next(one for one in map(str, _NETWORK.hosts()) if one not in taken))
    used = {port.get("nodePort") for one in others for port in one.get("ports") or ()}
    for port in spec.get("ports") or () if spec["type"] != "ClusterIP" else ():
        if not port.get("nodePort"):
            port["nodePort"] = next(one for one in _PORTS if one not in used)
            used.add(port["nodePort"])
