"""Bays: made, shown, changed and removed, at every microversion (contract §1.11, §2)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from shared.domain.bay_state import BayStatus
from tests.api.harness import System, detail, unique
from tests.api.made import put

EVERY_VERSION = [None, *(str(minor) for minor in range(1, 15))]
FULL = [
    *("uuid", "name", "baymodel_id", "node_count", "master_count", "docker_volume_size", "labels", "master_flavor_id"),
    *("flavor_id", "bay_create_timeout", "stack_id", "status", "floating_ip_enabled", "links", "status_reason"),
    *("discovery_url", "api_address", "coe_version", "container_version", "node_addresses", "master_addresses"),
    *("fixed_network", "fixed_subnet", "master_lb_enabled", "created_at", "updated_at"),
]
BRIEF = FULL[: FULL.index("links") + 1]


def test_at_1_1_the_answer_is_the_whole_bay(system: System) -> None:
    model = system.baymodel(labels={"flannel_backend": "vxlan"})
    body = {"name": unique("bay"), "baymodel_id": model["name"], "node_count": 2, "bay_create_timeout": 0}
    answer = system.call("POST", "/v1/bays", body)
    assert answer.status_code == 201
    bay = answer.json()
    assert list(bay) == FULL
    assert answer.headers["Location"] == f"{system.api_url}/v1/bays/{bay['uuid']}"
    assert bay == system.call("GET", f"/v1/bays/{bay['uuid']}").json()
    assert (bay["status"], bay["node_count"], bay["master_count"]) == ("CREATE_IN_PROGRESS", 2, 1)
    assert (bay["baymodel_id"], bay["bay_create_timeout"]) == (model["uuid"], 0)
    assert bay["labels"] == {"flannel_backend": "vxlan"}
    assert (bay["docker_volume_size"], bay["flavor_id"], bay["floating_ip_enabled"]) == (5, "m1.small", True)
    assert (bay["node_addresses"], bay["master_addresses"], bay["api_address"]) == ([], [], None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", bay["created_at"])
    assert bay["links"] == [
        {"rel": "self", "href": f"{system.api_url}/v1/bays/{bay['uuid']}"},
        {"rel": "bookmark", "href": f"{system.api_url}/bays/{bay['uuid']}"},
    ]


@pytest.mark.parametrize("version", EVERY_VERSION)
async def test_every_microversion(system: System, version: str | None) -> None:
    model = system.baymodel()["uuid"]
    made = system.call("POST", "/v1/bays", {"baymodel_id": model}, version=version)
    whole = version in (None, "1")
    assert made.status_code == (201 if whole else 202)
    assert list(made.json()) == (FULL if whole else ["uuid"])
    uuid = made.json()["uuid"]
    assert made.headers["Location"] == f"{system.api_url}/v1/bays/{uuid}"
    assert system.call("GET", f"/v1/bays/{uuid}", version=version).json()["uuid"] == uuid
    await put(system, uuid, "CREATE_COMPLETE")
    patch = [{"op": "replace", "path": "/node_count", "value": 3}]
    changed = system.call("PATCH", f"/v1/bays/{uuid}/", patch, version=version)
    assert changed.status_code == (200 if whole else 202)
    assert list(changed.json()) == (FULL if whole else ["uuid"])
    shown = system.call("GET", f"/v1/bays/{uuid}", version=version).json()
    assert (shown["status"], shown["node_count"]) == ("UPDATE_IN_PROGRESS", 3)
    gone = system.call("DELETE", f"/v1/bays/{uuid}", version=version)
    assert (gone.status_code, gone.content) == (204, b"")


def test_lists_are_brief_and_detail_is_whole(system: System) -> None:
    bay = system.bay()
    for path, keys in (("/v1/bays", BRIEF), ("/v1/bays/detail", FULL)):
        (found,) = [one for one in system.call("GET", path).json()["bays"] if one["uuid"] == bay["uuid"]]
        assert list(found) == keys
        assert found == {key: bay[key] for key in keys}


def test_numbers_as_text_and_null_as_absent(system: System) -> None:
    """As python-magnumclient 1.1.0 sends it."""
    body = {
        "name": unique("bay"),
        "baymodel_id": system.baymodel()["uuid"],
        "node_count": "2",
        "master_count": "1",
        "discovery_url": None,
        "bay_create_timeout": None,
    }
    answer = system.call("POST", "/v1/bays", body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 201
    assert (answer.json()["node_count"], answer.json()["bay_create_timeout"]) == (2, 60)


def test_name_for_who_gives_none(system: System) -> None:
    bay = system.call("POST", "/v1/bays", {"baymodel_id": system.baymodel()["uuid"]}).json()
    assert re.fullmatch(r"[a-z]+-\d+-bay", bay["name"])


def test_label_values_become_text(system: System) -> None:
    labels = {"flannel_network_subnetlen": 26, "a": True, "b": 1.5, "c": "x=1,y=2"}
    assert system.bay(labels=labels)["labels"] == {
        "flannel_network_subnetlen": "26",
        "a": "True",
        "b": "1.5",
        "c": "x=1,y=2",
    }


async def test_acceptance_is_one_transaction_of_all_that_follows(system: System) -> None:
    bay = system.bay(node_count=2)
    (row,) = await system.sql("SELECT * FROM bays WHERE id = $1::uuid", bay["uuid"])
    assert row["stack_name"].startswith(bay["name"])
    assert row["stack_name"].endswith("-1")
    assert (row["generation"], row["driver"], row["wanted"]) == (1, "k8s_fedora_atomic", "present")
    history = await system.sql("SELECT became FROM bay_history WHERE bay_id = $1::uuid", bay["uuid"])
    assert [one["became"] for one in history] == ["CREATE_IN_PROGRESS"]
    (operation,) = system.call("GET", f"/v1/bays/{bay['uuid']}/operations").json()["operations"]
    assert (operation["kind"], operation["state"]) == ("create", "active")
    assert [step["name"] for step in operation["steps"]][:2] == ["create.authorities", "create.render"]


async def test_what_the_bay_was_born_with_has_ids_and_the_key_itself(system: System) -> None:
    bay = system.bay()
    (row,) = await system.sql("SELECT spec::text FROM bays WHERE id = $1::uuid", bay["uuid"])

    spec: dict[str, Any] = json.loads(row["spec"])
    assert re.fullmatch(r"[0-9a-f-]{32,36}", spec["image_id"])
    assert re.fullmatch(r"[0-9a-f-]{32,36}", spec["external_network_id"])
    assert spec["os_distro"] == "fedora-atomic"
    assert spec["ssh_public_key"].startswith("ssh-")
    assert spec["keypair_name"] == "testkey"


# looking up


def test_name_or_uuid(system: System) -> None:
    bay = system.bay()
    assert system.call("GET", f"/v1/bays/{bay['name']}").json() == bay
    assert system.call("GET", f"/v1/bays/{bay['uuid'].upper()}/").json() == bay


def test_name_that_means_two_bays(system: System) -> None:
    name = unique("twin")
    twins = [system.bay(name=name) for _ in range(2)]
    patch = [{"op": "replace", "path": "/node_count", "value": 3}]
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", patch)):
        answer = system.call(method, f"/v1/bays/{name}", body)
        assert answer.status_code == 409
        assert detail(answer) == "Multiple bays exist with same name. Please use the bay uuid instead."
    assert system.call("GET", f"/v1/certificates/{name}").status_code == 409
    assert system.call("GET", f"/v1/bays/{twins[0]['uuid']}").status_code == 200


def test_text_like_a_uuid_is_no_name(system: System) -> None:
    name = "a" * 32
    system.bay(name=name)
    assert system.call("GET", f"/v1/bays/{name}").status_code == 404


def test_missing_bay(system: System) -> None:
    patch = [{"op": "replace", "path": "/node_count", "value": 3}]
    for method, path, body in (
        ("GET", "/v1/bays/fooo", None),
        ("DELETE", "/v1/bays/fooo", None),
        ("PATCH", "/v1/bays/fooo", patch),
        ("GET", "/v1/bays/fooo/operations", None),
        ("GET", "/v1/certificates/fooo", None),
    ):
        answer = system.call(method, path, body)
        assert answer.status_code == 404
        assert detail(answer) == "Bay fooo could not be found."


# who may


def test_other_projects_see_nothing(system: System) -> None:
    bay = system.bay()
    for method in ("GET", "DELETE"):
        assert system.call(method, f"/v1/bays/{bay['uuid']}", user="alt").status_code == 404
        assert system.call(method, f"/v1/bays/{bay['name']}", user="alt").status_code == 404
    listed = system.call("GET", "/v1/bays?limit=1000", user="alt").json()["bays"]
    assert bay["uuid"] not in {one["uuid"] for one in listed}
    assert system.call("GET", f"/v1/bays?marker={bay['uuid']}", user="alt").status_code == 404


def test_administrator_sees_all(system: System) -> None:
    bay = system.bay()
    assert system.call("GET", f"/v1/bays/{bay['uuid']}", user="admin").json() == bay
    listed = system.call("GET", "/v1/bays", user="admin").json()["bays"]
    assert bay["uuid"] in {one["uuid"] for one in listed}


def test_reader_reads_only(system: System) -> None:
    bay = system.bay()
    path = f"/v1/bays/{bay['uuid']}"
    for good in (path, "/v1/bays", "/v1/bays/detail", f"{path}/operations"):
        assert system.call("GET", good, user="reader").status_code == 200
    for method, where, body, rule in (
        ("POST", "/v1/bays", {"baymodel_id": bay["baymodel_id"]}, "bay:create"),
        ("PATCH", path, [{"op": "remove", "path": "/node_count"}], "bay:update"),
        ("DELETE", path, None, "bay:delete"),
    ):
        answer = system.call(method, where, body, user="reader")
        assert answer.status_code == 403
        assert detail(answer) == f"Policy doesn't allow {rule} to be performed."


# changing


async def test_node_count_back_to_its_default(system: System) -> None:
    bay = system.bay(node_count=3)
    await put(system, bay["uuid"], "UPDATE_COMPLETE")
    answer = system.call("PATCH", f"/v1/bays/{bay['name']}", [{"op": "remove", "path": "/node_count"}])
    assert answer.status_code == 200
    assert (answer.json()["node_count"], answer.json()["status"]) == (1, "UPDATE_IN_PROGRESS")
    operation = system.call("GET", f"/v1/bays/{bay['uuid']}/operations").json()["operations"][0]
    assert (operation["kind"], operation["state"]) == ("resize", "active")


@pytest.mark.parametrize("status", list(BayStatus))
async def test_change_is_taken_where_it_can_be_done_or_wait(system: System, status: BayStatus) -> None:
    bay = system.bay()
    await put(system, bay["uuid"], status.value)
    answer = system.call("PATCH", f"/v1/bays/{bay['uuid']}", [{"op": "replace", "path": "/node_count", "value": 2}])
    stands = (BayStatus.CREATE_COMPLETE, BayStatus.UPDATE_COMPLETE)
    if status in (*stands, BayStatus.CREATE_IN_PROGRESS, BayStatus.UPDATE_IN_PROGRESS):
        assert answer.status_code == 200
    else:
        assert answer.status_code == 400
        assert detail(answer) == f'Updating a bay when status is "{status}" is not supported.'


async def test_change_of_nothing_starts_nothing(system: System) -> None:
    bay = system.bay(node_count=2)
    for status in ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"):
        await put(system, bay["uuid"], status)
        for patch in ([], [{"op": "replace", "path": "/node_count", "value": 2}]):
            answer = system.call("PATCH", f"/v1/bays/{bay['uuid']}", patch)
            assert answer.status_code == 200
            assert answer.json()["status"] == status
    assert len(system.call("GET", f"/v1/bays/{bay['uuid']}/operations").json()["operations"]) == 1


@pytest.mark.parametrize(
    ("patch", "sentence"),
    [
        ({"op": "replace"}, "Value not a valid list: {'op': 'replace'}"),
        ([{"op": "replace", "path": "/node_count"}], "'add' and 'replace' operations needs value"),
        ([{"op": "replace", "path": "/node_count", "value": None}], "'add' and 'replace' operations needs value"),
        ([{"op": "move", "path": "/node_count"}], "Value should be one of: replace, add, remove"),
        ([{"op": "move", "from": "/uuid", "path": "/id"}], "Unknown attribute for argument patch: from"),
        ([{"path": "/node_count", "value": 1}], "attribute op. Value: 'None'. Mandatory field missing."),
        ([{"op": "remove", "path": "node_count"}], "Value should match the pattern"),
        ([{"op": "replace", "path": "/uuid", "value": "x"}], "'/uuid' is an internal attribute and can not be updated"),
        (
            [{"op": "replace", "path": "/api_address", "value": "x"}],
            "'/api_address' is an internal attribute and can not be updated",
        ),
        (
            [{"op": "remove", "path": "/baymodel_id"}],
            "'/baymodel_id' is a mandatory attribute and can not be removed",
        ),
        (
            [{"op": "add", "path": "/foo", "value": 1}],
            "Adding a new attribute /foo to the root of the resource is not allowed.",
        ),
        (
            [{"op": "add", "path": "/node_count", "value": 2}],
            "The attribute /node_count has existed, please use 'replace' operation instead.",
        ),
        ([{"op": "replace", "path": "/foo", "value": 1}], "Reason: can't replace a non-existent object 'foo'"),
        ([{"op": "replace", "path": "/name", "value": "x"}], "cannot change bay property(ies) name."),
        (
            [
                {"op": "replace", "path": "/name", "value": "x"},
                {"op": "add", "path": "/labels/a", "value": "1"},
                {"op": "replace", "path": "/master_count", "value": 3},
            ],
            "cannot change bay property(ies) labels, master_count, name.",
        ),
        ([{"op": "replace", "path": "/node_count", "value": "4"}], "Value: '4'. Wrong type."),
        ([{"op": "replace", "path": "/node_count", "value": True}], "Value: 'True'. Wrong type."),
        ([{"op": "replace", "path": "/node_count", "value": 0}], "Value should be greater or equal to 1"),
        ([{"op": "replace", "path": "/node_count", "value": 2**40}], "Value should be lower or equal to"),
        (["x"], "Value not a valid dict: x"),
    ],
)
def test_patches_that_make_no_sense(system: System, patch: object, sentence: str) -> None:
    bay = system.bay()
    answer = system.call("PATCH", f"/v1/bays/{bay['uuid']}", patch)
    assert answer.status_code == 400
    assert sentence in detail(answer)


async def test_rollback_is_known_from_1_3(system: System) -> None:
    bay = system.bay()
    await put(system, bay["uuid"], "CREATE_COMPLETE")
    patch = [{"op": "replace", "path": "/node_count", "value": 2}]
    path = f"/v1/bays/{bay['uuid']}/?rollback=True"
    for version in (None, "1", "2"):
        answer = system.call("PATCH", path, patch, version=version)
        assert answer.status_code == 400
        assert detail(answer) == 'Unknown argument: "rollback"'
    answer = system.call("PATCH", path.replace("True", "maybe"), patch, version="3")
    assert "Value should be one of: true, false" in detail(answer)
    assert system.call("PATCH", path, patch, version="3").status_code == 202
    query = "SELECT request->>'rollback' AS rollback FROM operations WHERE bay_id = $1::uuid AND kind = 'resize'"
    (row,) = await system.sql(query, bay["uuid"])
    assert row["rollback"] == "true"


# removing


async def test_delete_may_be_repeated_and_overtakes(system: System) -> None:
    bay = system.bay()
    for _ in range(2):
        answer = system.call("DELETE", f"/v1/bays/{bay['uuid']}", headers={"Content-Type": "application/octet-stream"})
        assert (answer.status_code, answer.content) == (204, b"")
    shown = system.call("GET", f"/v1/bays/{bay['uuid']}").json()
    assert shown["status"] == "DELETE_IN_PROGRESS"
    kinds = [one["kind"] for one in system.call("GET", f"/v1/bays/{bay['uuid']}/operations").json()["operations"]]
    assert kinds == ["delete", "create"]
    (row,) = await system.sql("SELECT wanted FROM bays WHERE id = $1::uuid", bay["uuid"])
    assert row["wanted"] == "gone"


@pytest.mark.parametrize(("path", "rule"), [("bays", "bay:delete_force"), ("clusters", "cluster:delete_force")])
async def test_force_is_for_administrators(system: System, path: str, rule: str) -> None:
    bay = system.bay()
    where = f"/v1/{path}/{bay['uuid']}"
    for query, word in (("?force=", "''"), ("?force=perhaps", "'perhaps'")):
        answer = system.call("DELETE", f"{where}{query}")
        assert answer.status_code == 400, (query, word)
    refused = system.call("DELETE", f"{where}?force=true")
    assert (refused.status_code, detail(refused)) == (403, f"Policy doesn't allow {rule} to be performed.")
    (row,) = await system.sql("SELECT wanted, forced FROM bays WHERE id = $1::uuid", bay["uuid"])
    assert (row["wanted"], row["forced"]) == ("present", False)
    assert system.call("PATCH", f"{where}?force=true", [{"op": "remove", "path": "/node_count"}]).status_code == 400

    assert system.call("DELETE", f"{where}?force=false").status_code == 204
    (row,) = await system.sql("SELECT forced FROM bays WHERE id = $1::uuid", bay["uuid"])
    assert row["forced"] is False
    for _ in range(2):  # while it goes on, and again
        assert system.call("DELETE", f"{where}?force=true", user="admin").status_code == 204
    (row,) = await system.sql("SELECT forced, status, status_reason FROM bays WHERE id = $1::uuid", bay["uuid"])
    assert (row["forced"], row["status"]) == (True, "DELETE_IN_PROGRESS")
    assert row["status_reason"].startswith("An administrator forced the deletion")
    told = await system.sql("SELECT 1 FROM bay_history WHERE bay_id = $1::uuid AND event = 'delete asked'", bay["uuid"])
    assert len(told) == 2
    kinds = await system.sql("SELECT kind FROM operations WHERE bay_id = $1::uuid ORDER BY seq", bay["uuid"])
    assert [one["kind"] for one in kinds] == ["create", "delete"]


async def test_failed_bay_shows_its_faults(system: System) -> None:
    bay = system.bay()
    await system.sql(
        "UPDATE bays SET status = 'CREATE_FAILED', status_reason = 'no', faults = '{\"default-worker\": \"no\"}' "
        "WHERE id = $1::uuid",
        bay["uuid"],
    )
    shown = system.call("GET", f"/v1/bays/{bay['uuid']}").json()
    assert shown["bay_faults"] == {"default-worker": "no"}
    assert shown["status_reason"] == "no"
