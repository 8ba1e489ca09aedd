"""Every project's operations, for administrators, and which of them do not go on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest

from tests.api.harness import System, detail

_KEYS: Final = {
    *("id", "seq", "kind", "state", "error", "warnings", "requested_by", "created_at", "started_at", "finished_at"),
    *("steps", "bay", "service", "step", "failures", "surprises", "next_run_at", "lease_until", "deadline", "stuck"),
}


def operations(system: System, query: str = "", *, limit: int = 1000) -> list[dict[str, Any]]:
    """All of them, page after page."""
    found: list[dict[str, Any]] = []
    path = f"/v1/operations?limit={limit}{query}"
    while path:
        answer = system.call("GET", path, user="admin")
        assert answer.status_code == 200, answer.text
        found += answer.json()["operations"]
        path = answer.json().get("next", "").removeprefix(system.api_url)
    return found


def of(system: System, bay: str, query: str = "") -> list[dict[str, Any]]:
    return [one for one in operations(system, query) if one["bay"]["uuid"] == bay]


async def handed_over(system: System, user: str = "demo") -> tuple[str, str]:
    """A bay whose operation waits for the provisioner, of which there is none here, and the operation's id."""
    bay = str(system.bay(user)["uuid"])
    async with asyncio.timeout(30):
        while (one := of(system, bay)[0])["service"] != "provisioner":
            await asyncio.sleep(0.05)
    return bay, str(one["id"])


async def test_an_operation_tells_of_its_bay_and_its_state(system: System) -> None:
    bay, operation = await handed_over(system)
    (found,) = of(system, bay)
    assert found.keys() == _KEYS
    assert found["id"] == operation
    assert found["bay"].keys() == {"uuid", "name", "project_id", "status"}
    assert (found["bay"]["status"], found["kind"], found["state"]) == ("CREATE_IN_PROGRESS", "create", "active")
    assert (found["step"], found["stuck"]) == ("create.render", None)


@pytest.mark.parametrize(
    ("why", "columns"),
    [
        ("unclaimed", "next_run_at = now() - interval '2 minutes'"),
        ("abandoned", "lease_token = gen_random_uuid(), lease_until = now() - interval '2 minutes', attempt = 1"),
        ("crashing", "lease_token = gen_random_uuid(), lease_until = now() + interval '1 minute', attempt = 2"),
        ("failing", "failures = 5, next_run_at = now() + interval '1 minute'"),
        ("failing", "surprises = 1, next_run_at = now() + interval '1 minute'"),
        (None, "failures = 4, next_run_at = now() + interval '1 minute'"),
        (None, "lease_token = gen_random_uuid(), lease_until = now() - interval '20 seconds', attempt = 1"),
        (None, "next_run_at = now() - interval '10 seconds'"),
        (None, "state = 'failed', failures = 9, attempt = 5"),
    ],
)
async def test_what_is_stuck(system: System, why: str | None, columns: str) -> None:
    bay, operation = await handed_over(system)
    await system.sql(f"UPDATE operations SET {columns} WHERE id = $1", UUID(operation))
    (found,) = of(system, bay)
    assert found["stuck"] == why
    assert [one["stuck"] for one in of(system, bay, "&stuck=true")] == ([why] if why else [])


@pytest.mark.parametrize(("begun", "minutes"), [(True, 60), (True, 0), (False, 60)])
async def test_the_time_of_what_had_to_queue_runs_from_its_start(system: System, begun: bool, minutes: int) -> None:
    bay, operation = await handed_over(system)
    await system.sql(
        "UPDATE operations SET deadline = NULL, request = request || jsonb_build_object('timeout_minutes', $2::int) "
        "WHERE id = $1",
        UUID(operation),
        minutes,
    )
    began = "'2026-11-22T14:20:00Z'" if begun else "NULL"
    await system.sql(f"UPDATE operation_steps SET started_at = {began} WHERE operation_id = $1", UUID(operation))
    (found,) = of(system, bay)
    told = None if found["deadline"] is None else datetime.fromisoformat(found["deadline"])
    assert told == (datetime(2026, 11, 22, 15, 20, tzinfo=UTC) if begun and minutes else None)


async def test_filters_and_order(system: System) -> None:
    first, second = [await handed_over(system, user) for user in ("demo", "alt")]
    (project,) = {one["bay"]["project_id"] for one in of(system, second[0])}
    assert of(system, first[0], f"&project_id={project}") == []
    assert len(of(system, second[0], f"&project_id={project}&state=active&kind=create&service=provisioner")) == 1
    for query in ("&state=queued", "&kind=heal", "&service=scaler"):
        assert of(system, first[0], query) == []
    newest = [one["seq"] for one in operations(system, limit=20)]
    assert newest == sorted(newest, reverse=True)
    oldest = [one["seq"] for one in operations(system, "&sort_dir=asc", limit=20)]
    assert oldest == sorted(oldest)
    assert len(set(oldest)) == len(oldest)


@pytest.mark.parametrize("user", ["demo", "reader"])
def test_for_administrators_only(system: System, user: str) -> None:
    refused = system.call("GET", "/v1/operations", user=user)
    assert refused.status_code == 403
    assert detail(refused) == "Policy doesn't allow operation:get_all to be performed."


def test_what_is_asked_wrongly(system: System) -> None:
    answer = system.call("GET", "/v1/operations?state=sleeping", user="admin")
    assert answer.status_code == 400
    assert "Value should be one of: queued, active, done, failed, superseded, cancelled" in detail(answer)
    for query in ("kind=x", "service=api", "stuck=maybe", "sort_key=id", "limit=-1", "marker=x"):
        assert system.call("GET", f"/v1/operations?{query}", user="admin").status_code == 400, query
    gone = system.call("GET", "/v1/operations?marker=5d12f6fd-1a61-4a0e-93dc-3ae8c1a1ad9d", user="admin")
    assert gone.status_code == 404
