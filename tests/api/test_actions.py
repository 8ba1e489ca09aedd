"""Actions on clusters, the queue behind them, and what microversions have (contract §1.5, §1.10.7, §1.10.8, §2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.domain.bay_state import BayStatus
from shared.domain.queue import MOST_QUEUED
from tests.api.harness import System, database, detail, running
from tests.api.made import cluster, put, request_of, shown, template, workers

ZERO = "Resizing a nodegroup to zero is not supported in the provided microversion."
TAKES_RESIZE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_FAILED", "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}


def act(system: System, uuid: str, action: str, body: object, version: str | None = "14", user: str = "demo") -> Any:
    return system.call("POST", f"/v1/clusters/{uuid}/actions/{action}", body, version=version, user=user)


def too_low(version: str | None, name: str) -> str:
    return f"Version 1.{version or 1} was requested but the requested API {name} is not supported for this version."


GATES = [
    *(("resize", {"node_count": 2}, version, 406, too_low(version, "resize")) for version in (None, "1", "6")),
    *(("resize", {"node_count": 2}, version, 202, "") for version in ("7", "8", "9", "14")),
    *(("resize", {"node_count": 0}, version, 400, ZERO) for version in ("7", "9")),
    *(("resize", {"node_count": 0}, version, 202, "") for version in ("10", "14")),
    *(("upgrade", {"cluster_template": "own"}, version, 406, too_low(version, "upgrade")) for version in (None, "6")),
    (
        *("upgrade", {"cluster_template": "own"}, "7", 400),
        "Cluster upgrade is not supported in the provided microversion.",
    ),
    *(("upgrade", {"cluster_template": "own"}, version, 202, "") for version in ("8", "14")),
]


@pytest.mark.parametrize(("action", "body", "version", "status", "sentence"), GATES)
async def test_gates(
    system: System, action: str, body: dict[str, Any], version: str | None, status: int, sentence: str
) -> None:
    model = template(system)
    uuid = cluster(system, cluster_template_id=model["uuid"])
    await put(system, uuid, "CREATE_COMPLETE")
    if "cluster_template" in body:
        body = {"cluster_template": model["name"]}
    answer = act(system, uuid, action, body, version)
    assert answer.status_code == status
    if status == 202:
        assert answer.json() == {"uuid": uuid}
        assert shown(system, uuid)["node_count"] == body.get("node_count", 1)
    else:
        assert detail(answer) == sentence
        assert shown(system, uuid)["status"] == "CREATE_COMPLETE"


@pytest.mark.parametrize("status", list(BayStatus))
async def test_resize_is_taken_after_a_failure_too(system: System, status: BayStatus) -> None:
    uuid = cluster(system)
    await put(system, uuid, status.value)
    answer = act(system, uuid, "resize", {"node_count": 2, "nodes_to_remove": None, "nodegroup": None})
    if status.value in TAKES_RESIZE:
        assert answer.status_code == 202
        assert shown(system, uuid)["status"] == "UPDATE_IN_PROGRESS"
    else:
        assert answer.status_code == 400
        assert detail(answer) == f'Resizing a cluster when status is "{status}" is not supported.'


async def test_the_same_number_again_is_an_operation(system: System) -> None:
    """Terraform waits for UPDATE_COMPLETE, and an autoscaler pushes again after a failure."""
    uuid = cluster(system, node_count=2)
    await put(system, uuid, "UPDATE_FAILED")
    assert act(system, uuid, "resize", {"node_count": "2"}).status_code == 202
    assert shown(system, uuid)["status"] == "UPDATE_IN_PROGRESS"
    assert (await request_of(system, uuid))["node_count"] == 2


async def test_nodes_that_leave(system: System) -> None:
    uuid = cluster(system, node_count=3)
    await put(system, uuid, "CREATE_COMPLETE")
    one, two, three = await workers(system, uuid, 3)
    stranger = str(uuid4())
    for body, named in (
        ({"node_count": 2, "nodes_to_remove": [stranger]}, stranger),
        ({"node_count": 1, "nodes_to_remove": [one, one]}, one),
        ({"node_count": 2, "nodes_to_remove": [one, two]}, f"{one}, {two}"),
        ({"node_count": 3, "nodes_to_remove": [stranger]}, stranger),
        ({"node_count": 4, "nodes_to_remove": [three]}, three),
    ):
        answer = act(system, uuid, "resize", body)
        assert answer.status_code == 400
        assert f"field/attribute nodes_to_remove. Value: '{named}'." in detail(answer)
    answer = act(system, uuid, "resize", {"node_count": 1, "nodes_to_remove": [two], "nodegroup": "default-worker"})
    assert answer.status_code == 202
    request = await request_of(system, uuid)
    assert (request["nodes_to_remove"], request["node_count"], request["was"]) == ([two], 1, 3)


async def test_only_nodes_of_the_group_may_be_named(system: System) -> None:
    """Neither masters nor another group's, and never more than the group's own count falls."""
    uuid = cluster(system, node_count=2)
    await put(system, uuid, "CREATE_COMPLETE")
    one, two = await workers(system, uuid, 2)
    master, other, group = (str(uuid4()) for _ in range(3))
    node = (
        "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address, pool) "
        "VALUES ($1::uuid, $2, $3, 0, 'n', '', '10.0.0.9', $4)"
    )
    await system.sql(node, uuid, master, "master", 0)
    await system.sql(
        "INSERT INTO nodegroups (id, bay_id, name, role, node_count) VALUES ($2::uuid, $1::uuid, 'gpu', 'worker', 1)",
        uuid,
        group,
    )
    await system.sql(
        "INSERT INTO node_pools (bay_id, number, nodegroup_id, generation) VALUES ($1::uuid, 1, $2::uuid, 1)",
        uuid,
        group,
    )
    await system.sql(node, uuid, other, "worker", 1)
    for body, named in (
        ({"node_count": 1, "nodes_to_remove": [master]}, master),
        ({"node_count": 1, "nodes_to_remove": [other]}, other),
        ({"node_count": 0, "nodes_to_remove": [one], "nodegroup": "gpu"}, one),
        ({"node_count": 0, "nodes_to_remove": [other, two], "nodegroup": "gpu"}, two),
    ):
        answer = act(system, uuid, "resize", body)
        assert answer.status_code == 400, body
        assert f"field/attribute nodes_to_remove. Value: '{named}'. No such node is in the nodegroup." in detail(answer)
    answer = act(system, uuid, "resize", {"node_count": 0, "nodes_to_remove": [other], "nodegroup": "gpu"})
    assert answer.status_code == 202, answer.text
    assert (await request_of(system, uuid))["nodes_to_remove"] == [other]
    assert shown(system, uuid)["node_count"] == 2


async def test_nodes_that_are_replaced(system: System) -> None:
    """The number that the cluster will have anyway, and nodes that are named (magnum-auto-healer asks so)."""
    uuid = cluster(system, node_count=3)
    await put(system, uuid, "CREATE_COMPLETE")
    one, two, _three = await workers(system, uuid, 3)
    body = {"node_count": 3, "nodes_to_remove": [one, two]}
    assert act(system, uuid, "resize", body).status_code == 202
    request = await request_of(system, uuid)
    assert (request["nodes_to_remove"], request["node_count"], request["was"]) == ([one, two], 3, 3)
    assert act(system, uuid, "resize", {"node_count": 2}).status_code == 202
    answer = act(system, uuid, "resize", {"node_count": 3, "nodes_to_remove": [one]})
    assert "1 nodes are named and 0 may leave: there are 2, and 3 are wanted." in detail(answer)
    assert act(system, uuid, "resize", {"node_count": 2, "nodes_to_remove": [two]}).status_code == 202


async def test_nodegroups(system: System) -> None:
    uuid = cluster(system)
    await put(system, uuid, "CREATE_COMPLETE")
    path = f"/v1/clusters/{uuid}/nodegroups"
    answer = system.call(
        "PATCH",
        f"{path}/default-worker",
        [
            {"op": "replace", "path": "/min_node_count", "value": 1},
            {"op": "add", "path": "/max_node_count", "value": 3},
        ],
        version="14",
    )
    assert answer.status_code == 202, answer.text
    group = answer.json()["uuid"]
    out_of_range = "Resizing default-worker outside the allowed range: min_node_count = 1, max_node_count = 3"
    for body, status, sentence in (
        ({"node_count": 2, "nodegroup": "nope"}, 404, "Nodegroup nope could not be found."),
        ({"node_count": 4, "nodegroup": group}, 400, out_of_range),
        ({"node_count": 0}, 400, out_of_range),
    ):
        answer = act(system, uuid, "resize", body)
        assert (answer.status_code, detail(answer)) == (status, sentence)
    answer = system.call("PATCH", f"/v1/bays/{uuid}", [{"op": "replace", "path": "/node_count", "value": 4}])
    assert detail(answer) == out_of_range
    assert act(system, uuid, "resize", {"node_count": 3, "nodegroup": group}).status_code == 202


@pytest.mark.parametrize(
    ("action", "body", "sentence"),
    [
        ("resize", {}, "attribute node_count. Value: 'None'. Mandatory field missing."),
        ("resize", {"node_count": -1}, "Value should be greater or equal to 0"),
        ("resize", {"node_count": "x"}, "invalid literal for int() with base 10: 'x'"),
        ("resize", {"node_count": 1, "foo": 1}, "Unknown attribute for argument cluster_resize_req: foo"),
        ("resize", {"node_count": 1, "nodes_to_remove": "x"}, "attribute nodes_to_remove. Value: 'x'."),
        ("resize", {"node_count": 1, "nodes_to_remove": [1]}, "attribute nodes_to_remove."),
        ("resize", [], "Value not a valid dict: []"),
        ("upgrade", {}, "attribute cluster_template. Value: 'None'. Mandatory field missing."),
        ("upgrade", {"cluster_template": "x", "max_batch_size": 0}, "Value should be greater or equal to 1"),
        ("upgrade", {"cluster_template": "x", "foo": 1}, "Unknown attribute for argument cluster_upgrade_req: foo"),
    ],
)
def test_bad_bodies(system: System, action: str, body: object, sentence: str) -> None:
    answer = act(system, "x", action, body)
    assert answer.status_code == 400
    assert sentence in detail(answer)


def test_missing_cluster(system: System) -> None:
    for action, body in (("resize", {"node_count": 1}), ("upgrade", {"cluster_template": "x"})):
        answer = act(system, "fooo", action, body)
        assert (answer.status_code, detail(answer)) == (404, "Cluster fooo could not be found.")
        other = act(system, cluster(system), action, body, user="alt")
        assert other.status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_actions_that_there_are_not(system: System, method: str) -> None:
    for action in ("explode", "resize/now") if method == "POST" else ("explode", "resize", "upgrade"):
        answer = system.call(method, f"/v1/clusters/x/actions/{action}", {}, version="14")
        assert answer.status_code == (404 if "/" in action else 405)
    assert system.call(method, "/v1/bays/x/actions/resize", {}, version="14").status_code == 404


# the queue


async def test_changes_wait_for_one_another(system: System) -> None:
    uuid = cluster(system)
    assert act(system, uuid, "resize", {"node_count": 2}).status_code == 202
    patch = [{"op": "replace", "path": "/node_count", "value": 3}]
    assert system.call("PATCH", f"/v1/clusters/{uuid}", patch).status_code == 202
    one = shown(system, uuid)
    assert (one["status"], one["node_count"]) == ("UPDATE_IN_PROGRESS", 3)
    listed = system.call("GET", f"/v1/clusters/{uuid}/operations").json()["operations"]
    assert [(item["kind"], item["state"]) for item in listed] == [
        ("resize", "queued"),
        ("resize", "cancelled"),
        ("create", "active"),
    ]


async def test_a_full_queue_says_when_to_come_again(system: System) -> None:
    uuid = cluster(system, node_count=MOST_QUEUED + 2)
    servers = await workers(system, uuid, MOST_QUEUED + 2)
    for number, server in enumerate(servers[:MOST_QUEUED]):
        body = {"node_count": MOST_QUEUED + 1 - number, "nodes_to_remove": [server]}
        assert act(system, uuid, "resize", body).status_code == 202
    answer = act(system, uuid, "resize", {"node_count": 1})
    assert answer.status_code == 409
    assert int(answer.headers["Retry-After"]) > 0
    assert f"cluster {uuid}" in detail(answer)


async def test_two_patches_at_once_follow_one_another(system: System) -> None:
    uuid = cluster(system)
    await put(system, uuid, "CREATE_COMPLETE")
    patches = [[{"op": "replace", "path": "/node_count", "value": count}] for count in (2, 3, 4, 5)]
    answers = await asyncio.gather(
        *(asyncio.to_thread(system.call, "PATCH", f"/v1/clusters/{uuid}", patch) for patch in patches)
    )
    assert {answer.status_code for answer in answers} == {202}
    rows = await system.sql(
        "SELECT state, request->>'node_count' AS count FROM operations WHERE bay_id = $1::uuid AND kind = 'resize' "
        "ORDER BY seq",
        uuid,
    )
    assert [row["state"] for row in rows] == ["active", "cancelled", "cancelled", "queued"]
    assert shown(system, uuid)["node_count"] == int(rows[-1]["count"]), "the last one is what the bay will be"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A gateway that refuses as Magnum does."""
    home: Path = tmp_path_factory.mktemp("strict")
    with database() as dsn, running(dsn, home, JEROBOAM_BUSY="refuse") as made:
        yield made


async def test_refusal_instead_of_a_queue(strict: System) -> None:
    uuid = cluster(strict)
    patch = [{"op": "replace", "path": "/node_count", "value": 3}]
    for word, path in (("cluster", "clusters"), ("bay", "bays")):
        answer = strict.call("PATCH", f"/v1/{path}/{uuid}", patch)
        assert answer.status_code == 400
        assert detail(answer) == f'Updating a {word} when status is "CREATE_IN_PROGRESS" is not supported.'
    answer = act(strict, uuid, "resize", {"node_count": 2})
    assert detail(answer) == 'Resizing a cluster when status is "CREATE_IN_PROGRESS" is not supported.'
    await put(strict, uuid, "UPDATE_IN_PROGRESS")
    assert act(strict, uuid, "resize", {"node_count": 2}).status_code == 202


async def test_of_two_patches_at_once_one_wins_where_they_are_refused(strict: System) -> None:
    uuid = cluster(strict)
    await put(strict, uuid, "CREATE_COMPLETE")
    patches = [[{"op": "replace", "path": "/node_count", "value": count}] for count in (2, 3, 4)]
    answers = await asyncio.gather(
        *(asyncio.to_thread(strict.call, "PATCH", f"/v1/clusters/{uuid}", patch) for patch in patches)
    )
    assert sorted(answer.status_code for answer in answers) == [202, 400, 400]


# the project's quotas in the cloud


async def test_what_does_not_fit_is_refused_with_the_numbers(strict: System) -> None:
    uuid = cluster(strict)
    await put(strict, uuid, "CREATE_COMPLETE")
    model, project = template(strict)["uuid"], shown(strict, uuid)["project_id"]
    place = f"{strict.cloud_url}/compute/v2.1/os-quota-sets/{project}"
    headers = {"X-Auth-Token": strict.token("admin")}
    httpx.put(place, json={"quota_set": {"instances": 3}}, headers=headers).raise_for_status()
    try:
        refused = [
            strict.call("POST", "/v1/clusters", {"cluster_template_id": model, "node_count": 3}),
            strict.call("POST", "/v1/bays", {"baymodel_id": model, "node_count": 3}),
            strict.call("POST", "/v1/clusters?dry_run=1", {"cluster_template_id": model, "node_count": 3}),
            strict.call("PATCH", f"/v1/clusters/{uuid}", [{"op": "replace", "path": "/node_count", "value": 5}]),
            act(strict, uuid, "resize", {"node_count": 5}),
        ]
        for answer in refused:
            assert answer.status_code == 403
            assert detail(answer).startswith("Resource limit exceeded: ")
            assert " 4 " in detail(answer), "the number that is needed"
            assert " 3 " in detail(answer), "the number that is left"
        one = shown(strict, uuid)
        assert (one["status"], one["node_count"]) == ("CREATE_COMPLETE", 1)
        assert act(strict, uuid, "resize", {"node_count": 4}).status_code == 202, "three more fit"
        await _after_a_failure(strict)
    finally:
        httpx.delete(place, headers=headers).raise_for_status()


async def _after_a_failure(system: System) -> None:
    """What is asked for on top of a failed change is counted from the nodes that stand, not from what was asked for."""
    grown, shrunk = cluster(system), cluster(system)
    for uuid, said, standing in ((grown, 5, 1), (shrunk, 1, 5)):
        await put(system, uuid, "UPDATE_FAILED")
        await system.sql("UPDATE bays SET node_count = $2 WHERE id = $1::uuid", uuid, said)
        await workers(system, uuid, standing)
    for count in (5, 6):
        answer = act(system, grown, "resize", {"node_count": count})
        assert answer.status_code == 403, "four or five more, though the row says five"
        assert f" {count - 1} servers needed, 3 left" in detail(answer)
    assert shown(system, grown)["status"] == "UPDATE_FAILED"
    assert act(system, grown, "resize", {"node_count": 4}).status_code == 202
    assert act(system, shrunk, "resize", {"node_count": 5}).status_code == 202, "they are there"
    await put(system, grown, "UPDATE_COMPLETE")  # as something else that went well leaves it
    await system.sql("UPDATE bays SET node_count = 5 WHERE id = $1::uuid", grown)
    await system.sql("UPDATE operations SET state = 'failed' WHERE bay_id = $1::uuid AND kind = 'resize'", grown)
    assert act(system, grown, "resize", {"node_count": 5}).status_code == 403, "four more, whatever the status says"
