"""Notifications in Magnum's format: whole ones as files, and what follows from what."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest

from shared.contracts import cadf
from shared.contracts.cadf import Action, Change, ClusterData, Notification, Outcome
from shared.domain.bay_state import BayEvent

GOLDEN = Path(__file__).with_name("golden") / "cadf"
UPDATE = os.environ.get("JEROBOAM_UPDATE_GOLDEN") == "1"

AT = datetime(2026, 11, 22, 19, 30, 1, 250, tzinfo=UTC)
BAY = UUID("5d12f6fd-a196-4bf0-ae4c-1f639a523a52")


def data(status: str, reason: str | None = None, **changes: object) -> ClusterData:
    """A bay with everything, under changes."""
    values: dict[str, object] = {
        "status": status,
        "status_reason": reason,
        "project_id": "057aad600e0046a5b4a4a5d9b1f0a1c2",
        "created_at": AT - timedelta(minutes=5),
        "updated_at": AT,
        "cluster_template_id": UUID("0562d357-8641-4759-8fed-8173f02c9633"),
        "keypair": "my_keypair",
        "docker_volume_size": 3,
        "labels": {"flannel_backend": "vxlan"},
        "master_flavor_id": "m1.small",
        "flavor_id": "m1.large",
        "stack_id": "9c6f1169-7300-4d08-a444-d2be38758719",
        "health_status": None,
        "create_timeout": 60,
        "api_address": "https://172.24.4.6:6443",
        "discovery_url": "https://discovery.etcd.io/3a5a3e4a",
        "node_addresses": ["172.24.4.4", "172.24.4.5"],
        "master_addresses": ["172.24.4.6"],
        "node_count": 2,
        "master_count": 1,
        **changes,
    }
    return ClusterData(**values)  # type: ignore[arg-type]  # the names are ClusterData's


def tell(change: Change, of: ClusterData, at: datetime = AT) -> Notification:
    """The notification of a change."""
    return cadf.notification(
        change,
        of,
        id=UUID("11111111-2222-3333-4444-555555555555"),
        bay_id=BAY,
        name="k8s_bay",
        user_id="9f1f3a0c4ed24e0ea2e2e8d8a1a3c5b7",
        host="node-1.example.org",
        at=at,
    )


EXAMPLES = {
    "create-pending": tell(
        cadf.CREATE_ASKED,
        data(
            "CREATE_IN_PROGRESS",
            updated_at=None,
            stack_id=None,
            api_address=None,
            discovery_url=None,
            node_addresses=[],
            master_addresses=[],
        ),
    ),
    "create-success": tell(cadf.CHANGES[BayEvent.CREATED], data("CREATE_COMPLETE")),
    "create-failure": tell(
        cadf.CHANGES[BayEvent.CREATE_BROKE],
        data("CREATE_FAILED", "No valid host was found.", keypair=None, docker_volume_size=None, labels={}),
    ),
    "update-pending": tell(cadf.CHANGES[BayEvent.UPDATE_ASKED], data("UPDATE_IN_PROGRESS")),
    "update-success": tell(cadf.CHANGES[BayEvent.UPDATED], data("UPDATE_COMPLETE", health_status="HEALTHY")),
    "update-failure": tell(cadf.CHANGES[BayEvent.UPDATE_BROKE], data("UPDATE_FAILED", "Quota exceeded for cores.")),
    "delete-pending": tell(cadf.CHANGES[BayEvent.DELETE_ASKED], data("DELETE_IN_PROGRESS")),
    "delete-success": tell(cadf.CHANGES[BayEvent.DELETED], data("DELETE_COMPLETE")),
    "delete-failure": tell(cadf.CHANGES[BayEvent.DELETE_BROKE], data("DELETE_FAILED", "The network is in use.")),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_notification_is_as_it_was(name: str) -> None:
    """Made anew with JEROBOAM_UPDATE_GOLDEN=1; whoever reads notifications relies on every key."""
    golden = GOLDEN / f"{name}.json"
    text = json.dumps(json.loads(EXAMPLES[name].text), indent=2) + "\n"
    if UPDATE:
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text


def test_every_golden_file_has_its_example() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(EXAMPLES)


def test_every_event_of_the_state_table_is_told() -> None:
    assert set(cadf.CHANGES) == set(BayEvent)
    told = [cadf.CREATE_ASKED, *cadf.CHANGES.values()]
    assert set(told) == {Change(action, outcome) for action in Action for outcome in Outcome}


@pytest.mark.parametrize(("outcome", "priority"), [("pending", "info"), ("success", "info"), ("failure", "error")])
def test_only_a_failure_is_an_error(outcome: str, priority: str) -> None:
    made = tell(Change(Action.UPDATE, Outcome(outcome)), data("UPDATE_COMPLETE"))
    assert (made.event_type, made.priority) == ("magnum.cluster.update", priority)
    assert made.body["priority"] == priority.upper()


def test_times_are_utc_wherever_they_come_from() -> None:
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    moved = data("CREATE_COMPLETE", created_at=(AT - timedelta(minutes=5)).astimezone(elsewhere))
    assert tell(cadf.CHANGES[BayEvent.CREATED], moved, AT.astimezone(elsewhere)) == EXAMPLES["create-success"]
