"""Bodies of /v1/baymodels (contract §1.12)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody
from shared.contracts.http.links import Link
from shared.contracts.http.values import Count, Dns, Flag, Integer, Labels, Loose255, NoKey, Text255

Port = Annotated[Integer, Field(ge=1024, le=65535)]


class BaymodelCreate(WireBody):
    """POST /v1/baymodels, and what a PATCH must still be afterwards."""

    argument: ClassVar[str] = "baymodel"
    read_only: ClassVar[frozenset[str]] = frozenset({"uuid", "links", "created_at", "updated_at", "cluster_distro"})

    name: Text255 | None = None
    coe: Literal["kubernetes", "swarm", "mesos"] | None = None
    image_id: Text255
    keypair_id: Text255
    external_network_id: Text255 | None = None
    fixed_network: Text255 | None = None
    fixed_subnet: Text255 | None = None
    network_driver: Text255 | None = None
    volume_driver: Text255 | None = None
    dns_nameserver: Dns | None = None
    flavor_id: Text255 | None = None
    master_flavor_id: Text255 | None = None
    docker_volume_size: Count | None = None
    docker_storage_driver: Literal["devicemapper", "overlay", "overlay2"] = "devicemapper"
    http_proxy: Loose255 | None = None
    https_proxy: Loose255 | None = None
    no_proxy: Loose255 | None = None
    apiserver_port: Port | None = None
    labels: Labels | None = None
    tls_disabled: Flag = False
    public: Flag = False
    hidden: Flag = False
    tags: Loose255 | None = None
    registry_enabled: Flag = False
    insecure_registry: Text255 | None = None
    server_type: Literal["vm", "bm"] = "vm"
    master_lb_enabled: Flag = False
    floating_ip_enabled: Flag = True
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
