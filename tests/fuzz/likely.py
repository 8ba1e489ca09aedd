"""Values and changes that the gateway and the simulated cloud accept, so that cases get past the first check."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from tests.certs.requests import csr
from tests.fuzz.known import BAYS, GROUPS, MODELS

LIKELY: Final[dict[str, list[Any]]] = {
    "image_id": ["fedora-21-atomic-5"],
    "keypair_id": ["testkey"],
    "keypair": ["testkey"],
    "external_network_id": ["public"],
    "coe": ["kubernetes"],
    "network_driver": ["flannel", None],
    "volume_driver": ["cinder", None],
    "dns_nameserver": ["8.8.8.8"],
    "flavor_id": ["m1.small"],
    "master_flavor_id": ["m1.small"],
    "docker_volume_size": [5],
    "docker_storage_driver": ["overlay2", "devicemapper"],
    "node_count": [1, 2, "2"],
    "master_count": [1],
    "server_type": ["vm"],
    "max_batch_size": [1],
    "min_node_count": [0, 1],
    "max_node_count": [None, 5],
    "role": ["worker"],
    "resource": ["Cluster"],
    "properties": [{"dns-zone": "example.org."}],
    "hard_limit": [20, 25],
    "node_labels": [{}, {"disk": "ssd"}],
    "node_taints": [[], [{"key": "only", "value": "me", "effect": "NoSchedule"}]],
    "labels": [{}, {"flannel_backend": "vxlan"}, {"made_up": "1"}],
    **{
        name: [None]
        for name in ("fixed_network", "fixed_subnet", "discovery_url", "insecure_registry", "nodes_to_remove")
    },
    **{name: [False, None] for name in ("public", "hidden", "tls_disabled", "master_lb_enabled")},
    **{name: [True, False, "yes", None] for name in ("registry_enabled", "floating_ip_enabled", "merge_labels")},
    **{name: [60, 0, "15", None] for name in ("bay_create_timeout", "create_timeout")},
    **{name: ["http://127.0.0.1:3128", None] for name in ("http_proxy", "https_proxy")},
    "no_proxy": ["127.0.0.1", None],
    "apiserver_port": [6443, None],
    "tags": ["a,b", None],
    "ca_cert_type": ["kubernetes", "etcd", "front_proxy", None],
}
"""Values with which a request is accepted; None leaves the attribute out."""

CHANGES: Final[dict[str, list[dict[str, Any]]]] = {
    BAYS: [
        {"op": "replace", "path": "/node_count", "value": 2},
        {"op": "replace", "path": "/node_count", "value": 1},
        {"op": "remove", "path": "/node_count"},
        {"op": "replace", "path": "/health_status", "value": "HEALTHY"},
        {"op": "replace", "path": "/health_status_reason", "value": {"api": "ok"}},
        {"op": "replace", "path": "/name", "value": "other"},
        {"op": "add", "path": "/labels/x", "value": "y"},
    ],
    MODELS: [
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "replace", "path": "/docker_volume_size", "value": 7},
        {"op": "add", "path": "/labels/x", "value": 1},
        {"op": "replace", "path": "/labels", "value": "{'a': '1'}"},
        {"op": "remove", "path": "/labels/x"},
        {"op": "remove", "path": "/flavor_id"},
        {"op": "replace", "path": "/tags", "value": "a,b"},
        {"op": "replace", "path": "/public", "value": True},
    ],
    GROUPS: [
        {"op": "replace", "path": "/max_node_count", "value": 5},
        {"op": "replace", "path": "/min_node_count", "value": 1},
        {"op": "replace", "path": "/node_labels", "value": "{'disk': 'ssd'}"},
    ],
}
QUERIES: Final[dict[str, list[str]]] = {
    "limit": ["1", "2", "100"],
    "sort_key": ["id", "uuid", "name", "created_at", "status", "coe"],
    "sort_dir": ["asc", "desc"],
    "role": ["worker", "master"],
    "type": ["cluster"],
}
"""Query values that mean something."""

NEEDED: Final[dict[str, dict[str, Any]]] = {
    "baymodels": {"coe": "kubernetes", "external_network_id": "public"},
    "clustertemplates": {"coe": "kubernetes", "external_network_id": "public"},
    "certificates": {"bay_uuid": "k8sbay"},
    "quotas": {"project_id": "of a known one"},
    "federations": {"hostcluster_id": "a known one", "properties": {"dns-zone": "example.org."}},
}
"""What a thing must have to be of use, though the document lets it be left out, by the last word of the path."""


@cache
def a_request() -> str:
    """One CSR for the whole run: asked again, the same certificate comes back."""
    return csr()
