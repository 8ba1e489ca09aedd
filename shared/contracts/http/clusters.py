"""Bodies of /v1/clusters (contract §1.10): the rows of /v1/bays under their later name."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field
from typing_extensions import override

from shared.contracts.http.base import WireBody
from shared.contracts.http.bays import NewBay
from shared.contracts.http.links import Link
from shared.contracts.http.values import Count, Flag, Natural, Text255

Health = Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"]


class ClusterCreate(NewBay):
    """POST /v1/clusters. What is left out comes from the cluster template."""

    argument: ClassVar[str] = "cluster"
    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            *("uuid", "links", "status", "status_reason", "stack_id", "cluster_id", "api_address", "node_addresses"),
            *("master_addresses", "coe_version", "container_version", "faults", "created_at", "updated_at"),
            *("project_id", "user_id", "health_status", "health_status_reason"),
            *("labels_added", "labels_overridden", "labels_skipped"),
        }
    )

    template: Text255 = Field(alias="cluster_template_id")
    """Its cluster template, by uuid or name."""
    node_count: Natural = 1
    """Workers; 0 from microversion 1.10."""
    timeout: Natural = Field(default=60, alias="create_timeout")
    """Minutes that making it may take; 0 = no limit."""
    keypair: Text255 | None = None
    """A key pair of the caller in Nova; absent: the template's."""
    merge_labels: Flag = False
    """Whether the labels are laid over the template's instead of replacing them."""

    @property
    @override
    def own_keypair(self) -> str | None:
        return self.keypair

    @property
    @override
    def merges_labels(self) -> bool:
        return self.merge_labels


class ClusterResize(WireBody):
    """POST /v1/clusters/{cluster}/actions/resize."""

    argument: ClassVar[str] = "cluster_resize_req"

    node_count: Natural
    """How many nodes the group is to have; 0 from microversion 1.10."""
    nodes_to_remove: list[Text255] = Field(default_factory=list, max_length=1000)
    """Nova ids of nodes that are to leave; the rest of those that leave are the youngest."""
    nodegroup: Text255 = "default-worker"
    """The group, by uuid or name."""


class ClusterUpgrade(WireBody):
    """POST /v1/clusters/{cluster}/actions/upgrade."""

    argument: ClassVar[str] = "cluster_upgrade_req"

    cluster_template: Text255
    """The template that the cluster is to become like, by uuid or name."""
    max_batch_size: Count = 1
    """How many nodes are upgraded at a time."""
    nodegroup: Text255 | None = None
    """The group, by uuid or name; absent: the two default ones."""


class UpgradePreview(BaseModel):
    """Answer of POST /v1/clusters/{cluster}/actions/upgrade?dry_run=true; nothing was changed. Not in Magnum."""

    cluster_template: str
    nodegroup: str
    node_count: int
    """How many nodes the group has all the time, but for the new ones of one batch."""
    max_batch_size: int
    batches: list[list[str]]
    """Names of the nodes that would be replaced, in that order."""
    changes: dict[str, dict[str, Any]]
    """What new nodes have otherwise: by name, what is (`from`) and what would be (`to`)."""
    version: dict[str, str]
    """The engine's release by its label, before and after, and whether they go together."""
    masters: str
    """What becomes of them."""
    warnings: list[str]


class ClusterBrief(BaseModel):
    """An item of GET /v1/clusters."""

    uuid: str
    name: str
    cluster_template_id: str
    keypair: str | None
    docker_volume_size: int | None
    labels: dict[str, str]
    master_flavor_id: str | None
    flavor_id: str | None
    node_count: int
    master_count: int
    create_timeout: int
    stack_id: str | None = None
    """Up to microversion 1.12."""
    cluster_id: str | None = None
    """From microversion 1.13."""
    status: str
    health_status: Health | None
    merge_labels: bool
    links: list[Link]


class ClusterFull(ClusterBrief):
    """A cluster, whole."""

    labels_added: dict[str, str]
    """Labels that its template does not have."""
    labels_overridden: dict[str, str]
    """The template's values of labels that have others here."""
    labels_skipped: dict[str, str]
    """Labels of the template that it does not have."""
    status_reason: str | None
    health_status_reason: dict[str, str]
    discovery_url: str | None
    api_address: str | None
    coe_version: str | None
    container_version: str | None
    node_addresses: list[str]
    master_addresses: list[str]
    fixed_network: str | None
    fixed_subnet: str | None
    floating_ip_enabled: bool | None
    master_lb_enabled: bool | None
    project_id: str
    user_id: str
    created_at: str
    updated_at: str | None
    faults: dict[str, str] | None = None
    """Only when the status ends in _FAILED."""


class ClusterList(BaseModel):
    """GET /v1/clusters."""

    clusters: list[ClusterBrief]
    next: str | None = None
    """URL of the next page; absent when this page is not full."""


class ClusterDetailList(BaseModel):
    """GET /v1/clusters/detail."""

    clusters: list[ClusterFull]
    next: str | None = None
    """URL of the next page; absent when this page is not full."""
