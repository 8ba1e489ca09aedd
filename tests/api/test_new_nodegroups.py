"""Nodegroups that are made and removed, as far as the gateway goes (contract §1.13)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.groups import FULL, Group, call, listed, one, patch, put
from tests.api.harness import System, detail, unique


@pytest.fixture
async def live(system: System) -> dict[str, Any]:
    """A bay of two workers with an API, as if it were made."""
    model = system.baymodel(labels={"kube_tag": "v1.2.3", "availability_zone": "nova"})
    bay = system.bay(baymodel_id=model["uuid"], node_count=2)
    await system.sql(
        "UPDATE bays SET api_address = 'https://127.64.0.9:6443', status = 'CREATE_COMPLETE' WHERE id = $1", bay["uuid"]
    )
    await system.sql("UPDATE operations SET state = 'done' WHERE bay_id = $1", bay["uuid"])
    return bay


def add(system: System, bay: dict[str, Any], version: str = "14", **fields: object) -> Group:
    answer = call(system, "POST", bay, "", {"name": "more", **fields}, version=version)
    assert answer.status_code == 202, answer.text
    found: Group = answer.json()
    return found


def status_of(system: System, bay: dict[str, Any]) -> str:
    return str(system.call("GET", f"/v1/clusters/{bay['uuid']}", version="14").json()["status"])


def test_what_is_left_out_comes_from_the_cluster(system: System, live: dict[str, Any]) -> None:
    default, made = one(system, live, version="14"), add(system, live)
    assert made.keys() == FULL | {"node_labels", "node_taints"}
    same = {"flavor_id", "image_id", "docker_volume_size", "labels", "cluster_id", "project_id", "role"}
    assert {name: made[name] for name in same} == {name: default[name] for name in same}
    assert {name: made[name] for name in made.keys() - same - {"uuid", "id", "links", "created_at"}} == {
        "name": "more",
        "node_count": 1,
        "min_node_count": 0,
        "max_node_count": None,
        "is_default": False,
        "status": "CREATE_IN_PROGRESS",
        "status_reason": None,
        "stack_id": None,
        "merge_labels": False,
        "labels_added": {},
        "labels_overridden": {},
        "labels_skipped": {},
        "node_addresses": [],
        "version": None,
        "updated_at": made["updated_at"],
        "node_labels": {},
        "node_taints": [],
    }
    assert one(system, live, "more", "14") == made
    assert status_of(system, live) == "UPDATE_IN_PROGRESS"
    assert one(system, live)["node_count"] == 2, "the cluster's own count stays"


def test_what_it_has_of_its_own(system: System, live: dict[str, Any]) -> None:
    made = add(
        system,
        live,
        name="big",
        role="gpu",
        node_count=3,
        min_node_count=1,
        max_node_count=5,
        flavor_id="m1.medium",
        docker_volume_size=9,
        labels={"boot_volume_size": "20", "availability_zone": ""},
        merge_labels=True,
        node_labels={"disk": "ssd"},
    )
    assert (made["role"], made["flavor_id"], made["docker_volume_size"]) == ("gpu", "m1.medium", 9)
    assert (made["node_count"], made["min_node_count"], made["max_node_count"]) == (3, 1, 5)
    assert made["labels"] == {"kube_tag": "v1.2.3", "availability_zone": "", "boot_volume_size": "20"}
    assert made["labels_added"] == {"boot_volume_size": "20"}
    assert made["labels_overridden"] == {"availability_zone": "nova"}
    assert (made["merge_labels"], made["node_labels"]) == (True, {"disk": "ssd"})
    replaced = add(system, live, name="bare", labels={"boot_volume_size": "20"})
    assert replaced["labels"] == {"boot_volume_size": "20"}
    assert replaced["labels_skipped"] == {"kube_tag": "v1.2.3", "availability_zone": "nova"}


def test_as_the_openstack_client_asks(system: System, live: dict[str, Any]) -> None:
    asked: dict[str, object] = {
        "node_count": 1,
        "max_node_count": None,
        "min_node_count": 0,
        "role": "worker",
        "labels": {"a": 1},
        "merge_labels": True,
        "flavor_id": "m1.small",
        "docker_volume_size": 5,
        "node_labels": {},
        "node_taints": [],
    }
    answer = call(system, "POST", live, "/", {"name": "cli", **asked}, version="14")
    assert answer.status_code == 202
    assert answer.headers.get_list("Warning") == [
        "299 - \"Label 'a' is not known to driver k8s_fedora_atomic; it has no effect.\""
    ]
    assert add(system, live, "10", name="text", node_count="2")["node_count"] == 2


async def test_labels_are_for_nodes_to_come(system: System, live: dict[str, Any]) -> None:
    """Those that stand keep theirs, and what they were made of; so the next ones come in a pool of their own."""
    add(system, live, node_labels={"disk": "ssd"})
    query = "SELECT array_agg(number ORDER BY number) FROM node_pools WHERE bay_id = $1"
    fast = put("/node_labels", {"disk": "nvme"})
    busy = patch(system, live, fast, ident="more", version="14")
    assert busy.status_code == 409
    assert "change node_labels when nothing is under way" in detail(busy)

    await system.sql("UPDATE operations SET state = 'done' WHERE bay_id = $1", live["uuid"])
    await system.sql("UPDATE bays SET status = 'UPDATE_COMPLETE' WHERE id = $1", live["uuid"])
    for _ in range(2):  # nothing was made of the first pool yet
        answer = patch(system, live, fast, put("/max_node_count", 4), ident="more", version="14")
        assert (answer.status_code, answer.json()["node_labels"]) == (202, {"disk": "nvme"})
        assert (await system.sql(query, live["uuid"]))[0][0] == [1]
    await system.sql(
        "INSERT INTO stack_renders (bay_id, generation, pool, driver, template) SELECT bay_id, generation, number, "
        "'k8s_fedora_atomic', 't' FROM node_pools WHERE bay_id = $1",
        live["uuid"],
    )
    told = patch(system, live, put("/node_labels", {}), ident="more", version="14")
    assert (told.status_code, told.json()["node_labels"], told.json()["max_node_count"]) == (202, {}, 4)
    assert "Nodes that stand keep their node_labels" in told.headers["Warning"]
    assert (await system.sql(query, live["uuid"]))[0][0] == [1, 2]
    taint = put("/node_taints", [{"key": "gpu", "effect": "NoSchedule"}])
    refused = patch(system, live, taint, ident="more", version="14")
    assert refused.status_code == 400, "Kubernetes before 1.6 gives a node none when it registers"
    assert one(system, live, "more", "14")["node_taints"] == []


def test_labels_that_stay_are_no_change(system: System, live: dict[str, Any]) -> None:
    add(system, live, node_labels={"disk": "ssd"})
    same = patch(
        system, live, put("/node_labels", {"disk": "ssd"}), put("/max_node_count", 3), ident="more", version="14"
    )
    assert (same.status_code, same.json()["max_node_count"]) == (202, 3)


def test_lists_show_it(system: System, live: dict[str, Any]) -> None:
    add(system, live, name="gpus", role="gpu")
    assert [group["name"] for group in listed(system, live)] == ["default-master", "default-worker", "gpus"]
    assert [group["name"] for group in listed(system, live, "?role=gpu")] == ["gpus"]


def test_many_at_once_wait_behind_one_another(system: System, live: dict[str, Any]) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda at: call(system, "POST", live, "", {"name": f"g{at}"}), range(5)))
    assert [answer.status_code for answer in answers] == [202] * 5
    asked = system.call("GET", f"/v1/clusters/{live['uuid']}/operations").json()["operations"]
    assert sorted(one["state"] for one in asked if one["kind"] == "resize") == ["active", *["queued"] * 4]
    assert {group["status"] for group in listed(system, live)[2:]} == {"CREATE_IN_PROGRESS"}


def test_one_name_at_once_is_one_group(system: System, live: dict[str, Any]) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call(system, "POST", live, "", {"name": "same"}), range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]


def test_it_is_resized_within_its_own_range(system: System, live: dict[str, Any]) -> None:
    path = f"/v1/clusters/{live['uuid']}/actions/resize"
    made = add(system, live, max_node_count=4)
    too_many = system.call("POST", path, {"node_count": 5, "nodegroup": "more"}, version="9")
    assert "Resizing more outside the allowed range" in detail(too_many)
    for ident, count in (("more", 4), (made["uuid"], 3)):
        assert system.call("POST", path, {"node_count": count, "nodegroup": ident}, version="9").status_code == 202
        assert one(system, live, "more")["node_count"] == count
    assert one(system, live)["node_count"] == 2
    refused = patch(system, live, put("/max_node_count", 2), ident="more")
    assert refused.status_code == 409
    assert patch(system, live, put("/max_node_count", 9), ident="more").json()["max_node_count"] == 9


async def test_its_status_is_that_of_its_last_operation(system: System, live: dict[str, Any]) -> None:
    path = f"/v1/clusters/{live['uuid']}/actions/resize"
    add(system, live, role="gpu")  # whatever its owner calls its role
    newest = "(SELECT max(seq) FROM operations WHERE bay_id = $1)"

    async def seen(state: str, error: str | None = None) -> tuple[str, str | None]:
        query = f"UPDATE operations SET state = $2, error = $3 WHERE seq = {newest}"
        await system.sql(query, live["uuid"], state, error)
        group = one(system, live, "more")
        return group["status"], group["status_reason"]

    assert await seen("failed", "no room") == ("CREATE_FAILED", "no room")
    assert await seen("done") == ("CREATE_COMPLETE", None)
    assert system.call("POST", path, {"node_count": 2, "nodegroup": "more"}, version="9").status_code == 202
    assert one(system, live, "more")["status"] == "UPDATE_IN_PROGRESS"
    assert await seen("failed", "no room") == ("UPDATE_FAILED", "no room")
    assert await seen("done") == ("UPDATE_COMPLETE", None)
    assert call(system, "DELETE", live, "/more").status_code == 204
    assert one(system, live, "more")["status"] == "DELETE_IN_PROGRESS"
    assert await seen("failed", "stuck") == ("DELETE_FAILED", "stuck")
    assert system.call("DELETE", f"/v1/clusters/{live['uuid']}").status_code == 204
    assert one(system, live, "more")["status"] == "DELETE_IN_PROGRESS"


def test_deleting_it_twice_asks_once(system: System, live: dict[str, Any]) -> None:
    add(system, live)
    for _ in range(2):
        assert call(system, "DELETE", live, "/more").status_code == 204
    asked = system.call("GET", f"/v1/clusters/{live['uuid']}/operations").json()["operations"]
    assert len([one for one in asked if one["kind"] == "resize"]) == 2
    again = call(system, "POST", live, "", {"name": "more"})
    assert (again.status_code, "already exists" in detail(again)) == (409, True)


def test_a_cluster_that_goes_gets_no_more(system: System, live: dict[str, Any]) -> None:
    assert system.call("DELETE", f"/v1/clusters/{live['uuid']}").status_code == 204
    answer = call(system, "POST", live, "", {"name": unique("late")})
    assert answer.status_code == 400
    assert detail(answer) == 'Resizing a cluster when status is "DELETE_IN_PROGRESS" is not supported.'


def test_it_counts_in_the_projects_quotas(system: System, live: dict[str, Any]) -> None:
    made = add(system, live)
    place = f"{system.cloud_url}/compute/v2.1/os-quota-sets/{made['project_id']}"
    headers = {"X-Auth-Token": system.token("admin")}
    httpx.put(place, json={"quota_set": {"instances": 3}}, headers=headers).raise_for_status()
    try:
        resize = f"/v1/clusters/{live['uuid']}/actions/resize"
        for answer in (
            call(system, "POST", live, "", {"name": "four", "node_count": 4}),
            system.call("POST", resize, {"node_count": 5, "nodegroup": "more"}, version="9"),
        ):
            assert answer.status_code == 403
            assert "Resource limit exceeded: 4 servers needed, 3 left of 3" in detail(answer)
        assert len(listed(system, live)) == 3
        assert one(system, live, "more")["node_count"] == 1
        assert call(system, "POST", live, "", {"name": "three", "node_count": 3}).status_code == 202
    finally:
        httpx.delete(place, headers=headers).raise_for_status()


@pytest.mark.parametrize(("files", "status"), [({}, 409), ({"shard.yaml": ""}, 202), (None, 202)])
async def test_a_bay_of_an_earlier_release_gets_none(
    system: System, live: dict[str, Any], files: dict[str, str] | None, status: int
) -> None:
    """Such a bay's first stack does not tell others what they need of it."""
    if files is not None:
        await system.sql(
            "INSERT INTO stack_renders (bay_id, generation, driver, template, files) "
            "SELECT id, generation, driver, '', $2 FROM bays WHERE id = $1",
            live["uuid"],
            json.dumps(files),
        )
    answer = call(system, "POST", live, "", {"name": "more"}, version="14")
    assert answer.status_code == status, answer.text
    if status == 409:
        assert detail(answer).startswith("This cluster was made by an earlier release")
        assert "Make a new cluster" in detail(answer)
        assert len(listed(system, live)) == 2


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_a_name_that_reads_as_a_uuid_is_refused(system: System, live: dict[str, Any], form: str) -> None:
    for name in (form.format(uuid4()), form.format(uuid4().hex)):
        answer = call(system, "POST", live, "", {"name": name}, version="14")
        assert answer.status_code == 400
        assert "field/attribute name" in detail(answer)
        assert "reads as a UUID" in detail(answer)
