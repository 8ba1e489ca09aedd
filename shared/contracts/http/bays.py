"""Bodies of /v1/bays (contract §1.11)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody
from shared.contracts.http.links import Link
from shared.contracts.http.values import NAME_PATTERN, Count, Flag, Labels, Natural, Text255

BayName = Annotated[str, Field(min_length=1, max_length=242, pattern=NAME_PATTERN)]


class BayCreate(WireBody):
    """POST /v1/bays. What is left out comes from the baymodel."""

    argument: ClassVar[str] = "bay"
    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            *("uuid", "links", "status", "status_reason", "stack_id", "api_address", "node_addresses"),
            *("master_addresses", "coe_version", "container_version", "bay_faults", "created_at", "updated_at"),
        }
    )

    name: BayName | None = None
    baymodel_id: Text255
    node_count: Count = 1
    master_count: Count = 1
    bay_create_timeout: Natural = 60
    """Minutes; 0 = no limit."""
    discovery_url: Text255 | None = None
    docker_volume_size: Count | None = None
    labels: Labels | None = None
    flavor_id: Text255 | None = None
    master_flavor_id: Text255 | None = None
    fixed_network: Text255 | None = None
    fixed_subnet: Text255 | None = None
    floating_ip_enabled: Flag | None = None
    master_lb_enabled: Flag | None = None


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
    requested_by: str
    created_at: str
    finished_at: str | None
    steps: list[OperationStepOut]


class OperationList(BaseModel):
    """GET /v1/bays/{bay}/operations, newest first."""

    operations: list[OperationOut]
