"""Clusters are changed by PATCH: what may be, what may not, and what is known of their health (contract §1.10.6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.harness import System, detail
from tests.api.made import cluster, put, request_of, shown

EVERY_VERSION = [None, *(str(minor) for minor in range(1, 15))]


def patch(system: System, uuid: str, *items: dict[str, Any], version: str = "14", user: str = "demo") -> Any:
    return system.call("PATCH", f"/v1/clusters/{uuid}", list(items), version=version, user=user)


def replace(name: str, value: object) -> dict[str, Any]:
    return {"op": "replace", "path": f"/{name}", "value": value}


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ([replace("name", "x"), replace("labels", {"a": "1"})], "cannot change cluster property(ies) labels, name."),
        ([{"op": "add", "path": "/labels/a", "value": "1"}], "cannot change cluster property(ies) labels."),
        ([replace("cluster_template_id", "x")], "cannot change cluster property(ies) cluster_template_id."),
        (
            [{"op": "remove", "path": "/cluster_template_id"}],
            "'/cluster_template_id' is a mandatory attribute and can not be removed",
        ),
        *(
            ([replace(name, "x")], f"'/{name}' is an internal attribute and can not be updated")
            for name in (
                *("created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id", "api_address"),
                *("node_addresses", "master_addresses", "stack_id", "cluster_id", "ca_cert_ref", "magnum_cert_ref"),
                *("etcd_ca_cert_ref", "front_proxy_ca_cert_ref", "trust_id", "trustee_user_id", "trustee_username"),
                "trustee_password",
            )
        ),
        (
            [{"op": "move", "from": "/uuid", "path": "/id"}],
            "Unknown attribute for argument patch: from",
        ),
        ([replace("node_count", "4")], "Value: '4'. Wrong type."),
        ([replace("node_count", -1)], "Value should be greater or equal to 0"),
        ([replace("health_status", "WELL")], "Value should be one of: HEALTHY, UNHEALTHY, UNKNOWN"),
        ([replace("health_status", {})], "Value should be one of: HEALTHY, UNHEALTHY, UNKNOWN"),
        ([replace("health_status_reason", "bad")], "Value not a valid dict: bad"),
        ([replace("health_status_reason", [1])], "Value not a valid dict: [1]"),
        ([replace("bay_create_timeout", 1)], "can't replace a non-existent object 'bay_create_timeout'"),
        ({}, "Value not a valid list: {}"),
    ],
)
def test_patches_that_make_no_sense(system: System, items: Any, sentence: str) -> None:
    uuid = cluster(system)
    answer = system.call("PATCH", f"/v1/clusters/{uuid}", items, version="14")
    assert answer.status_code == 400
    assert sentence in detail(answer)


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_FAILED"])
@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ({"api": "ok", "minion-0.Ready": True}, {"api": "ok", "minion-0.Ready": "True"}),
        ("{'api': 'ok', 'n': 1}", {"api": "ok", "n": "1"}),
        ('{"api": "ok"}', {"api": "ok"}),
    ],
)
async def test_health_starts_no_operation(system: System, status: str, reason: object, kept: dict[str, str]) -> None:
    uuid = cluster(system)
    await put(system, uuid, status)
    answer = patch(system, uuid, replace("health_status", "UNHEALTHY"), replace("health_status_reason", reason))
    assert (answer.status_code, answer.json()) == (202, {"uuid": uuid})
    one = shown(system, uuid)
    assert (one["status"], one["health_status"], one["health_status_reason"]) == (status, "UNHEALTHY", kept)
    assert len(system.call("GET", f"/v1/clusters/{uuid}/operations").json()["operations"]) == 1
    removed = patch(system, uuid, {"op": "remove", "path": "/health_status"})
    assert (removed.status_code, shown(system, uuid)["health_status"]) == (202, None)


async def test_health_is_no_matter_of_bays(system: System) -> None:
    uuid = cluster(system)
    answer = system.call("PATCH", f"/v1/bays/{uuid}", [replace("health_status", "HEALTHY")])
    assert "non-existent object 'health_status'" in detail(answer)


async def test_node_count_and_health_at_once(system: System) -> None:
    uuid = cluster(system)
    await put(system, uuid, "CREATE_COMPLETE")
    assert patch(system, uuid, replace("health_status", "HEALTHY"), replace("node_count", 2)).status_code == 202
    one = shown(system, uuid)
    assert (one["status"], one["node_count"], one["health_status"]) == ("UPDATE_IN_PROGRESS", 2, "HEALTHY")
    assert patch(system, uuid, {"op": "remove", "path": "/node_count"}).status_code == 202
    assert shown(system, uuid)["node_count"] == 1


@pytest.mark.parametrize("status", ["CREATE_FAILED", "UPDATE_FAILED", "DELETE_IN_PROGRESS", "DELETE_FAILED"])
async def test_refusal_by_state(system: System, status: str) -> None:
    uuid = cluster(system)
    await put(system, uuid, status)
    answer = patch(system, uuid, replace("node_count", 2), replace("health_status", "HEALTHY"))
    assert answer.status_code == 400
    assert detail(answer) == f'Updating a cluster when status is "{status}" is not supported.'
    assert shown(system, uuid)["health_status"] is None, "all or nothing"


@pytest.mark.parametrize("version", EVERY_VERSION)
async def test_rollback(system: System, version: str | None) -> None:
    uuid = cluster(system)
    await put(system, uuid, "CREATE_COMPLETE")
    answer = system.call("PATCH", f"/v1/clusters/{uuid}/?rollback=True", [replace("node_count", 2)], version=version)
    if version is not None and int(version) >= 3:
        assert answer.status_code == 202
        assert (await request_of(system, uuid))["rollback"] is True
    else:
        assert (answer.status_code, detail(answer)) == (400, 'Unknown argument: "rollback"')
