"""What the Go clients decode answers into: a value of another JSON type fails there, and so it does here.

The rules are Go's `encoding/json`: unknown keys are passed over, absent keys and null leave the zero value, a number
never becomes a text nor a text a number, and a `time.Time` wants RFC 3339 with an offset. The fields are gophercloud
v2's (`containerinfra/v1`), which Terraform, the cluster autoscaler and magnum-auto-healer are built on.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]
Texts = dict[str, str]


class Struct(BaseModel):
    """A Go struct."""

    model_config = ConfigDict(strict=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_zero(cls, value: object) -> object:
        if isinstance(value, dict):
            return {name: each for name, each in value.items() if each is not None}
        return value


class Link(Struct):
    """One of `links`."""

    href: str
    rel: str


class Accepted(Struct):
    """The answer to a create, update, resize or upgrade."""

    uuid: str


class Cluster(Struct):
    """`clusters.Cluster`; a list's items are decoded into it too."""

    api_address: str = ""
    coe_version: str = ""
    cluster_template_id: str = ""
    container_version: str = ""
    create_timeout: int = 0
    created_at: Time = ""
    discovery_url: str = ""
    docker_volume_size: int = 0
    faults: Texts = {}
    flavor_id: str = ""
    keypair: str = ""
    labels: Texts = {}
    labels_added: Texts = {}
    labels_overridden: Texts = {}
    labels_skipped: Texts = {}
    links: list[Link] = []
    master_flavor_id: str = ""
    master_addresses: list[str] = []
    master_count: int = 0
    name: str = ""
    node_addresses: list[str] = []
    node_count: int = 0
    project_id: str = ""
    stack_id: str = ""
    status: str = ""
    status_reason: str = ""
    uuid: str = ""
    updated_at: Time = ""
    user_id: str = ""
    floating_ip_enabled: bool = False
    fixed_network: str = ""
    fixed_subnet: str = ""
    master_lb_enabled: bool = False
    health_status: str = ""
    health_status_reason: dict[str, Any] = {}


class Template(Struct):
    """`clustertemplates.ClusterTemplate`."""

    apiserver_port: int = 0
    coe: str = ""
    cluster_distro: str = ""
    created_at: Time = ""
    dns_nameserver: str = ""
    docker_storage_driver: str = ""
    docker_volume_size: int = 0
    external_network_id: str = ""
    fixed_network: str = ""
    fixed_subnet: str = ""
    flavor_id: str = ""
    floating_ip_enabled: bool = False
    http_proxy: str = ""
    https_proxy: str = ""
    image_id: str = ""
    insecure_registry: str = ""
    keypair_id: str = ""
    labels: Texts = {}
    links: list[Link] = []
    master_flavor_id: str = ""
    master_lb_enabled: bool = False
    name: str = ""
    network_driver: str = ""
    no_proxy: str = ""
    project_id: str = ""
    public: bool = False
    registry_enabled: bool = False
    server_type: str = ""
    tls_disabled: bool = False
    uuid: str = ""
    updated_at: Time = ""
    user_id: str = ""
    volume_driver: str = ""
    hidden: bool = False


class NodeGroup(Struct):
    """`nodegroups.NodeGroup`; the identifier is a number, and only two numbers may be null."""

    id: int = 0
    uuid: str = ""
    name: str = ""
    cluster_id: str = ""
    project_id: str = ""
    docker_volume_size: int | None = None
    labels: Texts = {}
    labels_added: Texts = {}
    labels_overridden: Texts = {}
    labels_skipped: Texts = {}
    links: list[Link] = []
    flavor_id: str = ""
    image_id: str = ""
    node_addresses: list[str] = []
    node_count: int = 0
    role: str = ""
    min_node_count: int = 0
    max_node_count: int | None = None
    is_default: bool = False
    stack_id: str = ""
    status: str = ""
    status_reason: str = ""
    version: str = ""
    created_at: Time = ""
    updated_at: Time = ""


class Certificate(Struct):
    """`certificates.Certificate`."""

    cluster_uuid: str = ""
    bay_uuid: str = ""
    links: list[Link] = []
    pem: str = ""
    csr: str = ""


class Quota(Struct):
    """`quotas.Quotas`; its identifier may be a number or a text."""

    resource: str = ""
    created_at: Time = ""
    updated_at: Time = ""
    hard_limit: int = 0
    project_id: str = ""
    id: int | str = Field(default="")


class Clusters(Struct):
    """A page of clusters."""

    clusters: list[Cluster] = []
    next: str = ""


class Templates(Struct):
    """A page of templates."""

    clustertemplates: list[Template] = []
    next: str = ""


class NodeGroups(Struct):
    """A page of node groups."""

    nodegroups: list[NodeGroup] = []
    next: str = ""
