"""Every image and package source that nodes use, in one table.

An operator of a closed network overrides entries with one YAML or JSON file (a mapping of the names below to values),
named by the setting JEROBOAM_NODE_SOURCES_FILE. The process that renders reads the file once, passes its text
to parse(), and hands the result to drivers in BayFacts.node_sources; so a bay keeps the sources it was born with.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import yaml

DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "k8s_hyperkube_image": "gcr.io/google_containers/hyperkube:v1.2.0",
        "k8s_pause_image": "gcr.io/google_containers/pause:2.0",
        "k8s_ubuntu_packages": "https://pkgs.k8s.io/core:/stable:/{minor}/deb/",
        "k8s_ubuntu_packages_key": "https://pkgs.k8s.io/core:/stable:/{minor}/deb/Release.key",
        "k8s_ubuntu_images": "registry.k8s.io/",
        "k8s_ubuntu_flannel_images": "ghcr.io/flannel-io/",
        "k8s_ubuntu_cloud_images": "registry.k8s.io/provider-os/",
        "k8s_ubuntu_csi_images": "registry.k8s.io/sig-storage/",
        "k8s_ubuntu_docker_hub": "https://registry-1.docker.io",
        "coreos_etcd_image": "quay.io/coreos/etcd:v3.3.27",
        "coreos_flannel_image": "quay.io/coreos/flannel:v0.13.0",
        "rexray_url": "https://github.com/rexray/rexray/releases/download/v0.11.4/rexray-Linux-x86_64.tar.gz",
        "swarm_image": "docker.io/swarm:1.2.5",
    }
)


def parse(text: str) -> dict[str, str]:
    """Read the text of an overrides file; raises ValueError naming what is wrong with it."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"The node sources file is neither YAML nor JSON: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(_is_text(key) and _is_text(value) for key, value in data.items()):
        raise ValueError("The node sources file must be a mapping of source names to non-empty texts.")
    resolve(data)
    return dict(data)


def resolve(overrides: Mapping[str, str]) -> Mapping[str, str]:
    """Give the whole table with overrides applied; raises ValueError for a name that no driver uses."""
    unknown = sorted(set(overrides) - set(DEFAULTS))
    if unknown:
        raise ValueError(f"Unknown node sources: {', '.join(unknown)}. Known: {', '.join(sorted(DEFAULTS))}.")
    return {**DEFAULTS, **overrides}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
