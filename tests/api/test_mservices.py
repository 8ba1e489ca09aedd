"""Workers and whether they live (contract §1.16). How they say so is in tests/worker/test_heartbeat.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.harness import System, detail, unique

KEYS = {
    *("id", "host", "binary", "state", "disabled", "disabled_reason", "created_at", "updated_at"),
    *("report_count", "last_seen_up", "forced_down", "workers"),
}


@pytest.fixture
async def host(system: System) -> AsyncIterator[str]:
    """A host with three workers: one lives, one is silent, one lives and is forced down."""
    name = unique("host")
    insert = (
        'INSERT INTO services (host, "binary", report_count, last_seen_up, forced_down, disabled, disabled_reason) '
        "VALUES ($1, $2, 4, now() - make_interval(secs => $3), $4, $4, $5)"
    )
    await system.sql(insert, name, "jeroboam-provisioner", 170.0, False, None)
    await system.sql(insert, name, "jeroboam-certs", 190.0, False, None)
    await system.sql(insert, name, "jeroboam-scaler", 1.0, True, "in the workshop")
    yield name
    await system.sql("DELETE FROM services WHERE host = $1", name)


def listed(system: System, host: str) -> list[dict[str, Any]]:
    answer = system.call("GET", "/v1/mservices", user="admin")
    assert answer.status_code == 200
    assert list(answer.json()) == ["mservices"]
    return [one for one in answer.json()["mservices"] if one["host"] == host]


async def test_who_was_heard_lately_is_up(system: System, host: str) -> None:
    [found] = listed(system, host)
    assert [(one["binary"], one["state"]) for one in found["workers"]] == [
        ("jeroboam-provisioner", "up"),
        ("jeroboam-certs", "down"),
        ("jeroboam-scaler", "down"),
    ]
    assert found.keys() == KEYS


async def test_a_host_is_as_well_as_its_worst_worker(system: System, host: str) -> None:
    [found] = listed(system, host)
    assert (found["binary"], found["state"], found["report_count"]) == ("magnum-conductor", "down", 4)
    assert (found["disabled"], found["disabled_reason"], found["forced_down"]) == (True, "in the workshop", True)
    silent = next(one for one in found["workers"] if one["binary"] == "jeroboam-certs")
    assert found["last_seen_up"] == silent["last_seen_up"]
    assert found["created_at"].endswith("+00:00")
    await system.sql("DELETE FROM services WHERE host = $1 AND \"binary\" <> 'jeroboam-provisioner'", host)
    [well] = listed(system, host)
    assert (well["state"], well["disabled"], well["disabled_reason"], well["forced_down"]) == ("up", False, None, False)


@pytest.mark.parametrize("user", ["demo", "reader"])
def test_trap_15_for_administrators_only(system: System, user: str) -> None:
    """Contract §10, 15."""
    refused = system.call("GET", "/v1/mservices", user=user)
    assert refused.status_code == 403
    assert detail(refused) == "Policy doesn't allow magnum-service:get_all to be performed."


def test_at_every_microversion_and_path(system: System) -> None:
    for version in (None, "1", "14"):
        assert system.call("GET", "/v1/mservices/", user="admin", version=version).status_code == 200
    assert system.call("GET", "/mservices", user="admin").status_code == 200
    assert detail(system.call("GET", "/v1/mservices?foo=1", user="admin")) == 'Unknown argument: "foo"'
    assert system.call("POST", "/v1/mservices", {}, user="admin").status_code == 405
