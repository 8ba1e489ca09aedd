"""What every driver's stack has in common: the templates in heat/, their parameters, resize and outputs.

A driver is a subclass in its own folder: it says its table of support, its words for Heat's resources, its port, and
makes the user-data. Its `heat/security.yaml` says what is open.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from string import Template
from typing import ClassVar, Final, Literal

from shared.domain.labels import LabelRule, rules_of
from shared.domain.shards import spread
from shared.drivers.common.access import MANAGE_VOLUMES, Rules
from shared.drivers.common.labels import checked, truth
from shared.drivers.common.outputs import read_outputs
from shared.drivers.common.support import Used, check_networks, check_support, check_words, refuse
from shared.drivers.common.user_data import COMMON, wait_seconds
from shared.drivers.contract import (
    MARK_PARAMETER,
    BayFacts,
    BayOutputs,
    BaySecrets,
    DriverKey,
    RenderedStack,
    Role,
    Support,
)
from shared.drivers.rendering import package_texts, packed

_BAY: Final = "bay.yaml"
_SHARD: Final = "shard.yaml"
"""The template of a bay's further stacks; it lies among the files of the first, so that the bay keeps it (rule 6)."""
CA_PARAMETER: Final = "ca_pem"
"""The stack parameter that fills in `@@CA_PEM@@`; stacks of bays that are older than it have none."""
_CREDENTIAL: Final = re.compile(r"(?:[A-Za-z0-9_.~=+/-]|@(?!@))+")
_KINDS: Final = frozenset({"create", "resize", "heal", "upgrade", "rotate_ca", "rotate_credentials", "delete"})


@dataclass(frozen=True)
class Words:
    """Names in the stack. Magnum's own (contract §3.2, §3.3), which people know who look into stacks."""

    title: str
    masters: str
    nodes: str
    node: str
    number_of_nodes: str
    node_flavor: str
    master_ports: str


class StackDriver(ABC):
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str]
    key: ClassVar[DriverKey]
    coe_version: ClassVar[str]
    container_version: ClassVar[str]
    support: ClassVar[Support]
    package: ClassVar[str]
    words: ClassVar[Words]
    kinds: ClassVar[frozenset[str]] = _KINDS
    ca_key: ClassVar[Literal["ec-p256", "rsa2048"]] = "ec-p256"
    certificates: ClassVar[Mapping[Role, tuple[str, ...]]] = {"master": ("node",), "worker": ("node",)}
    shares_service_account: ClassVar[bool] = False
    reads_groups: ClassVar[bool] = False
    docker_on_masters: ClassVar[bool] = True
    """Whether masters run containers, and so get a volume for them."""

    @property
    def label_rules(self) -> Mapping[str, LabelRule]:
        """From the table in shared.domain.labels."""
        return rules_of(self.name)

    # What a driver says of itself.

    @abstractmethod
    def user_data(self, facts: BayFacts, role: Role) -> str:
        """The user-data of a role, with what differs per server left to Heat."""

    @abstractmethod
    def api_port(self, facts: BayFacts) -> int:
        """Where the bay's API listens, on each master and on the load balancer."""

    @abstractmethod
    def api_address_format(self, facts: BayFacts) -> str:
        """How clients write the bay's api_address: ADDRESS and PORT are filled in."""

    def balancer_protocol(self, facts: BayFacts) -> str:
        """Octavia's protocol of the listener and the pool (contract §3.2)."""
        return "HTTP" if facts.tls_disabled else "TCP"

    def networks(self, facts: BayFacts) -> list[Used]:
        """Addresses that the containers use, to be apart from the nodes' and from one another."""
        return []

    def unencapsulated(self, facts: BayFacts) -> str:
        """Addresses of containers that go over the nodes' network as they are, in CIDR form; empty for none."""
        return ""

    def check(self, facts: BayFacts) -> None:
        """Raise InvalidInput for what only this driver knows that it cannot make; called last, by validate()."""
        port = self.api_port(facts)
        if not 1 <= port <= 65535:
            refuse("apiserver_port", f"apiserver_port {port} is out of range; allowed: 1 to 65535.")

    def advice(self, facts: BayFacts) -> list[str]:
        """Sentences about what is accepted with a warning."""
        told = []
        if facts.master_count > 1 and not facts.master_lb_enabled:
            told.append("Without master_lb_enabled the bay's api_address is that of its first master alone.")
        if facts.fixed_network and not self._fixed(facts) and self.label(facts, "master_lb_allowed_cidrs"):
            told.append("Label 'master_lb_allowed_cidrs' must name the subnet of the bay's own nodes as well.")
        return told

    def certificate_names(self, facts: BayFacts, role: Role) -> tuple[frozenset[str], frozenset[str]]:
        """Of masters, what they call themselves."""
        return (frozenset({"localhost"}), frozenset({"127.0.0.1"})) if role == "master" else (frozenset(), frozenset())

    def needs_cloud_credential(self, facts: BayFacts) -> bool:
        """Whether containers use volumes of the cloud."""
        return bool(facts.volume_driver)

    def access_rules(self, facts: BayFacts) -> Rules:
        """What that credential may do: volumes, from making to detaching."""
        return MANAGE_VOLUMES

    # What is the same for all.

    def validate(self, facts: BayFacts) -> None:
        """Raise InvalidInput, naming field and reason, for a bay that this driver cannot make."""
        check_support(facts, self.support)
        check_words(facts)
        for name in self.label_rules:
            checked(self.label_rules, facts.labels, name)
        check_networks([*self.networks(facts), *self._nodes(facts)])
        self.check(facts)

    def render(self, facts: BayFacts, secrets: BaySecrets) -> RenderedStack:
        """Make the stack: shared templates in this driver's words, user-data per role, all choices as parameters."""
        self.validate(facts)
        if not facts.tls_disabled and not facts.ca_pem:
            raise ValueError("A bay with TLS needs its authority's certificate in facts.ca_pem.")
        files = package_texts(COMMON, "heat", ".yaml") | package_texts(self.package, "heat", ".yaml")
        for name in (_BAY, _SHARD):
            files[name] = Template(files[name]).substitute(asdict(self.words))
        parameters = self.parameters(facts)
        files = {name: chosen(text, parameters) for name, text in files.items()}
        template = files.pop(_BAY)
        files["master.user-data"] = self.user_data(facts, "master")
        files["worker.user-data"] = self.user_data(facts, "worker")
        if self.needs_cloud_credential(facts):
            parameters |= credential_parameters(secrets)
        return RenderedStack(template=template, files=files, environment={}, parameters=parameters)

    def resize_parameters(self, node_count: int, remove: Sequence[str]) -> dict[str, str]:
        """Only the count and the list of who leaves; an empty list clears that of the resize before."""
        return {self.words.number_of_nodes: str(node_count), "nodes_to_remove": ",".join(remove)}

    def read_outputs(self, outputs: Mapping[str, object]) -> BayOutputs:
        """Read api_address and, by role, references and details."""
        return read_outputs(outputs)

    def parameters(self, facts: BayFacts) -> dict[str, str]:
        """The stack's parameters but the hidden ones."""
        return {
            MARK_PARAMETER: facts.operation_id,
            "jeroboam_bay": facts.bay_id,
            "jeroboam_generation": str(facts.generation),
            # Names of Kubernetes nodes are lower case.
            "node_name_prefix": facts.stack_name.lower(),
            "server_image": facts.image_id,
            "master_flavor": facts.master_flavor_id,
            self.words.node_flavor: facts.flavor_id,
            "number_of_masters": str(facts.master_count),
            self.words.number_of_nodes: str(spread(facts.node_count)[0]),
            "nodes_to_remove": "",
            "external_network": facts.external_network_id,
            "fixed_network": facts.fixed_network or "",
            "fixed_subnet": facts.fixed_subnet or "",
            "dns_nameserver": facts.dns_nameserver or "8.8.8.8",
            "floating_ip_enabled": _switch(facts.floating_ip_enabled),
            "master_server_group": facts.master_server_group,
            "node_server_group": facts.worker_server_group,
            "docker_volume_size": str(facts.docker_volume_size or 0),
            "master_docker_volume_size": str(facts.docker_volume_size or 0) if self.docker_on_masters else "0",
            "api_port": str(self.api_port(facts)),
            "api_address_format": self.api_address_format(facts),
            "pod_network_cidr": self.unencapsulated(facts),
            "wait_condition_timeout": str(wait_seconds(facts)),
            **authority_parameter(facts.ca_pem),
            **self._balancer(facts),
            **self._from_labels(facts),
        }

    def label(self, facts: BayFacts, name: str) -> str:
        """A label's value, or its default; the empty text for one that does nothing in this driver."""
        return checked(self.label_rules, facts.labels, name) if name in self.label_rules else ""

    def _balancer(self, facts: BayFacts) -> dict[str, str]:
        if not facts.master_lb_enabled:
            return {"master_lb_enabled": "false"}
        floating = truth(self.label_rules, facts.labels, "master_lb_floating_ip_enabled")
        allowed = [one.strip() for one in self.label(facts, "master_lb_allowed_cidrs").split(",") if one.strip()]
        if allowed:
            allowed += [str(one.network) for one in self._nodes(facts)]  # the bay's own nodes use it too
        watched = truth(self.label_rules, facts.labels, "octavia_lb_healthcheck")
        return {
            "master_lb_enabled": "true",
            "master_lb_floating_ip_enabled": _switch(facts.floating_ip_enabled if floating is None else floating),
            "master_lb_allowed_cidrs": ",".join(allowed),
            "loadbalancing_protocol": self.balancer_protocol(facts),
            "octavia_provider": self.label(facts, "octavia_provider"),
            "octavia_lb_algorithm": self.label(facts, "octavia_lb_algorithm"),
            "octavia_lb_healthcheck": _switch(watched is not False),
        }

    def _from_labels(self, facts: BayFacts) -> dict[str, str]:
        same = ("availability_zone", "docker_volume_type", "etcd_volume_type")
        sizes = ("boot_volume_size", "etcd_volume_size")
        return {
            "fixed_network_cidr": str(self._node_network(facts)),
            **{name: self.label(facts, name) for name in same},
            **{name: self.label(facts, name) or "0" for name in sizes},
            "boot_volume_type": self.label(facts, "boot_volume_type") if self._boots_from_volume(facts) else "",
        }

    def _nodes(self, facts: BayFacts) -> list[Used]:
        """The nodes' own addresses, as far as they are known."""
        if facts.fixed_network:
            return [Used("fixed_network", "The fixed network", one) for one in self._fixed(facts)]
        return [Used("labels/fixed_subnet_cidr", "The nodes' network", self._node_network(facts))]

    def _fixed(self, facts: BayFacts) -> list[IPv4Network]:
        return [IPv4Network(one) for one in facts.fixed_network_cidrs.split(",") if one and ":" not in one]

    def _boots_from_volume(self, facts: BayFacts) -> bool:
        return (self.label(facts, "boot_volume_size") or "0") != "0"

    def _node_network(self, facts: BayFacts) -> IPv4Network:
        return IPv4Network(self.label(facts, "fixed_subnet_cidr") or "10.0.0.0/24")


def chosen(template: str, parameters: Mapping[str, str]) -> str:
    """A template without the lines that are for a parameter which this bay leaves empty (or 0).

    Such a line ends in `#? name` or `#? not name`. Heat cannot leave a text property out by a condition: before
    template version 2021-04-16 a null becomes the empty text, which Nova and Cinder then look for.
    """
    kept = []
    for line in template.splitlines():
        text, _, condition = line.partition("#? ")
        name, wanted = condition.removeprefix("not "), not condition.startswith("not ")
        if not condition or (parameters.get(name, "") not in ("", "0")) == wanted:
            kept.append(text.rstrip())
    return "\n".join(kept) + "\n"


def _switch(value: bool) -> str:
    return "true" if value else "false"


def authority_parameter(ca_pem: str) -> dict[str, str]:
    """The parameter with the authorities that new nodes trust from their first start; `ca_pem` may be several."""
    return {CA_PARAMETER: packed(ca_pem) if ca_pem else ""}


def credential_parameters(secrets: BaySecrets) -> dict[str, str]:
    """The hidden parameters. Raises ValueError for a credential that is missing or malformed.

    What Keystone generates fits the pattern, and so does a stand-in such as `@sealed@`; nothing else may reach a
    configuration file.
    """
    given = {
        "application_credential_id": secrets.application_credential_id or "",
        "application_credential_secret": secrets.application_credential_secret or "",
    }
    for name, value in given.items():
        if not _CREDENTIAL.fullmatch(value):
            raise ValueError(f"This bay's nodes need the cloud, and {name} is missing or malformed.")
    return given
