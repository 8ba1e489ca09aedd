"""Bodies of /v1/clusters/{cluster}/nodegroups (contract §1.13)."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.contracts.http.base import WireBody
from shared.contracts.http.links import Link
from shared.contracts.http.values import Count, Flag, Labels, Natural, Text255, wrong

_RESERVED: Final = re.compile(r"(?:.+\.)?(?:kubernetes|k8s)\.io")
_OPEN: Final = re.compile(r"(?:.+\.)?(?:kubelet|node)\.kubernetes\.io")
_WELL_KNOWN: Final = frozenset(
    {f"{prefix}kubernetes.io/{name}" for prefix in ("", "beta.") for name in ("arch", "instance-type", "os")}
    | {
        f"{prefix}kubernetes.io/{name}"
        for prefix in ("failure-domain.", "failure-domain.beta.", "topology.")
        for name in ("region", "zone")
    }
    | {"kubernetes.io/hostname"}
)
"""What a kubelet may say of itself, besides its two open prefixes (Kubernetes' NodeRestriction admission)."""
_PREFIX: Final = r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?"
_WORD: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY: Final = re.compile(_PREFIX + _WORD)
_VALUE: Final = re.compile(f"(?:{_WORD})?")


def node_labels(value: object) -> dict[str, str]:
    """Labels of Kubernetes nodes: valid keys and values, and no key that belongs to Kubernetes itself."""
    if not isinstance(value, dict):
        raise wrong("Value not a valid dict: {text}", text=str(value)[:255])
    for key, item in value.items():
        prefix = key.rpartition("/")[0]
        if not _KEY.fullmatch(key) or not isinstance(item, str) or not _VALUE.fullmatch(item):
            raise wrong("It is no label of Kubernetes: {text}", text=f"{key}={item}"[:255])
        if _RESERVED.fullmatch(prefix) and not _OPEN.fullmatch(prefix) and key not in _WELL_KNOWN:
            raise wrong("The prefix of {text} is reserved for Kubernetes.", text=key[:255])
    return value


class Taint(BaseModel):
    """Keeps pods away that do not tolerate it."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=317, pattern=f"^{_KEY.pattern}$")]
    value: Annotated[str, Field(max_length=63, pattern=f"^{_VALUE.pattern}$")] | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


NodeLabels = Annotated[dict[str, str], BeforeValidator(node_labels, json_schema_input_type=dict[str, str])]


class NodegroupCreate(WireBody):
    """POST /v1/clusters/{cluster}/nodegroups. What is left out comes from the cluster."""

    argument: ClassVar[str] = "nodegroup"
    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            *("id", "uuid", "cluster_id", "project_id", "links", "node_addresses", "is_default", "stack_id", "status"),
            *("status_reason", "version", "labels_added", "labels_overridden", "labels_skipped"),
            *("created_at", "updated_at"),
        }
    )

    name: Text255
    node_count: Natural = 1
    min_node_count: Natural | None = None
    """Absent: 0, and 1 below microversion 1.10."""
    max_node_count: Natural | None = None
    """Absent or 0: no maximum."""
    role: Text255 = "worker"
    flavor_id: Text255 | None = None
    image_id: Text255 | None = None
    docker_volume_size: Count | None = None
    labels: Labels | None = None
    merge_labels: Flag = False
    node_labels: NodeLabels | None = None
    """From microversion 1.14."""
    node_taints: list[Taint] | None = None
    """From microversion 1.14."""


class NodegroupChange(WireBody):
    """What of a PATCH has a form of its own. The range is checked where the cluster is known."""

    argument: ClassVar[str] = "nodegroup"

    node_labels: NodeLabels | None = None
    node_taints: list[Taint] | None = None


class NodegroupBrief(BaseModel):
    """An item of the list."""

    uuid: str
    name: str
    flavor_id: str | None
    image_id: str | None
    node_count: int
    role: str
    is_default: bool
    status: str
    stack_id: str | None
    min_node_count: int
    max_node_count: int | None
    merge_labels: bool


class NodegroupFull(NodegroupBrief):
    """A nodegroup, whole."""

    id: int
    cluster_id: str
    project_id: str
    docker_volume_size: int | None
    labels: dict[str, str]
    labels_added: dict[str, str]
    labels_overridden: dict[str, str]
    labels_skipped: dict[str, str]
    links: list[Link]
    node_addresses: list[str]
    status_reason: str | None
    version: str | None = None
    """Magnum's, which says nothing here."""
    created_at: str
    updated_at: str | None
    node_labels: dict[str, str] | None = None
    """Only from microversion 1.14."""
    node_taints: list[Taint] | None = None
    """Only from microversion 1.14."""


class NodegroupList(BaseModel):
    """GET /v1/clusters/{cluster}/nodegroups."""

    nodegroups: list[NodegroupBrief]
    next: str | None = None
