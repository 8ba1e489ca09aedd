"""The driver for Kubernetes on Fedora Atomic."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from typing_extensions import override

from shared.drivers.common import flannel, sources
from shared.drivers.common.kubernetes import API_NAMES, KubernetesDriver, kubernetes_words
from shared.drivers.common.stack import Words
from shared.drivers.common.user_data import Payload, mime
from shared.drivers.contract import BayFacts, DriverKey, Role, Support

_UNITS: Final[Mapping[Role, str]] = {
    "master": "etcd flanneld docker kube-apiserver kubelet",
    "worker": "flanneld docker kubelet",
}
"""systemd units that a ready node runs; kube-controller-manager, kube-scheduler and kube-proxy are containers."""
_RESTART_UNITS: Final[Mapping[Role, str]] = {
    "master": "etcd flanneld kube-apiserver kubelet",
    "worker": "flanneld kubelet",
}
"""What reads certificates only at its start; kube-proxy and the like are replaced through their manifests."""


class K8sFedoraAtomic(KubernetesDriver):
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "k8s_fedora_atomic"
    key: ClassVar[DriverKey] = ("vm", "fedora-atomic", "kubernetes")
    coe_version: ClassVar[str] = "v1.2.0"
    container_version: ClassVar[str] = "1.12.6"
    package: ClassVar[str] = "shared.drivers.k8s_fedora_atomic"
    words: ClassVar[Words] = kubernetes_words("Kubernetes on Fedora Atomic")
    support: ClassVar[Support] = Support(
        network_drivers=("flannel",),
        volume_drivers=("cinder",),
        storage_drivers=("devicemapper", "overlay", "overlay2"),
        master_counts=(1,),
        load_balancer=False,
        reasons=MappingProxyType(
            {"registry_enabled": "Its store in Swift asks for a password, and none is put on nodes."}
        ),
    )

    @override
    def user_data(self, facts: BayFacts, role: Role) -> str:
        """MIME parts for cloud-init."""
        master = role == "master"
        payload = Payload(
            package=self.package,
            login="minion",
            user={"gecos": "Kubernetes", "groups": "wheel,adm,systemd-journal"},
            units=_UNITS[role],
            restart_units=_RESTART_UNITS[role],
            environment=self._environment(facts),
            dns_names=API_NAMES if master else (),
            ip_addresses=(self.service_address(facts),) if master else (),
            credential=self.needs_cloud_credential(facts),
        )
        return mime(facts, role, payload)

    def _environment(self, facts: BayFacts) -> dict[str, str]:
        images = sources.resolve(facts.node_sources)
        port = self.api_port(facts)
        return {
            "JB_DOCKER_STORAGE_DRIVER": facts.docker_storage_driver or "devicemapper",
            "JB_FLANNEL_CONFIG": flannel.config(self.name, facts),
            "JB_SERVICE_CIDR": str(self.service_network(facts)),
            "JB_API_PORT": str(port),
            "JB_LOCAL_API_PORT": str(port if facts.tls_disabled else 8080),
            "JB_API_SERVER": f"{'http' if facts.tls_disabled else 'https'}://@@API_ADDRESS@@:{port}",
            "JB_HYPERKUBE_IMAGE": images["k8s_hyperkube_image"],
            "JB_PAUSE_IMAGE": images["k8s_pause_image"],
        }
