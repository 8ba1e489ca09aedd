"""Another number of masters is asked for: by actions/resize of their nodegroup, in numbers that the driver makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.harness import System, detail
from tests.api.made import cluster, put, request_of, shown, template, workers

ACTION = "/v1/clusters/{}/actions/resize"


async def a_cluster(system: System, **fields: Any) -> str:
    uuid = cluster(system, cluster_template_id=template(system, **fields)["uuid"])
    await put(system, uuid, "CREATE_COMPLETE")
    return uuid


def act(system: System, uuid: str, count: int, **more: object) -> Any:
    body = {"node_count": count, "nodegroup": "default-master", **more}
    return system.call("POST", ACTION.format(uuid), body, version="14")


async def test_the_wish_is_shown_at_once_and_kept_in_the_operation(system: System) -> None:
    uuid = await a_cluster(system)
    answer = act(system, uuid, 3)
    assert (answer.status_code, answer.json()) == (202, {"uuid": uuid})
    found = shown(system, uuid)
    assert (found["status"], found["master_count"], found["node_count"]) == ("UPDATE_IN_PROGRESS", 3, 1)
    assert await request_of(system, uuid, "resize_masters") == {"master_count": 3, "was": 1}
    groups = system.call("GET", f"/v1/clusters/{uuid}/nodegroups", version="14").json()["nodegroups"]
    assert {one["name"]: one["node_count"] for one in groups} == {"default-master": 3, "default-worker": 1}
    operations = system.call("GET", f"/v1/clusters/{uuid}/operations", version="14").json()["operations"]
    (alone,) = operations[0]["warnings"]
    assert alone == "Without master_lb_enabled the cluster's api_address is that of its first master alone."


async def test_a_change_of_masters_queues_and_is_taken_after_a_failed_one(system: System) -> None:
    uuid = await a_cluster(system, master_lb_enabled=True)
    for status in ("UPDATE_FAILED", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"):
        await put(system, uuid, status)
        assert act(system, uuid, 3).status_code == 202, status
    assert act(system, uuid, 1).status_code == 202
    query = "SELECT state, warnings::text FROM operations WHERE bay_id = $1::uuid AND kind = $2 ORDER BY seq"
    found = await system.sql(query, uuid, "resize_masters")
    assert [row["state"] for row in found][-2:] == ["active", "queued"]
    assert {row["warnings"] for row in found} == {"[]"}
    await put(system, uuid, "CREATE_FAILED")
    assert 'when status is "CREATE_FAILED" is not supported' in detail(act(system, uuid, 1))


@pytest.mark.parametrize("count", [0, 2, 4, 7])
async def test_other_numbers_are_refused_with_those_that_there_are(system: System, count: int) -> None:
    uuid = await a_cluster(system)
    answer = act(system, uuid, count)
    assert answer.status_code == 400
    assert detail(answer) == "A cluster of this driver has one of these numbers of masters: 1, 3, 5."


async def test_masters_are_not_named_and_need_certificates_and_a_driver_that_can(system: System) -> None:
    uuid = await a_cluster(system)
    (server,) = await workers(system, uuid, 1)
    answer = act(system, uuid, 1, nodes_to_remove=[server])
    assert (answer.status_code, detail(answer)) == (400, "Masters cannot be named: the youngest one leaves.")
    open_to_all = await a_cluster(system, tls_disabled=True)
    assert "cluster without TLS keep their number" in detail(act(system, open_to_all, 3))
    mesos = await a_cluster(system, coe="mesos", image_id="ubuntu-mesos", network_driver="docker")
    answer = act(system, mesos, 3)
    assert (answer.status_code, detail(answer)) == (
        400,
        "Resizing the master nodegroup is not supported by this driver.",
    )
    patch = [{"op": "replace", "path": "/master_count", "value": 3}]
    answer = system.call("PATCH", f"/v1/clusters/{uuid}", patch, version="14")
    assert detail(answer) == "cannot change cluster property(ies) master_count."
    assert json.loads(json.dumps(shown(system, uuid)))["master_count"] == 1
