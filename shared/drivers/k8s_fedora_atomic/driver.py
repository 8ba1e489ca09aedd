"""The driver for Kubernetes on Fedora Atomic."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from shared.drivers.common.kubernetes import kubernetes_words
from shared.drivers.common.stack import Words
from shared.drivers.contract import DriverKey, Role, Support
from shared.drivers.legacy_kubernetes.base import REASONS, LegacyKubernetes


class K8sFedoraAtomic(LegacyKubernetes):
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "k8s_fedora_atomic"
    key: ClassVar[DriverKey] = ("vm", "fedora-atomic", "kubernetes")
    container_version: ClassVar[str] = "1.12.6"
    package: ClassVar[str] = "shared.drivers.k8s_fedora_atomic"
    words: ClassVar[Words] = kubernetes_words("Kubernetes on Fedora Atomic")
    login: ClassVar[str] = "minion"
    user: ClassVar[Mapping[str, object]] = {"gecos": "Kubernetes", "groups": "wheel,adm,systemd-journal"}
    units: ClassVar[Mapping[Role, str]] = {
        "master": "etcd flanneld docker kube-apiserver kubelet",
        "worker": "flanneld docker kubelet",
    }
    support: ClassVar[Support] = Support(
        network_drivers=("flannel",),
        volume_drivers=("cinder",),
        storage_drivers=("devicemapper", "overlay", "overlay2"),
        discovery_url=True,
        reasons=MappingProxyType(dict(REASONS)),
    )
