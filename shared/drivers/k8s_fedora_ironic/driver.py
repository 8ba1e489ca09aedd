"""The driver for Kubernetes on Fedora on bare metal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from shared.drivers.common.kubernetes import kubernetes_words
from shared.drivers.common.stack import Words
from shared.drivers.contract import DriverKey, Role, Support
from shared.drivers.legacy_kubernetes.base import REASONS, LegacyKubernetes

_NO_VOLUMES: Final = "Nova attaches no Cinder volumes to the bare metal servers of this driver"


class K8sFedoraIronic(LegacyKubernetes):
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "k8s_fedora_ironic"
    key: ClassVar[DriverKey] = ("bm", "fedora", "kubernetes")
    container_version: ClassVar[str] = "1.12.6"
    package: ClassVar[str] = "shared.drivers.k8s_fedora_ironic"
    words: ClassVar[Words] = kubernetes_words("Kubernetes on Fedora on bare metal")
    login: ClassVar[str] = "fedora"
    user: ClassVar[Mapping[str, object]] = {"groups": "wheel,adm,systemd-journal"}
    units: ClassVar[Mapping[Role, str]] = {
        "master": "etcd flanneld docker kube-apiserver kubelet",
        "worker": "flanneld docker kubelet",
    }
    support: ClassVar[Support] = Support(
        network_drivers=("flannel",),
        storage_drivers=("devicemapper", "overlay", "overlay2"),
        networks=("existing",),
        docker_volume=False,
        discovery_url=True,
        reasons=MappingProxyType(
            {
                **REASONS,
                "volume_driver": f"{_NO_VOLUMES}.",
                "docker_volume_size": f"{_NO_VOLUMES}; containers lie on the server's own disk.",
                "fixed_network": "Bare metal servers are on the provider network that Ironic deploys them on.",
            }
        ),
    )
