"""The driver for current Kubernetes on a stock Ubuntu or Debian cloud image, by kubeadm and containerd."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from typing_extensions import override

from shared.drivers.common import flannel, sources
from shared.drivers.common.access import LOAD_BALANCERS, MANAGE_VOLUMES, READ_NODES, Rules, together
from shared.drivers.common.kubernetes import API_NAMES, KubernetesDriver, kubernetes_words
from shared.drivers.common.labels import truth
from shared.drivers.common.stack import Words
from shared.drivers.common.support import refuse
from shared.drivers.common.user_data import Payload, mime
from shared.drivers.contract import BayFacts, DriverKey, Role, Support
from shared.drivers.k8s_ubuntu import manifests

OLDEST, NEWEST = 34, 37
"""Minor releases 1.x that this driver makes: kubeadm's v1beta4 configuration, and containerd 1.6 and later."""
_LARGEST_STEP: Final = 16
"""kube-controller-manager cuts a network into at most 2**16 parts."""
_UUID: Final = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")
_ETCD: Final = "/etc/kubernetes/pki/etcd"
_WITHOUT_TLS: Final = "kubeadm makes no Kubernetes without TLS."
_REGISTRY: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")


class K8sUbuntu(KubernetesDriver):
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = manifests.NAME
    key: ClassVar[DriverKey] = ("vm", "ubuntu", "kubernetes")
    coe_version: ClassVar[str] = "v1.36.4"
    container_version: ClassVar[str] = "1.7"
    package: ClassVar[str] = manifests.PACKAGE
    words: ClassVar[Words] = kubernetes_words("Kubernetes on Ubuntu")
    kinds: ClassVar[frozenset[str]] = KubernetesDriver.kinds | {"resize_masters"}
    certificates: ClassVar[Mapping[Role, tuple[str, ...]]] = MappingProxyType(
        {
            "master": (
                *("node", "apiserver", "apiserver-kubelet-client", "admin", "controller-manager", "scheduler"),
                *("etcd", "apiserver-etcd-client", "front-proxy-client"),
            ),
            "worker": ("node",),
        }
    )
    shares_service_account: ClassVar[bool] = True
    reads_groups: ClassVar[bool] = True
    support: ClassVar[Support] = Support(
        network_drivers=("flannel",),
        volume_drivers=("cinder",),
        storage_drivers=("overlay2", "overlayfs"),
        tls=(True,),
        node_taints=True,
        reasons=MappingProxyType(
            {
                "tls_disabled": _WITHOUT_TLS,
                "registry_enabled": "Its store in Swift asks for a password, and none is put on nodes.",
                "docker_storage_driver": "containerd has overlayfs, which overlay2 means here too.",
                "discovery_url": "Masters know one another from the start.",
            }
        ),
    )

    @override
    def check(self, facts: BayFacts) -> None:
        """Raise InvalidInput for a release that this driver does not make, and for networks that it cannot cut."""
        super().check(facts)
        release = manifests.version(facts)
        if not OLDEST <= int(release.split(".")[1]) <= NEWEST:
            reason = f"Label kube_tag is {release}; allowed: v1.{OLDEST}.0 to any v1.{NEWEST}."
            refuse("labels/kube_tag", reason)
        if facts.insecure_registry and not _REGISTRY.fullmatch(facts.insecure_registry):
            refuse(
                "insecure_registry", "insecure_registry must be a host with or without a port, as r.example.org:5000."
            )
        if not 12 <= self.service_network(facts).prefixlen <= 28:
            refuse("labels/service_cluster_ip_range", "service_cluster_ip_range must be a /12 to a /28.")
        whole = flannel.network(self.name, facts).network
        length = int(self.label(facts, "flannel_network_subnetlen"))
        if length - whole.prefixlen > _LARGEST_STEP:
            reason = f"flannel_network_subnetlen {length} cuts {whole} into too many parts; at most 2^{_LARGEST_STEP}."
            refuse("labels/flannel_network_subnetlen", reason)
        if facts.volume_driver and truth(self.label_rules, facts.labels, "cinder_csi_enabled") is False:
            refuse("labels/cinder_csi_enabled", "volume_driver cinder needs Cinder CSI; leave one of the two out.")

    @override
    def needs_cloud_credential(self, facts: BayFacts) -> bool:
        """Whether the cloud controller or Cinder CSI runs in the bay."""
        return bool(facts.volume_driver) or manifests.cloud_provider(facts)

    @override
    def access_rules(self, facts: BayFacts) -> Rules:
        """Those of the two that run."""
        balancers = (READ_NODES, LOAD_BALANCERS) if manifests.cloud_provider(facts) else ()
        return together(*balancers, *((MANAGE_VOLUMES,) if facts.volume_driver else ()))

    @override
    def user_data(self, facts: BayFacts, role: Role) -> str:
        """MIME parts for cloud-init."""
        master = role == "master"
        payload = Payload(
            package=self.package,
            login="ubuntu",
            user={"gecos": "Kubernetes", "groups": "adm,systemd-journal,sudo"},
            units="containerd kubelet",
            restart_units="kubelet",
            environment=self._environment(facts),
            dns_names=API_NAMES if master else (),
            ip_addresses=(self.service_address(facts),) if master else (),
            credential=master and self.needs_cloud_credential(facts),
            node_key="rsa2048" if master else "ec-p256",
            shared_payloads=("shared.drivers.etcd",),
            texts={"manifests.yaml": manifests.manifests(facts)} if master else {},
        )
        return mime(facts, role, payload)

    def _environment(self, facts: BayFacts) -> dict[str, str]:
        source = sources.resolve(facts.node_sources)
        series = manifests.minor(facts)
        services = self.service_network(facts)
        return {
            "JB_KUBE_VERSION": manifests.version(facts),
            "JB_KUBE_PACKAGES": source["k8s_ubuntu_packages"].replace("{minor}", series),
            "JB_KUBE_PACKAGES_KEY": source["k8s_ubuntu_packages_key"].replace("{minor}", series),
            "JB_KUBE_IMAGES": manifests.repository(facts),
            "JB_DOCKER_HUB": source["k8s_ubuntu_docker_hub"],
            "JB_API_PORT": str(self.api_port(facts)),
            "JB_ETCD_TLS": f"{_ETCD}/ca.crt {_ETCD}/healthcheck-client.crt {_ETCD}/healthcheck-client.key",
            "JB_SERVICE_CIDR": str(services),
            "JB_DNS_ADDRESS": str(services[10]),
            "JB_FLANNEL_CONFIG": flannel.config(self.name, facts),
            "JB_CLOUD_PROVIDER": _switch(manifests.cloud_provider(facts)),
            "JB_FLOATING_NETWORK": facts.external_network_id,
            "JB_FIXED_SUBNET": _id(facts.fixed_subnet or ""),
            "JB_LB_PROVIDER": self.label(facts, "octavia_provider"),
            "JB_LB_METHOD": self.label(facts, "octavia_lb_algorithm"),
            "JB_LB_MONITOR": _switch(truth(self.label_rules, facts.labels, "octavia_lb_healthcheck") is not False),
        }


def _switch(value: bool) -> str:
    return "true" if value else "false"


def _id(value: str) -> str:
    """The cloud controller takes ids only; where it is told none, it looks at the nodes' own subnet."""
    return value if _UUID.fullmatch(value) else ""
