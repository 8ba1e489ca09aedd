"""What we tell other services of OpenStack about bays, in Magnum's words (contract §7.2).

A notification is oslo.messaging's: who, what, how urgent, when, and a payload. The payload is an event of the DMTF's
Cloud Auditing Data Federation (CADF, DSP0262), with the cluster's attributes attached to its target. It is Magnum's
format and no message of ours: nobody here reads it, and its fields are not ours to choose.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import NAMESPACE_DNS, UUID, uuid5

from shared.domain.bay_state import BayEvent

_EVENT: Final = "http://schemas.dmtf.org/cloud/audit/1.0/event"
_USER: Final = "service/security/account/user"
_CLUSTER: Final = "service/magnum/cluster"


class Action(StrEnum):
    """What is done to a bay; resize, upgrade and rotation are updates."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Outcome(StrEnum):
    """How far it has come."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


class Priority(StrEnum):
    """oslo.messaging's priorities that Magnum uses; each has a queue of its own."""

    INFO = "info"
    ERROR = "error"


class Change(NamedTuple):
    """What is told of a bay."""

    action: Action
    outcome: Outcome


CREATE_ASKED: Final = Change(Action.CREATE, Outcome.PENDING)
"""A new row: the state table has no event for it."""

CHANGES: Final[Mapping[BayEvent, Change]] = MappingProxyType(
    {
        BayEvent.CREATED: Change(Action.CREATE, Outcome.SUCCESS),
        BayEvent.CREATE_BROKE: Change(Action.CREATE, Outcome.FAILURE),
        BayEvent.UPDATE_ASKED: Change(Action.UPDATE, Outcome.PENDING),
        BayEvent.UPDATED: Change(Action.UPDATE, Outcome.SUCCESS),
        BayEvent.UPDATE_BROKE: Change(Action.UPDATE, Outcome.FAILURE),
        BayEvent.STACK_LOST: Change(Action.UPDATE, Outcome.FAILURE),
        BayEvent.DELETE_ASKED: Change(Action.DELETE, Outcome.PENDING),
        BayEvent.DELETED: Change(Action.DELETE, Outcome.SUCCESS),
        BayEvent.DELETE_BROKE: Change(Action.DELETE, Outcome.FAILURE),
    }
)
"""What each event of the state table is told as; an event that is not here is not told."""


@dataclass(frozen=True)
class ClusterData:
    """The attributes that Magnum attaches, under its names for them. None of them is secret."""

    status: str
    status_reason: str | None
    project_id: str
    created_at: datetime
    updated_at: datetime | None
    cluster_template_id: UUID
    keypair: str | None
    docker_volume_size: int | None
    labels: Mapping[str, object]
    master_flavor_id: str | None
    flavor_id: str | None
    stack_id: str | None
    health_status: str | None
    create_timeout: int
    api_address: str | None
    discovery_url: str | None
    node_addresses: Sequence[str]
    master_addresses: Sequence[str]
    node_count: int
    master_count: int


@dataclass(frozen=True)
class Notification:
    """One notification: `body` is the message that oslo.messaging's listeners get, without its wire envelope."""

    id: UUID
    event_type: str
    priority: Priority
    body: Mapping[str, object]

    @property
    def text(self) -> str:
        """The body as JSON."""
        return json.dumps(self.body)


def notification(
    change: Change,
    data: ClusterData,
    *,
    id: UUID,  # noqa: A002 - the field's name
    bay_id: UUID,
    name: str,
    user_id: str,
    host: str,
    at: datetime,
) -> Notification:
    """Tell `change` of a bay: who wanted it (`user_id`), where it was written down (`host`) and when (`at`).

    Everything in it follows from the arguments, `id` included, so that a repeat can be recognised: listeners of
    oslo.messaging drop a `_unique_id` that they have just seen.
    """
    event_type = f"magnum.cluster.{change.action}"
    priority = Priority.ERROR if change.outcome is Outcome.FAILURE else Priority.INFO
    body = {
        "message_id": str(id),
        "publisher_id": f"container-infra.{host}",
        "event_type": event_type,
        "priority": priority.upper(),
        "payload": {
            "typeURI": _EVENT,
            "eventType": "activity",
            "id": str(uuid5(id, "event")),
            "eventTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f%z"),
            "action": change.action.value,
            "outcome": change.outcome.value,
            "initiator": {
                "typeURI": _USER,
                "id": user_id,
                "user_id": user_id,
                "project_id": data.project_id,
                "host": {"address": host},
            },
            "target": {
                "typeURI": _CLUSTER,
                "id": str(bay_id),
                "name": name,
                "attachments": [{"typeURI": _CLUSTER, "name": "cluster_data", "content": _content(data)}],
            },
            "observer": {"typeURI": _CLUSTER, "id": str(uuid5(NAMESPACE_DNS, host))},
        },
        "timestamp": at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "_unique_id": id.hex,
        "_context_user_id": user_id,
        "_context_project_id": data.project_id,
    }
    return Notification(id, event_type, priority, body)


def _content(data: ClusterData) -> dict[str, object]:
    """The attachment's content in Magnum's order and notation."""
    content: dict[str, object] = {
        # Magnum's key has a stray colon, and whoever reads its notifications reads that key.
        "docker_volume_size:" if key == "docker_volume_size" else key: value
        for key, value in asdict(data).items()
    }
    content["created_at"] = _moment(data.created_at)
    content["updated_at"] = None if data.updated_at is None else _moment(data.updated_at)
    content["cluster_template_id"] = str(data.cluster_template_id)
    return content


def _moment(at: datetime) -> str:
    """As oslo.serialization writes an instant: UTC, microseconds, no offset."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
