"""The two drivers for Docker Swarm on Fedora Atomic."""

from __future__ import annotations

from ipaddress import IPv4Network
from types import MappingProxyType
from typing import ClassVar, Final

from typing_extensions import override

from shared.drivers import rexray
from shared.drivers.common import flannel, sources
from shared.drivers.common.stack import StackDriver, Words
from shared.drivers.common.support import Used, refuse
from shared.drivers.common.user_data import Payload, mime
from shared.drivers.contract import BayFacts, DriverKey, Role, Support

DOCKER_BRIDGE: Final = Used("", "docker's own bridge", IPv4Network("172.17.0.0/16"))
INGRESS_POOL: Final = Used("", "docker's pool for ingress and overlay networks", IPv4Network("172.31.0.0/16"))
"""Docker's own choice from 18.09 on is 10.0.0.0/8, and its first network is 10.0.0.0/24: the nodes' own."""
DOCKER_PORT: Final = 2375
_REASONS: Final = MappingProxyType(
    {
        "registry_enabled": "Its store in Swift asks for a password, and none is put on nodes.",
        "node_taints": "Swarm knows no taints; its services choose nodes by the labels of their engines.",
    }
)


class _Swarm(StackDriver):
    """What both have in common."""

    package: ClassVar[str] = "shared.drivers.swarm_fedora_atomic"
    words: ClassVar[Words] = Words(
        title="Docker Swarm on Fedora Atomic",
        masters="swarm_masters",
        nodes="swarm_nodes",
        node="node",
        number_of_nodes="number_of_nodes",
        node_flavor="node_flavor",
        master_ports="swarm_master_ports",
    )
    port: ClassVar[int]
    payload: ClassVar[str]

    @override
    def api_port(self, facts: BayFacts) -> int:
        """Where docker's clients find the whole swarm."""
        return self.port

    @override
    def api_address_format(self, facts: BayFacts) -> str:
        """As DOCKER_HOST has it."""
        return "tcp://ADDRESS:PORT"

    @override
    def balancer_protocol(self, facts: BayFacts) -> str:
        """Attached terminals are no HTTP, with or without TLS."""
        return "TCP"

    @override
    def networks(self, facts: BayFacts) -> list[Used]:
        """What docker takes for itself."""
        return [DOCKER_BRIDGE, INGRESS_POOL]

    @override
    def check(self, facts: BayFacts) -> None:
        """Raise InvalidInput for a port that cannot be chosen."""
        super().check(facts)
        if facts.apiserver_port not in (None, self.port):
            refuse("apiserver_port", f"apiserver_port is {self.port} in this kind of bay.")

    @override
    def user_data(self, facts: BayFacts, role: Role) -> str:
        """MIME parts for cloud-init."""
        volumes = rexray.wanted(facts, role)
        payload = Payload(
            package=self.payload,
            shared_payloads=(self.package, *((rexray.PACKAGE,) if volumes else ())),
            login="fedora",
            user={"gecos": "Swarm", "groups": "wheel,adm,systemd-journal"},
            units=" ".join(self.units(facts, role) + (["rexray"] if volumes else [])),
            # What runs in docker and requires it is restarted with it; flanneld by install-certificates, alone.
            restart_units=" ".join(name for name in self.units(facts, role) if name in ("etcd", "docker")),
            environment=self.environment(facts)
            | {
                "JB_DOCKER_STORAGE_DRIVER": facts.docker_storage_driver or "devicemapper",
                "JB_NETWORK_DRIVER": facts.network_driver or self.support.network_drivers[0],
                "JB_API_PORT": str(self.port),
                "JB_DOCKER_POOL": str(INGRESS_POOL.network),
            }
            | (rexray.environment(self, facts) if volumes else {}),
            credential=volumes,
            node_key="rsa2048" if volumes else "ec-p256",
        )
        return mime(facts, role, payload)

    def units(self, facts: BayFacts, role: Role) -> list[str]:
        """systemd units that a ready node runs."""
        return ["docker"]

    def environment(self, facts: BayFacts) -> dict[str, str]:
        """What only one of the two needs."""
        return {}


class SwarmFedoraAtomic(_Swarm):
    """Classic Swarm. See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "swarm_fedora_atomic"
    key: ClassVar[DriverKey] = ("vm", "fedora-atomic", "swarm")
    coe_version: ClassVar[str] = "1.2.5"
    container_version: ClassVar[str] = "1.12.6"
    port: ClassVar[int] = 2376
    payload: ClassVar[str] = "shared.drivers.swarm_fedora_atomic.classic"
    support: ClassVar[Support] = Support(
        network_drivers=("docker", "flannel"),
        volume_drivers=("rexray",),
        storage_drivers=("devicemapper", "overlay", "overlay2"),
        discovery_url=True,
        reasons=_REASONS,
    )

    @override
    def networks(self, facts: BayFacts) -> list[Used]:
        """With flannel docker's bridge is part of its network."""
        if facts.network_driver == "flannel":
            return [flannel.network(self.name, facts), INGRESS_POOL]
        return super().networks(facts)

    @override
    def unencapsulated(self, facts: BayFacts) -> str:
        """The containers' network, with flannel's host-gw."""
        host_gateway = facts.network_driver == "flannel" and (flannel.backend(self.name, facts) == flannel.HOST_GATEWAY)
        return str(flannel.network(self.name, facts).network) if host_gateway else ""

    @override
    def check(self, facts: BayFacts) -> None:
        """Raise InvalidInput for subnets that do not fit."""
        super().check(facts)
        flannel.check(self.name, facts)

    @override
    def advice(self, facts: BayFacts) -> list[str]:
        """Flannel's too."""
        return super().advice(facts) + (flannel.advice(self.name, facts) if facts.network_driver == "flannel" else [])

    @override
    def units(self, facts: BayFacts, role: Role) -> list[str]:
        """systemd units that a ready node runs."""
        network = ["flanneld"] if facts.network_driver == "flannel" else []
        master = role == "master"
        return [*(["etcd"] if master else []), *network, "docker", "swarm-manager" if master else "swarm-agent"]

    @override
    def environment(self, facts: BayFacts) -> dict[str, str]:
        """Swarm's image and strategy, flannel's network."""
        return {
            "JB_SWARM_IMAGE": sources.resolve(facts.node_sources)["swarm_image"],
            "JB_SWARM_STRATEGY": self.label(facts, "swarm_strategy"),
            "JB_FLANNEL_CONFIG": flannel.config(self.name, facts),
        }


class SwarmModeFedoraAtomic(_Swarm):
    """Swarm mode. See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "swarm_mode_fedora_atomic"
    key: ClassVar[DriverKey] = ("vm", "fedora-atomic", "swarm-mode")
    coe_version: ClassVar[str] = "1.13.1"
    container_version: ClassVar[str] = "1.13.1"
    port: ClassVar[int] = DOCKER_PORT
    payload: ClassVar[str] = "shared.drivers.swarm_fedora_atomic.mode"
    support: ClassVar[Support] = Support(
        network_drivers=("docker",),
        volume_drivers=("rexray",),
        storage_drivers=("devicemapper", "overlay", "overlay2"),
        reasons=_REASONS,
    )
