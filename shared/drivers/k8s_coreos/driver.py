"""The driver for Kubernetes on CoreOS: Container Linux, and Flatcar after it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from typing_extensions import override

from shared.drivers.common.ignition import ignition
from shared.drivers.common.kubernetes import kubernetes_words
from shared.drivers.common.stack import Words
from shared.drivers.contract import BayFacts, DriverKey, Role, Support
from shared.drivers.legacy_kubernetes.base import PACKAGE, REASONS, LegacyKubernetes


class K8sCoreos(LegacyKubernetes):
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "k8s_coreos"
    key: ClassVar[DriverKey] = ("vm", "coreos", "kubernetes")
    container_version: ClassVar[str] = "18.06.3"
    package: ClassVar[str] = "shared.drivers.k8s_coreos"
    words: ClassVar[Words] = kubernetes_words("Kubernetes on CoreOS")
    login: ClassVar[str] = "core"
    units: ClassVar[Mapping[Role, str]] = {
        "master": "etcd flanneld docker kubelet",
        "worker": "flanneld docker kubelet",
    }
    payloads: ClassVar[tuple[str, ...]] = (PACKAGE, package)
    docker_options_in: ClassVar[Literal["sysconfig", "unit"]] = "unit"
    support: ClassVar[Support] = Support(
        network_drivers=("flannel",),
        volume_drivers=("cinder",),
        storage_drivers=("devicemapper", "overlay", "overlay2"),
        discovery_url=True,
        reasons=MappingProxyType(dict(REASONS)),
    )

    @override
    def user_data(self, facts: BayFacts, role: Role) -> str:
        """A configuration for Ignition; the image has no cloud-init."""
        return ignition(facts, role, self.payload(facts, role))

    @override
    def environment(self, facts: BayFacts) -> dict[str, str]:
        """The image brings docker and nothing else, so that all programs come out of images."""
        return super().environment(facts) | {
            "JB_ETCD_IMAGE": self.image(facts, "coreos_etcd_image"),
            "JB_FLANNEL_IMAGE": self.image(facts, "coreos_flannel_image"),
        }
