"""The service catalog, shaped as installed clouds have it: only some addresses carry a version or a project."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cloudsim.identity.state import stable_identity_id

REGION = "RegionOne"
INTERFACES = ("public", "internal", "admin")
# type: (name, path). Clients must discover the version behind the ones without.
SERVICES = {
    "identity": ("keystone", "/identity"),
    "orchestration": ("heat", "/orchestration/v1/{project_id}"),
    "compute": ("nova", "/compute/v2.1"),
    "network": ("neutron", "/network"),
    "image": ("glance", "/image"),
    "volumev3": ("cinderv3", "/volume/v3/{project_id}"),
    "load-balancer": ("octavia", "/load-balancer"),
    "key-manager": ("barbican", "/key-manager"),
}
CONTAINER_SERVICES = {"container-infra": "magnum", "container": "magnum-legacy"}


def catalog(base_url: str, container_url: str, project_id: str, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """The catalog of one project as token answers show it, `without` some types."""
    entries = [
        _entry(kind, name, base_url + path.format(project_id=project_id))
        for kind, (name, path) in SERVICES.items()
        if kind not in without
    ]
    return entries + [_entry(kind, name, container_url) for kind, name in CONTAINER_SERVICES.items()]


def _entry(kind: str, name: str, url: str) -> dict[str, Any]:
    endpoints = [
        {
            "id": stable_identity_id("endpoint", f"{kind}-{interface}"),
            "interface": interface,
            "region": REGION,
            "region_id": REGION,
            "url": url,
        }
        for interface in INTERFACES
    ]
    return {"id": stable_identity_id("service", kind), "type": kind, "name": name, "endpoints": endpoints}
