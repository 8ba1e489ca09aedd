"""A bay and its nodes as the rest of the code sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.domain.bay_state import BayStatus
from shared.domain.operation import OperationKind


class Wanted(StrEnum):
    """What the owner wants of the bay as a whole; `gone` overtakes everything (architecture, Delete overtakes)."""

    PRESENT = "present"
    GONE = "gone"


@dataclass(frozen=True)
class Baymodel:
    """A template for bays; the attributes are Magnum's (contract §1.12.2)."""

    id: UUID
    project_id: str
    user_id: str
    name: str
    coe: str
    image_id: str
    public: bool
    attributes: Mapping[str, object]
    """Every other attribute by its wire name, with defaults filled in."""


@dataclass(frozen=True)
class Bay:
    """One row of `bays`, whole."""

    id: UUID
    project_id: str
    user_id: str
    name: str
    baymodel_id: UUID
    status: BayStatus
    wanted: Wanted
    generation: int
    stack_name: str
    stack_id: str | None
    node_count: int
    """The owner's last wish. What an operation is to reach is in its own request: a later wish may wait behind it."""
    master_count: int
    create_timeout: int
    """Minutes; 0 = none."""
    driver: str
    spec: Mapping[str, object]
    """What the bay was born with: the baymodel's effective attributes and the cloud's ids at acceptance (rule 6)."""
    api_address: str | None
    created_at: datetime
    forced: bool = False
    """Whether an administrator forced its deletion: nothing that stands in the way ends that any more."""


@dataclass(frozen=True)
class Node:
    """A server of a bay."""

    server_id: str
    role: str
    position: int
    """Its place in its pool: shard and index in the Heat group (`shards.place`), never used twice."""
    name: str
    address: str
    private_address: str
    pool: int = 0
    """Which of the bay's pools of stacks it stands in (shared.domain.shards)."""
    nodegroup: str = ""
    """The name of its nodegroup; empty for one that is not read from the database."""


@dataclass(frozen=True)
class Operation:
    """One claimed operation: what the worker needs to run its next step."""

    id: UUID
    bay_id: UUID
    seq: int
    kind: OperationKind
    step: str
    attempt: int
    failures: int
    surprises: int
    lease_token: UUID
    started_at: datetime
    """When its first step was first claimed; what waited in the queue was accepted long before."""
    deadline: datetime | None
    """From its acceptance, or from its start if it had to queue; None = it may take as long as something happens."""
    overdue: bool
    """Whether the deadline had passed when it was claimed, by Postgres's clock."""
    request: Mapping[str, object]
    memo: Mapping[str, object] = field(default_factory=dict)
    """What an earlier step of this operation decided, e.g. which nodes leave."""
