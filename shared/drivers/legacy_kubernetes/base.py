"""What the drivers for Kubernetes of the guide's time share: their environment, images, and what they cannot make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from typing_extensions import override

from shared.drivers.common import flannel, sources
from shared.drivers.common.kubernetes import API_NAMES, KubernetesDriver
from shared.drivers.common.support import refuse
from shared.drivers.common.user_data import Payload, mime
from shared.drivers.contract import BayFacts, Role

REASONS: Final[Mapping[str, str]] = {
    "registry_enabled": "Its store in Swift asks for a password, and none is put on nodes.",
    "node_taints": "Kubernetes before 1.6 gives a node none when it registers.",
}
PACKAGE: Final = "shared.drivers.legacy_kubernetes"
ETCD: Final = "shared.drivers.etcd"
DOOR_PORT: Final = 4917
"""On the loopback of each node, where Kubernetes signs in to the cloud (cinder/payload/cloud-door)."""
_RELEASE: Final = re.compile(r"v?(\d+)\.(\d+)(?!\d)")
_OLDEST, _NEWEST = (1, 2), (1, 5)
"""Releases that know the flags of the payload; leader election came with 1.2, and after 1.5 the etcd API changes."""
_TAG_OF_IMAGE: Final = re.compile(r"(:[^/:@]+)?(@[^/]+)?$")


class LegacyKubernetes(KubernetesDriver):
    """Kubernetes 1.2 to 1.5 with flannel and etcd on the masters."""

    coe_version: ClassVar[str] = "v1.2.0"
    kinds: ClassVar[frozenset[str]] = KubernetesDriver.kinds | {"resize_masters"}
    shares_service_account: ClassVar[bool] = True
    login: ClassVar[str]
    user: ClassVar[Mapping[str, object]] = {}
    """What differs from the usual in the login's cloud-config entry."""
    units: ClassVar[Mapping[Role, str]]
    """systemd units that a ready node runs, in the guide's division between units and containers."""
    payloads: ClassVar[tuple[str, ...]] = (PACKAGE,)
    """Packages whose payload/ is taken; files of a later one win."""
    docker_options_in: ClassVar[Literal["sysconfig", "unit"]] = "sysconfig"
    """Where the image's docker takes its options from."""

    @override
    def user_data(self, facts: BayFacts, role: Role) -> str:
        """MIME parts for cloud-init."""
        return mime(facts, role, self.payload(facts, role))

    def payload(self, facts: BayFacts, role: Role) -> Payload:
        """What the nodes of a role get, in whatever form their image takes it."""
        master = role == "master"
        units = self.units[role].split()
        cinder = self.needs_cloud_credential(facts)
        return Payload(
            package=self.payloads[-1],
            login=self.login,
            user=self.user,
            units=" ".join(units),
            restart_units=" ".join(name for name in units if name not in ("docker", "flanneld")),
            environment=self.environment(facts)
            | {"JB_KUBERNETES_UNITS": " ".join(name for name in units if name.startswith("kube"))},
            dns_names=API_NAMES if master else (),
            ip_addresses=(self.service_address(facts),) if master else (),
            credential=cinder,
            node_key="rsa2048" if master or cinder else "ec-p256",
            shared_payloads=(ETCD, *self.payloads[:-1], *([f"{PACKAGE}.cinder"] if cinder else [])),
        )

    def environment(self, facts: BayFacts) -> dict[str, str]:
        """The payload's own facts."""
        port = self.api_port(facts)
        return {
            "JB_DOCKER_STORAGE_DRIVER": facts.docker_storage_driver or self.support.storage_drivers[0],
            "JB_DOCKER_OPTIONS_IN": self.docker_options_in,
            "JB_FLANNEL_CONFIG": flannel.config(self.name, facts),
            "JB_SERVICE_CIDR": str(self.service_network(facts)),
            "JB_API_PORT": str(port),
            "JB_LOCAL_API_PORT": str(port if facts.tls_disabled else 8080),
            "JB_API_SERVER": f"{'http' if facts.tls_disabled else 'https'}://@@API_ADDRESS@@:{port}",
            "JB_DOOR_PORT": str(DOOR_PORT),
            "JB_ETCD_TLS": "/etc/etcd/ssl/ca.crt /etc/etcd/ssl/node.crt /etc/etcd/ssl/node.key",
            "JB_HYPERKUBE_IMAGE": self.image(facts, "k8s_hyperkube_image", facts.labels.get("kube_tag", "")),
            "JB_PAUSE_IMAGE": self.image(facts, "k8s_pause_image"),
        }

    def image(self, facts: BayFacts, source: str, tag: str = "") -> str:
        """An image of the table of sources, with the user's tag and from the user's registry if there are any."""
        image = sources.resolve(facts.node_sources)[source]
        if tag:
            image = _TAG_OF_IMAGE.sub("", image) + f":{tag}"
        prefix = self.label(facts, "container_infra_prefix")
        return prefix + image.rpartition("/")[2] if prefix else image

    @override
    def check(self, facts: BayFacts) -> None:
        """Raise InvalidInput for a release with other flags, and for a port that is taken."""
        super().check(facts)
        if self.needs_cloud_credential(facts) and self.api_port(facts) == DOOR_PORT:
            refuse("apiserver_port", f"apiserver_port {DOOR_PORT} is taken by another service of the master.")
        release = _RELEASE.match(facts.labels.get("kube_tag", ""))
        if release and not _OLDEST <= (int(release[1]), int(release[2])) <= _NEWEST:
            refuse("labels/kube_tag", f"Label kube_tag is {release.string}; this driver makes Kubernetes v1.2 to v1.5.")
        if re.match(r"v?1\.5\.0(?!\d)", facts.labels.get("kube_tag", "")):
            refuse("labels/kube_tag", "Kubernetes v1.5.0 lets anybody in without a name; v1.5.1 does not.")
