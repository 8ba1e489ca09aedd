"""Bodies of /v1/baymodels (contract §1.12), and what a template is asked for by under either of its names."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody
from shared.contracts.http.links import Link
from shared.contracts.http.values import Count, Flag, Integer, Labels, Loose255, NoKey, Text255

Port = Annotated[Integer, Field(ge=1024, le=65535)]
StorageDriver = Literal["devicemapper", "overlay", "overlay2"]


class Template(WireBody):
    """What a template is asked for by under either name, and what one must still be after a PATCH."""

    argument: ClassVar[str] = "cluster_template"
    read_only: ClassVar[frozenset[str]] = frozenset(
        {"uuid", "links", "created_at", "updated_at", "cluster_distro", "project_id", "user_id"}
    )

    name: Text255 | None = None
    """Absent: one is made up."""
    coe: Literal["kubernetes", "swarm", "swarm-mode", "mesos"] | None = None
    """What runs the containers; needed."""
    image_id: Text255
    """The nodes' image in Glance, by id or name; its property os_distro chooses the driver."""
    keypair_id: Text255 | None = None
    """A key pair of Nova, whose key may log in to the nodes."""
    external_network_id: Text255 | None = None
    """Where floating addresses come from, by id or name."""
    fixed_network: Text255 | None = None
    """An existing network for the nodes, by id or name; absent: each bay gets one."""
    fixed_subnet: Text255 | None = None
    """An existing subnet of it, by id or name."""
    network_driver: Text255 | None = None
    """How containers reach one another; absent: the engine's usual one."""
    volume_driver: Text255 | None = None
    """Where containers' volumes come from."""
    dns_nameserver: Text255 | None = None
    """Name servers of the nodes, separated by commas."""
    flavor_id: Text255 | None = None
    """Flavor of the workers, by id or name."""
    master_flavor_id: Text255 | None = None
    """Flavor of the masters, by id or name."""
    docker_volume_size: Count | None = None
    """GB of each node's volume for containers; absent: none."""
    docker_storage_driver: StorageDriver = "overlay2"
    """How images are stored on the nodes."""
    http_proxy: Loose255 | None = None
    """The nodes' proxy for http."""
    https_proxy: Loose255 | None = None
    """The nodes' proxy for https."""
    no_proxy: Loose255 | None = None
    """What nodes reach without a proxy, separated by commas."""
    apiserver_port: Port | None = None
    """Port of the engine's API."""
    labels: Labels | None = None
    """Settings of the driver."""
    tls_disabled: Flag = False
    """Whether the engine's API is open to everybody, without certificates."""
    public: Flag = False
    """Whether every project may use it; needs the right to publish."""
    hidden: Flag = False
    """Whether other projects do not see it after all; needs the right to publish."""
    tags: Loose255 | None = None
    """Words, separated by commas."""
    registry_enabled: Flag = False
    """Whether the nodes have an image registry of their own."""
    insecure_registry: Text255 | None = None
    """host:port of a registry without TLS."""
    server_type: Literal["vm", "bm"] = "vm"
    """Virtual or bare-metal nodes."""
    master_lb_enabled: Flag = False
    """Whether a load balancer stands before the masters."""
    floating_ip_enabled: Flag = True
    """Whether each node gets a floating address."""


class BaymodelCreate(Template):
    """POST /v1/baymodels. What is left out has the user guide's defaults, not those of Magnum's later releases."""

    argument: ClassVar[str] = "baymodel"

    keypair_id: Text255
    """A key pair of Nova, whose key may log in to the nodes."""
    external_network_id: Text255 = "public"
    """Where floating addresses come from, by id or name."""
    dns_nameserver: Text255 = "8.8.8.8"
    """Name servers of the nodes, separated by commas."""
    docker_volume_size: Count | None = 5
    """GB of each node's volume for containers; absent on bare metal: none."""
    docker_storage_driver: StorageDriver = "devicemapper"
    """How images are stored on the nodes."""
    ssh_authorized_key: NoKey = None
    """Sent as null by python-magnumclient 1.1.0."""


class BaymodelFull(BaseModel):
    """A baymodel, whole; lists have the same."""

    uuid: str
    name: str
    coe: str
    image_id: str
    flavor_id: str | None
    master_flavor_id: str | None
    dns_nameserver: str | None
    keypair_id: str | None
    external_network_id: str | None
    fixed_network: str | None
    fixed_subnet: str | None
    network_driver: str | None
    apiserver_port: int | None
    docker_volume_size: int | None
    cluster_distro: str | None
    links: list[Link]
    http_proxy: str | None
    https_proxy: str | None
    no_proxy: str | None
    volume_driver: str | None
    registry_enabled: bool
    labels: dict[str, str] | None
    tls_disabled: bool
    public: bool
    server_type: str
    insecure_registry: str | None
    docker_storage_driver: str | None
    master_lb_enabled: bool
    floating_ip_enabled: bool
    hidden: bool
    tags: str | None
    created_at: str
    updated_at: str | None


class BaymodelList(BaseModel):
    """GET /v1/baymodels and /v1/baymodels/detail."""

    baymodels: list[BaymodelFull]
    next: str | None = None
