"""What all Kubernetes drivers share: the API's port and names, the services' network, flannel's place."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final

from typing_extensions import override

from shared.drivers.common import flannel
from shared.drivers.common.labels import checked
from shared.drivers.common.stack import StackDriver, Words
from shared.drivers.common.support import Used, refuse
from shared.drivers.contract import BayFacts, Role

_TAKEN_PORTS: Final = frozenset({2379, 2380, 2381, 4001, 7001, *range(10248, 10260)})
_INSIDE: Final = "kubernetes.default"
API_NAMES: Final = ("kubernetes", _INSIDE, f"{_INSIDE}.svc", f"{_INSIDE}.svc.cluster.local", "localhost")


def kubernetes_words(title: str) -> Words:
    """Magnum's names in a Kubernetes stack."""
    return Words(
        title=title,
        masters="kube_masters",
        nodes="kube_minions",
        node="minion",
        number_of_nodes="number_of_minions",
        node_flavor="minion_flavor",
        master_ports="kube_master_ports",
    )


class KubernetesDriver(StackDriver):
    """A Kubernetes bay with flannel."""

    @override
    def api_port(self, facts: BayFacts) -> int:
        """The port of kube-apiserver: the user's wish, else 6443, or 8080 without TLS."""
        return facts.apiserver_port or (8080 if facts.tls_disabled else 6443)

    @override
    def api_address_format(self, facts: BayFacts) -> str:
        """A URL."""
        return f"{'http' if facts.tls_disabled else 'https'}://ADDRESS:PORT"

    def service_network(self, facts: BayFacts) -> IPv4Network:
        """Where Kubernetes' services have their addresses."""
        return IPv4Network(checked(self.label_rules, facts.labels, "service_cluster_ip_range"))

    def service_address(self, facts: BayFacts) -> str:
        """The first of them, which is the API's own."""
        return str(self.service_network(facts)[1])

    @override
    def networks(self, facts: BayFacts) -> list[Used]:
        """Containers and services."""
        services = Used("labels/service_cluster_ip_range", "service_cluster_ip_range", self.service_network(facts))
        return [flannel.network(self.name, facts), services]

    @override
    def unencapsulated(self, facts: BayFacts) -> str:
        """The containers' network, with flannel's host-gw."""
        host_gateway = flannel.backend(self.name, facts) == flannel.HOST_GATEWAY
        return str(flannel.network(self.name, facts).network) if host_gateway else ""

    @override
    def check(self, facts: BayFacts) -> None:
        """Raise InvalidInput for a port that is taken, and for subnets that do not fit."""
        super().check(facts)
        port = self.api_port(facts)
        if port < 1024:
            refuse("apiserver_port", f"apiserver_port {port} is out of range; allowed: 1024 to 65535.")
        if port in _TAKEN_PORTS or (port == 8080 and not facts.tls_disabled):
            refuse("apiserver_port", f"apiserver_port {port} is taken by another service of the master.")
        if self.service_network(facts).num_addresses < 8:
            refuse("labels/service_cluster_ip_range", "service_cluster_ip_range must hold at least 8 addresses.")
        flannel.check(self.name, facts)

    @override
    def advice(self, facts: BayFacts) -> list[str]:
        """Flannel's too."""
        return super().advice(facts) + flannel.advice(self.name, facts)

    @override
    def certificate_names(self, facts: BayFacts, role: Role) -> tuple[frozenset[str], frozenset[str]]:
        """Masters answer as `kubernetes` inside the bay, at the services' first address."""
        if role == "worker":
            return frozenset(), frozenset()
        return frozenset(API_NAMES), frozenset({"127.0.0.1", self.service_address(facts)})
