"""Nodegroups of a cluster (contract §1.13)."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.api.groups import BRIEF, FULL, call, listed, one
from tests.api.harness import System, detail


@pytest.fixture(scope="module")
def bay(system: System) -> dict[str, Any]:
    """A bay of demo's with three workers, not touched by any test."""
    model = system.baymodel(master_flavor_id="m1.medium", labels={"kube_tag": "v1.2.3"})
    return system.bay(baymodel_id=model["uuid"], node_count=3)


@pytest.fixture
def own(system: System) -> dict[str, Any]:
    """A bay of two workers for one test."""
    return system.bay(node_count=2)


def test_every_cluster_has_two(system: System, bay: dict[str, Any]) -> None:
    answer = call(system, "GET", bay, "/")
    assert answer.status_code == 200
    assert list(answer.json()) == ["nodegroups"]
    master, worker = answer.json()["nodegroups"]
    assert list(master) == list(worker) == BRIEF
    assert {**master, "uuid": "", "image_id": ""} == {
        "uuid": "",
        "image_id": "",
        "name": "default-master",
        "role": "master",
        "flavor_id": "m1.medium",
        "node_count": 1,
        "min_node_count": 1,
        "max_node_count": None,
        "is_default": True,
        "merge_labels": False,
        "status": "CREATE_IN_PROGRESS",
        "stack_id": None,
    }
    assert {**worker, "uuid": "", "image_id": ""} == {
        "uuid": "",
        "image_id": "",
        "name": "default-worker",
        "role": "worker",
        "flavor_id": "m1.small",
        "node_count": 3,
        "min_node_count": 0,
        "max_node_count": None,
        "is_default": True,
        "merge_labels": False,
        "status": "CREATE_IN_PROGRESS",
        "stack_id": None,
    }


def test_one_whole(system: System, bay: dict[str, Any]) -> None:
    for brief in listed(system, bay):
        by_name, by_uuid = one(system, bay, brief["name"]), one(system, bay, brief["uuid"])
        assert by_name == by_uuid
        assert by_name.keys() == FULL
        assert {key: by_name[key] for key in BRIEF} == brief
        assert isinstance(by_name["id"], int)
        assert by_name["cluster_id"] == bay["uuid"]
        assert by_name["docker_volume_size"] == 5
        assert by_name["labels"] == {"kube_tag": "v1.2.3"}
        assert by_name["labels_added"] == by_name["labels_overridden"] == by_name["labels_skipped"] == {}
        assert (by_name["node_addresses"], by_name["status_reason"], by_name["version"]) == ([], None, None)
        assert by_name["created_at"].endswith("+00:00")
        place = f"clusters/{bay['uuid']}/nodegroups/{brief['uuid']}"
        assert by_name["links"] == [
            {"rel": "self", "href": f"{system.api_url}/v1/{place}"},
            {"rel": "bookmark", "href": f"{system.api_url}/{place}"},
        ]


def test_by_the_name_of_the_cluster_and_without_version_in_the_path(system: System, bay: dict[str, Any]) -> None:
    for path in (f"/v1/clusters/{bay['name']}/nodegroups", f"/clusters/{bay['uuid']}/nodegroups/"):
        assert len(system.call("GET", path, version="9").json()["nodegroups"]) == 2


async def test_counts_status_and_addresses_are_the_clusters(system: System, own: dict[str, Any]) -> None:
    await system.sql(
        "UPDATE bays SET status = 'UPDATE_FAILED', status_reason = 'no room', stack_id = 's-1', master_count = 3, "
        "node_addresses = '[\"10.0.0.6\"]', master_addresses = '[\"10.0.0.5\"]', updated_at = now() WHERE id = $1",
        own["uuid"],
    )
    master, worker = one(system, own, "default-master"), one(system, own)
    for group in (master, worker):
        assert (group["status"], group["status_reason"], group["stack_id"]) == ("UPDATE_FAILED", "no room", "s-1")
        assert group["updated_at"].endswith("+00:00")
    assert (master["node_count"], master["node_addresses"]) == (3, ["10.0.0.5"])
    assert (worker["node_count"], worker["node_addresses"]) == (2, ["10.0.0.6"])
    assert one(system, own, version="14")["stack_id"] == "s-1"


async def test_a_group_that_failed_says_so_whatever_went_well_since(system: System, own: dict[str, Any]) -> None:
    """The bay's status is of the last change of anything in it (docs/decisions/0021)."""
    await system.sql("UPDATE bays SET status = 'UPDATE_COMPLETE' WHERE id = $1", own["uuid"])
    await system.sql("UPDATE operations SET state = 'done' WHERE bay_id = $1", own["uuid"])

    async def ended(kind: str, group: str, error: str | None) -> tuple[str, str | None]:
        await system.sql(
            "INSERT INTO operations (id, bay_id, kind, state, service, step, requested_by, request, error, finished_at)"
            " VALUES (gen_random_uuid(), $1, $2, $3, 'provisioner', 'x', 'demo', jsonb_build_object('nodegroup', "
            "$4::text), $5, now())",
            *(own["uuid"], kind, "failed" if error else "done", group, error),
        )
        shown = one(system, own)
        return shown["status"], shown["status_reason"]

    assert await ended("resize", "default-worker", None) == ("UPDATE_COMPLETE", None)
    failed = ("UPDATE_FAILED", "No valid host was found.")
    assert await ended("resize", "default-worker", failed[1]) == failed
    assert await ended("resize", "more", None) == failed
    assert await ended("rotate_ca", "", None) == failed
    assert one(system, own, "default-master")["status"] == "UPDATE_COMPLETE"
    assert [group["status"] for group in listed(system, own)] == ["UPDATE_COMPLETE", "UPDATE_FAILED"]
    assert await ended("resize", "more", "Quota.") == failed
    assert await ended("upgrade", "default-worker", None) == ("UPDATE_COMPLETE", None)


def test_of_one_role(system: System, bay: dict[str, Any]) -> None:
    assert [group["name"] for group in listed(system, bay, "?role=worker")] == ["default-worker"]
    assert [group["name"] for group in listed(system, bay, "?role=master&limit=5")] == ["default-master"]
    assert listed(system, bay, "?role=nope") == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("sort_dir=desc", ["default-worker", "default-master"]),
        ("sort_key=name&sort_dir=desc", ["default-worker", "default-master"]),
        ("sort_key=node_count", ["default-master", "default-worker"]),
        ("sort_key=min_node_count", ["default-worker", "default-master"]),
        ("sort_key=max_node_count", ["default-master", "default-worker"]),
        ("sort_key=stack_id&sort_dir=desc", ["default-worker", "default-master"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages(system: System, bay: dict[str, Any], query: str, names: list[str], limit: int) -> None:
    found: list[str] = []
    below: str | None = f"?{query}&limit={limit}"
    for _ in range(5):
        if below is None:
            break
        answer = call(system, "GET", bay, below).json()
        found += [group["name"] for group in answer["nodegroups"]]
        assert ("next" in answer) == (len(answer["nodegroups"]) == limit)
        below = answer["next"].partition("/nodegroups")[2] if "next" in answer else None
    assert found == names


def test_next_repeats_what_was_asked(system: System, bay: dict[str, Any]) -> None:
    answer = system.call("GET", f"/v1/clusters/{bay['name']}/nodegroups?role=worker&limit=1", version="9").json()
    url = urlsplit(answer["next"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{system.api_url}/v1/clusters/{bay['uuid']}/nodegroups"
    marker = answer["nodegroups"][0]["uuid"]
    assert parse_qsl(url.query) == [
        *(("sort_key", "id"), ("sort_dir", "asc"), ("limit", "1"), ("marker", marker), ("role", "worker"))
    ]


def test_bad_queries(system: System, bay: dict[str, Any], own: dict[str, Any]) -> None:
    elsewhere = listed(system, own)[0]["uuid"]
    for query, status, sentence in (
        ("limit=0", 400, "Limit must be positive"),
        ("sort_key=nope", 400, 'The sort_key value "nope" is an invalid field for sorting'),
        ("marker=nope", 400, "Expected a uuid but received nope."),
        (f"marker={elsewhere}", 404, f"Nodegroup {elsewhere} could not be found."),
        ("foo=1", 400, 'Unknown argument: "foo"'),
    ):
        answer = call(system, "GET", bay, f"?{query}")
        assert answer.status_code == status
        assert sentence in detail(answer)


@pytest.mark.parametrize(
    ("method", "below", "name"),
    [
        ("GET", "", "get_all"),
        ("GET", "/default-worker", "get_one"),
        ("POST", "", "post"),
        ("PATCH", "/default-worker", "patch"),
        ("DELETE", "/default-worker", "delete"),
    ],
)
def test_trap_14_they_begin_at_1_9(system: System, bay: dict[str, Any], method: str, below: str, name: str) -> None:
    """Contract §10, 14."""
    for version, shown in ((None, "1.1"), ("8", "1.8")):
        answer = call(system, method, bay, below, version=version)
        assert answer.status_code == 406
        said = f"Version {shown} was requested but the requested API {name} is not supported for this version."
        assert detail(answer) == said
        assert answer.json()["errors"][0]["code"] == ""


def test_there_are_none_of_bays(system: System, bay: dict[str, Any]) -> None:
    assert system.call("GET", f"/v1/bays/{bay['uuid']}/nodegroups", version="14").status_code == 404


def test_a_group_that_is_not_there(system: System, bay: dict[str, Any]) -> None:
    bodies: list[tuple[str, object]] = [("GET", None), ("PATCH", []), ("DELETE", None)]
    for method, body in bodies:
        for ident in ("nope", str(uuid.uuid4())):
            answer = call(system, method, bay, f"/{ident}", body)
            assert answer.status_code == 404
            assert detail(answer) == f"Nodegroup {ident} could not be found."


@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("GET", "", None),
        ("GET", "/x", None),
        ("POST", "", {"name": "x"}),
        ("PATCH", "/x", []),
        ("DELETE", "/x", None),
    ],
)
def test_a_cluster_that_is_not_seen(system: System, bay: dict[str, Any], method: str, below: str, body: object) -> None:
    for cluster, user in (({"uuid": "nope"}, "demo"), (bay, "alt")):
        answer = call(system, method, cluster, below, body, user=user)
        assert answer.status_code == 404
        assert detail(answer) == f"Cluster {cluster['uuid']} could not be found."


def test_trap_4_a_name_for_several(system: System, own: dict[str, Any]) -> None:
    """Contract §10, 4."""
    system.bay(name=own["name"])
    answer = call(system, "GET", {"uuid": own["name"]})
    assert answer.status_code == 409
    assert detail(answer) == "Multiple clusters exist with same name. Please use the cluster uuid instead."


def test_who_may(system: System, bay: dict[str, Any]) -> None:
    for user in ("reader", "admin"):
        assert call(system, "GET", bay, user=user).status_code == 200
        assert call(system, "GET", bay, "/default-worker", user=user).status_code == 200
    for method, below, body, rule in (
        ("POST", "", {"name": "x"}, "create"),
        ("PATCH", "/default-worker", [], "update"),
        ("DELETE", "/default-worker", None, "delete"),
    ):
        answer = call(system, method, bay, below, body, user="reader")
        assert answer.status_code == 403
        assert detail(answer) == f"Policy doesn't allow nodegroup:{rule} to be performed."
