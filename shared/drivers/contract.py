"""What a driver is given, what it gives back, and what it promises.

The rules of the contract are numbered in docs/driver-contract.md; tests/drivers/test_conformance.py holds every
registered driver to them. All classes here are frozen and hold plain data, so that a driver can be a pure function:
the same facts and secrets always give the same stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from shared.domain.labels import LabelRule

MARK_PARAMETER = "jeroboam_operation"
"""Stack parameter that carries the operation's uuid. The caller of create and update sets it each time."""

MASTERS_PARAMETER = "number_of_masters"
"""Stack parameter of every driver with the number of masters."""

Role = Literal["master", "worker"]
DriverKey = tuple[str, str, str]
"""(server_type, os_distro, coe): the triple that chooses a driver."""


@dataclass(frozen=True, kw_only=True)
class BayFacts:
    """Everything about a bay that its stack is made from and that is no secret.

    Defaults here are those of an attribute that the user left out; the guide's own defaults (a volume of 5 GB, say)
    are applied before, where the baymodel is read.
    """

    bay_id: str
    bay_name: str
    project_id: str
    generation: int
    stack_name: str
    operation_id: str
    """Mark of the operation that renders; travels as the stack parameter MARK_PARAMETER."""
    api_url: str
    """Public URL of our own API as nodes reach it; ends in /v1."""
    keystone_url: str
    region: str
    coe: str
    server_type: str
    os_distro: str
    node_count: int
    master_count: int
    flavor_id: str
    master_flavor_id: str
    image_id: str
    external_network_id: str
    ca_pem: str = ""
    """Certificate of the bay's authority (public). Empty only when tls_disabled."""
    keypair_name: str = ""
    ssh_public_key: str = ""
    """The caller's public key. Nova key pairs belong to users, so the key itself travels in the user-data."""
    fixed_network: str | None = None
    fixed_subnet: str | None = None
    fixed_network_cidrs: str = ""
    """Addresses of the fixed network, separated by commas; empty where there is none, or nobody looked."""
    dns_nameserver: str = "8.8.8.8"
    """One address, or several separated by commas."""
    network_driver: str = ""
    volume_driver: str | None = None
    nodegroup: str = "default-worker"
    """The name of the group whose nodes the workers are; the stack of a further group is rendered like a bay."""
    nodegroup_role: str = "worker"
    """What its owner says that they are for."""
    node_labels: Mapping[str, str] = field(default_factory=dict)
    """What the COE is to know the workers by, beside what it learns itself (contract of nodegroups, 1.14)."""
    node_taints: Sequence[Mapping[str, str]] = ()
    """Kubernetes' taints of the workers: `key`, `effect`, and `value` where there is one."""
    docker_volume_size: int | None = None
    """GB of the Cinder volume that each node gets for docker's storage; None or 0 means no volume."""
    docker_storage_driver: str = ""
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    apiserver_port: int | None = None
    insecure_registry: str | None = None
    registry_enabled: bool = False
    tls_disabled: bool = False
    master_lb_enabled: bool = False
    floating_ip_enabled: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    timeout_minutes: int = 60
    """The bay's create_timeout; 0 means none."""
    discovery_url: str | None = None
    """As the user gave it; no driver needs one, since masters know one another from the start."""
    master_server_group: str = ""
    """Nova's id of the masters' server group, made before the stack; empty for none."""
    worker_server_group: str = ""
    cloud_ca_pem: str = ""
    """Authorities that nodes need to trust our API and the cloud's endpoints; empty when they are publicly trusted."""
    node_sources: Mapping[str, str] = field(default_factory=dict)
    """The operator's overrides of common/sources.py, as read by sources.parse()."""


@dataclass(frozen=True, kw_only=True)
class BaySecrets:
    """What nodes of a bay may hold of the cloud: the bay's own restricted application credential, or nothing."""

    application_credential_id: str | None = None
    application_credential_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class RenderedStack:
    """A stack as Heat takes it. Everything but hidden parameters may be stored and shown.

    `parameters` holds the application credential when nodes need one, so it stays out of repr().
    """

    template: str
    files: dict[str, str]
    environment: dict[str, object]
    parameters: dict[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class NodeInfo:
    """One server of a bay as its stack's outputs tell it."""

    server_id: str
    name: str
    role: Role
    index: int
    """Place in its group. Heat never uses an index twice, so indices may have gaps."""
    address: str
    """Floating address, or the private one when the bay has no floating addresses."""
    private_address: str
    pool: int = 0
    """The pool of nodes whose stack it is in (shared.domain.shards); a driver, which sees one stack, says nothing."""


@dataclass(frozen=True, kw_only=True)
class BayOutputs:
    """A stack's outputs in the terms of the API."""

    api_address: str
    master_addresses: tuple[str, ...]
    node_addresses: tuple[str, ...]
    nodes: tuple[NodeInfo, ...]
    """Masters first, each role by index."""


@dataclass(frozen=True, kw_only=True)
class Support:
    """What a driver can make, attribute by attribute; the API refuses every other cell.

    Where values are listed, the first is what a bay gets whose baymodel says nothing.
    """

    network_drivers: tuple[str, ...]
    volume_drivers: tuple[str, ...] = ()
    storage_drivers: tuple[str, ...] = ()
    """Values of docker_storage_driver."""
    master_counts: tuple[int, ...] = (1, 3, 5)
    tls: tuple[bool, ...] = (True, False)
    """Whether bays may have TLS, and whether they may be without."""
    load_balancer: bool = True
    floating_ip: tuple[bool, ...] = (True, False)
    networks: tuple[Literal["new", "existing"], ...] = ("new", "existing")
    docker_volume: bool = True
    registry: bool = False
    insecure_registry: bool = True
    discovery_url: bool = False
    """Whether a discovery_url that the user gives is used; else it is refused."""
    node_taints: bool = False
    """Whether nodes of a nodegroup can keep away what does not tolerate their taints."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """By attribute: why it is not supported, as a sentence."""


class Driver(Protocol):
    """One folder under shared/drivers. Pure: no network, no clock, no randomness, no files but its own package's."""

    @property
    def name(self) -> str:
        """Name of the driver and of its folder; stored with each bay that it made."""
        ...

    @property
    def key(self) -> DriverKey: ...

    @property
    def coe_version(self) -> str: ...

    @property
    def container_version(self) -> str: ...

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of operation (shared.domain.operation) that this driver has a way for."""
        ...

    @property
    def ca_key(self) -> Literal["ec-p256", "rsa2048"]:
        """Kind of key that its bays' authorities have; rsa2048 only where the software predates elliptic curves."""
        ...

    @property
    def reads_groups(self) -> bool:
        """Whether the groups in a client's certificate say what it may do in the bay, jeroboam:readers to look and
        jeroboam:scaler to drain nodes; else every certificate of the bay's authority opens everything."""
        ...

    @property
    def support(self) -> Support:
        """The table of what it can make."""
        ...

    @property
    def certificates(self) -> Mapping[Role, tuple[str, ...]]:
        """Per role the certificates that a node gets: names of shared.domain.node_profiles, "node" among them."""
        ...

    @property
    def shares_service_account(self) -> bool:
        """Whether the masters share a service-account key, which the authority makes and hands to each of them."""
        ...

    @property
    def label_rules(self) -> Mapping[str, LabelRule]:
        """The labels that take effect, by name."""
        ...

    def validate(self, facts: BayFacts) -> None:
        """Raise InvalidInput, naming field and reason, for a bay that this driver cannot make.

        Asked at the door as well, where ca_pem and stack_name are not known yet.
        """
        ...

    def advice(self, facts: BayFacts) -> list[str]:
        """What the user should know about a bay that is accepted: sentences for the `Warning` header."""
        ...

    def certificate_names(self, facts: BayFacts, role: Role) -> tuple[frozenset[str], frozenset[str]]:
        """DNS names and IP addresses that a node's certificate may have beside the server's own."""
        ...

    def needs_cloud_credential(self, facts: BayFacts) -> bool:
        """Whether the nodes need the bay's application credential."""
        ...

    def access_rules(self, facts: BayFacts) -> tuple[dict[str, str], ...]:
        """What that credential may do: Keystone access rules, from common/access.py."""
        ...

    def render(self, facts: BayFacts, secrets: BaySecrets) -> RenderedStack:
        """Make the stack of a bay.

        Raises InvalidInput as validate() does, and ValueError when ca_pem or a credential is needed and not given.
        """
        ...

    def resize_parameters(self, node_count: int, remove: Sequence[str]) -> dict[str, str]:
        """Parameters that a resize changes, and only those; the caller adds MARK_PARAMETER.

        `remove` holds the Nova ids of the servers that leave; empty when the bay grows, so that an old list is cleared.
        """
        ...

    def read_outputs(self, outputs: Mapping[str, object]) -> BayOutputs:
        """Read a stack's outputs (key to value). Raises ValueError naming an output that is missing or misshapen."""
        ...
