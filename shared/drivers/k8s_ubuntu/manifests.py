"""The Kubernetes objects that the first master applies: our own texts in manifests/, with versions and registries.

Images of a bay with the label container_infra_prefix all come from there, by their last name: `PREFIX/flannel:TAG`.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Final

from shared.domain.labels import rules_of
from shared.drivers.common import flannel, sources
from shared.drivers.common.labels import checked, truth
from shared.drivers.contract import BayFacts
from shared.drivers.rendering import package_text

NAME: Final = "k8s_ubuntu"
PACKAGE: Final = "shared.drivers.k8s_ubuntu"

_SIDECARS: Final[Mapping[str, str]] = {
    "csi_attacher": "csi-attacher",
    "csi_provisioner": "csi-provisioner",
    "csi_resizer": "csi-resizer",
    "csi_node_driver_registrar": "csi-node-driver-registrar",
    "csi_liveness_probe": "livenessprobe",
}
"""Label without `_tag`, and the image's name."""


class _Text(Template):
    """Manifests hold `$`, and no `%` but ours."""

    delimiter = "%"


def version(facts: BayFacts) -> str:
    """Kubernetes' version, as vX.Y.Z."""
    return _label(facts, "kube_tag")


def minor(facts: BayFacts) -> str:
    """Its series, as vX.Y."""
    return version(facts).rpartition(".")[0]


def cloud_provider(facts: BayFacts) -> bool:
    """Whether the bay runs the cloud controller: as the label says, else where pods use volumes of the cloud."""
    wished = truth(rules_of(NAME), facts.labels, "cloud_provider_enabled")
    return bool(facts.volume_driver) if wished is None else wished


def repository(facts: BayFacts) -> str:
    """Where kubeadm takes its images from, without the slash at the end."""
    return _registry(facts, "k8s_ubuntu_images").rstrip("/")


def manifests(facts: BayFacts) -> str:
    """The objects of this bay, as one YAML stream."""
    names = ["flannel", "scaler", "reader"]
    names += ["cloud-provider"] if cloud_provider(facts) else []
    names += ["cinder-csi"] if facts.volume_driver else []
    words = _words(facts)
    texts = [_Text(package_text(PACKAGE, "manifests", f"{name}.yaml")).substitute(words) for name in names]
    return "---\n".join(texts)


def _words(facts: BayFacts) -> dict[str, str]:
    flannel_images = _registry(facts, "k8s_ubuntu_flannel_images")
    cloud_images = _registry(facts, "k8s_ubuntu_cloud_images")
    csi_images = _registry(facts, "k8s_ubuntu_csi_images")
    same_series = f"{minor(facts)}.0"
    sidecars = {
        f"{label}_image": f"{csi_images}{name}:{_label(facts, f'{label}_tag')}" for label, name in _SIDECARS.items()
    }
    return sidecars | {
        "bay": facts.bay_id,
        "network": flannel.config(NAME, facts),
        "privileged": "true" if flannel.backend(NAME, facts) == "udp" else "false",
        "flannel_image": f"{flannel_images}flannel:{_label(facts, 'flannel_tag')}",
        "cni_image": f"{flannel_images}flannel-cni-plugin:{_label(facts, 'flannel_cni_tag')}",
        "cloud_provider_image": f"{cloud_images}openstack-cloud-controller-manager:"
        f"{_label(facts, 'cloud_provider_tag') or same_series}",
        "cinder_csi_image": f"{cloud_images}cinder-csi-plugin:{_label(facts, 'cinder_csi_plugin_tag') or same_series}",
    }


def _registry(facts: BayFacts, source: str) -> str:
    prefix = _label(facts, "container_infra_prefix")
    return prefix or sources.resolve(facts.node_sources)[source].rstrip("/") + "/"


def _label(facts: BayFacts, name: str) -> str:
    return checked(rules_of(NAME), facts.labels, name)
