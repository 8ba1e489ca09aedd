"""Bodies of /v1/bays (contract §1.11), and what a bay is asked for by under either of its names."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody
from shared.contracts.http.links import Link
from shared.contracts.http.values import NAME_PATTERN, Count, Flag, Labels, Natural, Text255

BayName = Annotated[str, Field(min_length=1, max_length=242, pattern=NAME_PATTERN)]


class NewBay(WireBody):
    """What a bay is asked for by under either name. What is left out comes from the template."""

    name: BayName | None = None
    """Absent: one is made up."""
    template: Text255
    """Its template, by uuid or name."""
    node_count: Natural = 1
    """Workers."""
    master_count: Count = 1
    """Masters: an odd number, and 1 unless master_lb_enabled."""
    timeout: Natural = 60
    """Minutes that making it may take; 0 = no limit."""
    discovery_url: Text255 | None = None
    """Where the members of etcd find one another, for drivers that need one."""
    docker_volume_size: Count | None = None
    """GB of each node's volume for containers."""
    labels: Labels | None = None
    """Settings of the driver; they replace the template's."""
    flavor_id: Text255 | None = None
    """Flavor of the workers, by id or name."""
    master_flavor_id: Text255 | None = None
    """Flavor of the masters, by id or name."""
    fixed_network: Text255 | None = None
    """An existing network for the nodes, by id or name."""
    fixed_subnet: Text255 | None = None
    """An existing subnet of it, by id or name."""
    floating_ip_enabled: Flag | None = None
    """Whether each node gets a floating address."""
    master_lb_enabled: Flag | None = None
    """Whether a load balancer stands before the masters."""

    @property
    def own_keypair(self) -> str | None:
        """The Nova key pair that is named instead of the template's; bays cannot name one."""
        return None

    @property
    def merges_labels(self) -> bool:
        """Whether the labels are laid over the template's instead of replacing them."""
        return False


class BayCreate(NewBay):
    """POST /v1/bays. What is left out comes from the baymodel."""

    argument: ClassVar[str] = "bay"
    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            *("uuid", "links", "status", "status_reason", "stack_id", "api_address", "node_addresses"),
            *("master_addresses", "coe_version", "container_version", "bay_faults", "created_at", "updated_at"),
        }
    )

    template: Text255 = Field(alias="baymodel_id")
    """Its baymodel, by uuid or name."""
    node_count: Count = 1
    """Workers."""
    timeout: Natural = Field(default=60, alias="bay_create_timeout")
    """Minutes that making it may take; 0 = no limit."""


class BayBrief(BaseModel):
    """An item of GET /v1/bays."""

    uuid: str
    name: str
    baymodel_id: str
    node_count: int
    master_count: int
    docker_volume_size: int | None
    labels: dict[str, str]
    master_flavor_id: str | None
    flavor_id: str | None
    bay_create_timeout: int
    stack_id: str | None
    status: str
    floating_ip_enabled: bool | None
    links: list[Link]


class BayFull(BayBrief):
    """A bay, whole."""

    status_reason: str | None
    discovery_url: str | None
    api_address: str | None
    coe_version: str | None
    container_version: str | None
    node_addresses: list[str]
    master_addresses: list[str]
    fixed_network: str | None
    fixed_subnet: str | None
    master_lb_enabled: bool | None
    created_at: str
    updated_at: str | None
    bay_faults: dict[str, str] | None = None
    """Only when the status ends in _FAILED."""


class BayList(BaseModel):
    """GET /v1/bays."""

    bays: list[BayBrief]
    next: str | None = None
    """URL of the next page; absent when this page is not full."""


class BayDetailList(BaseModel):
    """GET /v1/bays/detail."""

    bays: list[BayFull]
    next: str | None = None


class Accepted(BaseModel):
    """What a change answers from microversion 1.2 on."""

    uuid: str


class OperationStepOut(BaseModel):
    """One step of an operation."""

    name: str
    service: str
    sentence: str
    state: str
    attempt: int
    note: str | None
    started_at: str | None
    finished_at: str | None


class OperationOut(BaseModel):
    """One asked-for change of a bay."""

    id: str
    seq: int
    kind: str
    state: str
    error: str | None
    warnings: list[str] = []
    """What the requester was told, for instance of labels without effect."""
    requested_by: str
    created_at: str
    started_at: str | None = None
    """When its first step began; null while it waits behind another."""
    finished_at: str | None
    steps: list[OperationStepOut]


class OperationList(BaseModel):
    """GET /v1/bays/{bay}/operations, newest first."""

    operations: list[OperationOut]
