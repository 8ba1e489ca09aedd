"""magnum-auto-healer: reports health as texts, and replaces a broken worker by a resize to the same count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.replay.gopher import Gopher
from tests.clients.replay.heat import Heat
from tests.clients.support.cloud import Cloud


@pytest.fixture(scope="module")
def healer(cloud: Cloud) -> Gopher:
    """The healer's client."""
    return Gopher(cloud, "latest")


@pytest.fixture(scope="module")
def cluster(healer: Gopher) -> Iterator[str]:
    """A cluster with the label that switches healing on."""
    cloud = healer.cloud
    uuid = cloud.bay("healed", cloud.template("healed", labels={"auto_healing_enabled": "true"}), node_count=2)
    yield uuid
    cloud.remove(uuid)


def _health(status: str, reason: str) -> list[dict[str, object]]:
    return [
        {"op": "replace", "path": "/health_status", "value": status},
        {"op": "replace", "path": "/health_status_reason", "value": reason},
    ]


REPORTS = [
    ("HEALTHY", "{'api':'ok','nodes':'ok','updated_at':'2026-11-22 19:00:00.1 +0000 UTC m=+0.1'}", "api"),
    ("UNHEALTHY", "{'healed-node-0.HTTP':'error','updated_at':'2026-11-22 19:00:01 +0000 UTC'}", "healed-node-0.HTTP"),
]


@pytest.mark.parametrize(("status", "reason", "key"), REPORTS, ids=["well", "ill"])
def test_a_report_is_kept_and_starts_nothing(healer: Gopher, cluster: str, status: str, reason: str, key: str) -> None:
    """The cluster is asked for by name, and its status stays a COMPLETE one, for which the healer waits."""
    before = healer.get("healed")
    assert before.labels["auto_healing_enabled"] == "true"
    healer.update("healed", *_health(status, reason))
    after = healer.get("healed")
    assert (after.health_status, key in after.health_status_reason) == (status, True)
    assert after.status == before.status


def test_a_wrong_word_is_refused(healer: Gopher, cluster: str) -> None:
    assert healer.send("PATCH", f"/clusters/{cluster}", _health("ILL", "{}")).status_code == 400


def test_a_worker_is_replaced(healer: Gopher, cluster: str) -> None:
    """The count stays, the server that is named goes, and another comes in its place."""
    address = healer.get(cluster).node_addresses[0]
    group = next(
        found
        for found in (healer.group("healed", each.uuid) for each in healer.groups("healed"))
        if address in found.node_addresses
    )
    assert group.name == "default-worker"
    heat = Heat(healer.cloud)
    before = set(heat.workers(group.stack_id).values())
    broken = min(before)
    healer.resize("healed", node_count=group.node_count, nodes_to_remove=[broken], nodegroup=group.name)
    healer.wait(cluster, "UPDATE_COMPLETE")
    after = set(heat.workers(group.stack_id).values())
    assert (len(after), before - after) == (2, {broken})
