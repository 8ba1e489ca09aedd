"""Examples of bodies and answers for the OpenAPI document, by the paths of faces.

No value here is null, though many may be: FastAPI leaves nulls out of examples, and what is left is not what we answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from services.api.faces import BAY, BAYMODEL, CLUSTER, CLUSTERTEMPLATE
from services.api.routers.shapes import UUID_EXAMPLE

_HOST: Final = "http://127.0.0.1:9511"
_PROJECT: Final = "0123456789abcdef0123456789abcdef"
_TEMPLATE: Final = "e74c40e0-d825-11e2-a28f-0800200c9a66"
_MOMENTS: Final = {"created_at": "2026-11-22T13:35:35.289119+00:00", "updated_at": "2026-11-22T14:21:07.104412+00:00"}


@dataclass(frozen=True)
class Examples:
    """What is asked and what is answered."""

    new: dict[str, Any]
    brief: dict[str, Any]
    full: dict[str, Any]


def links(path: str, uuid: str = UUID_EXAMPLE) -> list[dict[str, str]]:
    """The two links of a row."""
    return [
        {"rel": "self", "href": f"{_HOST}/v1/{path}/{uuid}"},
        {"rel": "bookmark", "href": f"{_HOST}/{path}/{uuid}"},
    ]


_BAY_BRIEF: Final[dict[str, Any]] = {
    "uuid": UUID_EXAMPLE,
    "name": "k8sbay",
    "baymodel_id": _TEMPLATE,
    "node_count": 2,
    "master_count": 1,
    "docker_volume_size": 5,
    "labels": {"flannel_backend": "vxlan"},
    "master_flavor_id": "m1.small",
    "flavor_id": "m1.small",
    "bay_create_timeout": 60,
    "stack_id": "047c6319-7abd-4bd9-a033-8c6af0173cd0",
    "status": "CREATE_COMPLETE",
    "floating_ip_enabled": True,
    "links": links("bays"),
}
_SHARED: Final[dict[str, Any]] = {
    "status_reason": "Stack CREATE completed successfully",
    "discovery_url": "https://discovery.etcd.io/3e86428c9ab40cf8cc1e2f0d5a9b7c61",
    "api_address": "https://172.24.4.6:6443",
    "coe_version": "v1.2.0",
    "container_version": "1.12.6",
    "node_addresses": ["172.24.4.7", "172.24.4.8"],
    "master_addresses": ["172.24.4.6"],
    "fixed_network": "private",
    "fixed_subnet": "private-subnet",
    "master_lb_enabled": False,
    **_MOMENTS,
}
_CLUSTER_BRIEF: Final[dict[str, Any]] = {
    "uuid": UUID_EXAMPLE,
    "name": "k8s-cluster",
    "cluster_template_id": _TEMPLATE,
    "keypair": "testkey",
    **{name: _BAY_BRIEF[name] for name in ("docker_volume_size", "labels", "master_flavor_id", "flavor_id")},
    "node_count": 2,
    "master_count": 1,
    "create_timeout": 60,
    "cluster_id": _BAY_BRIEF["stack_id"],
    "status": "CREATE_COMPLETE",
    "health_status": "HEALTHY",
    "merge_labels": False,
    "links": links("clusters"),
}
_CLUSTER_OWN: Final[dict[str, Any]] = {
    "labels_added": {"flannel_backend": "vxlan"},
    "labels_overridden": {},
    "labels_skipped": {},
    "health_status_reason": {"api": "ok"},
    "floating_ip_enabled": True,
    "project_id": _PROJECT,
    "user_id": "fedcba9876543210fedcba9876543210",
}
_TEMPLATE_NEW: Final[dict[str, Any]] = {
    "name": "k8s",
    "coe": "kubernetes",
    "image_id": "fedora-21-atomic-5",
    "keypair_id": "testkey",
    "external_network_id": "public",
    "dns_nameserver": "8.8.8.8",
    "flavor_id": "m1.small",
    "docker_volume_size": 5,
    "network_driver": "flannel",
}
_TEMPLATE_FULL: Final[dict[str, Any]] = {
    "uuid": _TEMPLATE,
    **_TEMPLATE_NEW,
    "master_flavor_id": "m1.small",
    "fixed_network": "private",
    "fixed_subnet": "private-subnet",
    "apiserver_port": 6443,
    "volume_driver": "cinder",
    "tags": "web,small",
    **dict.fromkeys(("http_proxy", "https_proxy"), "http://proxy.example.org:3128"),
    "no_proxy": "10.0.0.0/24",
    "insecure_registry": "registry.example.org:5000",
    **dict.fromkeys(("registry_enabled", "tls_disabled", "public", "hidden", "master_lb_enabled"), False),
    "cluster_distro": "fedora-atomic",
    "labels": {},
    "server_type": "vm",
    "docker_storage_driver": "devicemapper",
    "floating_ip_enabled": True,
    "links": links("baymodels", _TEMPLATE),
    **_MOMENTS,
}
_CLUSTERTEMPLATE_FULL: Final[dict[str, Any]] = {
    **_TEMPLATE_FULL,
    "links": links("clustertemplates", _TEMPLATE),
    "driver": "",
    "project_id": _PROJECT,
    "user_id": _CLUSTER_OWN["user_id"],
}

EXAMPLES: Final[dict[str, Examples]] = {
    BAY.path: Examples(
        {"name": "k8sbay", "baymodel_id": "k8sbaymodel", "node_count": 2, "master_count": 1},
        _BAY_BRIEF,
        _BAY_BRIEF | _SHARED,
    ),
    CLUSTER.path: Examples(
        {"name": "k8s-cluster", "cluster_template_id": "k8s", "node_count": 2, "master_count": 1, "keypair": "testkey"},
        _CLUSTER_BRIEF,
        _CLUSTER_BRIEF | _CLUSTER_OWN | _SHARED,
    ),
    BAYMODEL.path: Examples(_TEMPLATE_NEW, _TEMPLATE_FULL, _TEMPLATE_FULL),
    CLUSTERTEMPLATE.path: Examples(_TEMPLATE_NEW, _CLUSTERTEMPLATE_FULL, _CLUSTERTEMPLATE_FULL),
}

OPERATION: Final[dict[str, Any]] = {
    "id": "5d12f6fd-1a61-4a0e-93dc-3ae8c1a1ad9d",
    "seq": 7,
    "kind": "resize",
    "state": "failed",
    "error": "The stack failed: kube_minions/2: No valid host was found.",
    "warnings": [],
    "requested_by": _CLUSTER_OWN["user_id"],
    "created_at": "2026-11-22T14:20:01.104412+00:00",
    "finished_at": "2026-11-22T14:21:07.104412+00:00",
    "steps": [
        {
            "name": "resize.plan",
            "service": "scaler",
            "sentence": "Choose the nodes that leave",
            "state": "done",
            "attempt": 1,
            "note": "2 nodes stay",
            "started_at": "2026-11-22T14:20:01.204412+00:00",
            "finished_at": "2026-11-22T14:20:01.304412+00:00",
        }
    ],
}

DRY_RUN: Final[dict[str, Any]] = {
    "driver": "k8s_fedora_atomic",
    "effective_labels": {"flannel_backend": "vxlan"},
    "warnings": [],
    "template": "heat_template_version: 2014-10-16\n…",
    "files": {"master.user-data": "#!/bin/sh\n…"},
    "environment": {},
    "parameters": {"number_of_minions": "2"},
    "resources": {"OS::Nova::Server": 3},
    "footprint": {
        "servers": {"m1.small": 3},
        "cores": 3,
        "ram": 6144,
        "volume_types": {},
        "stacks": 5,
        "resources": 40,
    },
    "not_known_yet": [{"parameter": "jeroboam_bay", "why": "the bay's id, chosen at acceptance"}],
}
