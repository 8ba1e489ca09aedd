"""The trap list of contract §10, by number. Missing here: 14 (nodegroups), 15 (others' 403), 16 and 22, which are with
the resources that they are about (test_nodegroups, test_mservices, test_quotas, test_root)."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest

from tests.api.harness import LATEST, MODEL, VERSION, System, detail, unique
from tests.api.made import cluster, put, shown, template
from tests.support.csrs import csr_of

WORD = "container-infrastructure-management"
NODES = [{"op": "replace", "path": "/node_count", "value": 2}]
COLLECTIONS = ("bays", "baymodels", "clusters", "clustertemplates")


def test_trap_1_no_version_header_means_1_1(system: System) -> None:
    answer = system.call("POST", "/v1/bays", {"baymodel_id": system.baymodel()["uuid"]})
    bay = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{system.api_url}/v1/bays/{bay['uuid']}")
    assert answer.headers[VERSION] == f"{WORD} 1.1"
    assert bay == system.call("GET", f"/v1/bays/{bay['uuid']}").json()


def test_trap_2_latest_and_the_headers(system: System) -> None:
    answer = system.call("GET", "/v1/clusters", headers=LATEST)
    assert answer.headers[VERSION] == answer.headers["OpenStack-API-Maximum-Version"] == f"{WORD} 1.14"
    assert answer.headers["OpenStack-API-Minimum-Version"] == f"{WORD} 1.1"
    assert answer.headers["Vary"] == VERSION


@pytest.mark.parametrize("path", COLLECTIONS)
def test_trap_3_unknown_keys(system: System, path: str) -> None:
    for method, where in (("GET", ""), ("POST", ""), ("GET", "/x"), ("PATCH", "/x"), ("DELETE", "/x")):
        answer = system.call(method, f"/v1/{path}{where}?foo=1", {})
        assert (answer.status_code, detail(answer)) == (400, 'Unknown argument: "foo"')
    argument = {"clustertemplates": "cluster_template"}.get(path, path[:-1])
    answer = system.call("POST", f"/v1/{path}", {"foo": 1})
    assert (answer.status_code, detail(answer)) == (400, f"Unknown attribute for argument {argument}: foo")


def test_trap_4_names_for_several_and_names_like_uuids(system: System) -> None:
    name = unique("twin")
    for _ in range(2):
        cluster(system, name=name)
    for path in ("bays", "clusters"):
        answer = system.call("GET", f"/v1/{path}/{name}")
        words = f"Multiple {path} exist with same name. Please use the {path[:-1]} uuid instead."
        assert (answer.status_code, detail(answer)) == (409, words)
    cluster(system, name="b" * 32)
    for path in ("bays", "clusters"):
        assert system.call("GET", f"/v1/{path}/{'b' * 32}").status_code == 404


@pytest.mark.parametrize("path", COLLECTIONS)
def test_trap_5_next(system: System, path: str) -> None:
    for _ in range(2):
        cluster(system, user="alt")
    for detail_ in ("", "/detail"):
        first = system.call("GET", f"/v1/{path}{detail_}?limit=1&sort_dir=desc", user="alt").json()
        last = first[path][-1]["uuid"]
        url = f"{system.api_url}/v1/{path}{detail_}?sort_key=id&sort_dir=desc&limit=1&marker={last}"
        assert first["next"] == url
        follow = system.call("GET", url.removeprefix(system.api_url), user="alt").json()
        assert follow[path][0]["uuid"] != last
        whole = system.call("GET", f"/v1/{path}{detail_}", user="alt").json()
        assert "next" not in whole


def test_trap_6_merge_labels_is_in_lists(system: System) -> None:
    uuid = cluster(system)
    listed = system.call("GET", "/v1/clusters").json()["clusters"]
    assert [one["merge_labels"] for one in listed if one["uuid"] == uuid] == [False]


def test_trap_7_labels_are_texts_and_never_null_for_clusters(system: System) -> None:
    assert shown(system, cluster(system))["labels"] == {}
    labels = {"a": 1, "b": True, "c": 1.5, "d": "1,b=2"}
    assert shown(system, cluster(system, labels=labels))["labels"] == {"a": "1", "b": "True", "c": "1.5", "d": "1,b=2"}
    assert system.baymodel()["labels"] is None
    assert template(system)["labels"] == {}


@pytest.mark.parametrize("path", ["bays", "clusters"])
async def test_trap_8_text_is_a_number_in_post_only(system: System, path: str) -> None:
    uuid = cluster(system, node_count="2")
    assert shown(system, uuid)["node_count"] == 2
    await put(system, uuid, "CREATE_COMPLETE")
    answer = system.call("PATCH", f"/v1/{path}/{uuid}", [{"op": "replace", "path": "/node_count", "value": "4"}])
    assert answer.status_code == 400


@pytest.mark.parametrize("version", [None, "1", "9", "10", "14"])
def test_trap_9_missing_template(system: System, version: str | None) -> None:
    late = version in ("10", "14")
    answer = system.call("POST", "/v1/clusters", {"cluster_template_id": "zzz"}, version=version)
    assert (answer.status_code, detail(answer)) == (404 if late else 400, "ClusterTemplate zzz could not be found.")
    answer = system.call("POST", "/v1/bays", {"baymodel_id": "zzz"}, version=version)
    assert (answer.status_code, detail(answer)) == (400, "ClusterTemplate zzz could not be found.")


def test_trap_10_certificates_of_an_unknown_cluster(system: System) -> None:
    answer = system.call("GET", "/v1/certificates/zzz", headers=LATEST)
    assert (answer.status_code, detail(answer)) == (404, "Cluster zzz could not be found.")
    for name, word in (("bay_uuid", "Bay"), ("cluster_uuid", "Cluster")):
        answer = system.call("POST", "/v1/certificates", {name: "zzz", "csr": csr_of()})
        assert (answer.status_code, detail(answer)) == (400, f"{word} zzz could not be found.")


@pytest.mark.parametrize("version", [None, "1", "2", "14"])
def test_trap_11_delete_is_204(system: System, version: str | None) -> None:
    for path in ("bays", "clusters"):
        answer = system.call("DELETE", f"/v1/{path}/{cluster(system)}", version=version)
        assert (answer.status_code, answer.content) == (204, b"")
    for path in ("baymodels", "clustertemplates"):
        answer = system.call("DELETE", f"/v1/{path}/{template(system)['uuid']}", version=version)
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["bays", "clusters"])
async def test_trap_12_row_and_status_are_there_before_the_answer(system: System, path: str) -> None:
    uuid = cluster(system)
    assert shown(system, uuid, path=path)["status"] == "CREATE_IN_PROGRESS"
    await put(system, uuid, "UPDATE_COMPLETE")
    assert system.call("PATCH", f"/v1/{path}/{uuid}", NODES).is_success
    assert shown(system, uuid, path=path)["status"] == "UPDATE_IN_PROGRESS"
    await put(system, uuid, "UPDATE_COMPLETE")
    assert system.call("POST", f"/v1/clusters/{uuid}/actions/resize", {"node_count": 4}, version="7").is_success
    assert shown(system, uuid, path=path)["status"] == "UPDATE_IN_PROGRESS"


async def test_trap_13_what_is_deleted_is_not_found(system: System) -> None:
    uuid = cluster(system)
    await system.sql("DELETE FROM bays WHERE id = $1::uuid", uuid)
    for path in ("bays", "clusters"):
        for method, body in (("GET", None), ("PATCH", NODES), ("DELETE", None)):
            assert system.call(method, f"/v1/{path}/{uuid}", body).status_code == 404


@pytest.mark.parametrize(
    ("version", "resize", "upgrade"), [(None, 406, 406), ("6", 406, 406), ("7", 202, 400), ("8", 202, 404)]
)
async def test_trap_14_actions_by_microversion(system: System, version: str, resize: int, upgrade: int) -> None:
    uuid = cluster(system)
    path = f"/v1/clusters/{uuid}/actions"
    assert system.call("POST", f"{path}/resize", {"node_count": 2}, version=version).status_code == resize
    answer = system.call("POST", f"{path}/upgrade", {"cluster_template": "zzz"}, version=version)
    assert answer.status_code == upgrade


@pytest.mark.parametrize("path", COLLECTIONS)
def test_trap_15_refusals_name_the_rule(system: System, path: str) -> None:
    body = {"bays": {"baymodel_id": "x"}, "clusters": {"cluster_template_id": "x"}}.get(path, MODEL)
    answer = system.call("POST", f"/v1/{path}", body, user="reader")
    assert (answer.status_code, detail(answer)) == (403, f"Policy doesn't allow {path[:-1]}:create to be performed.")


@pytest.mark.parametrize("minor", range(1, 15))
async def test_trap_17_stack_id_and_cluster_id(system: System, minor: int) -> None:
    uuid = cluster(system)
    await system.sql("UPDATE bays SET stack_id = 's-1' WHERE id = $1::uuid", uuid)
    here, gone = ("cluster_id", "stack_id") if minor >= 13 else ("stack_id", "cluster_id")
    one = shown(system, uuid, version=str(minor))
    listed = system.call("GET", f"/v1/clusters?sort_key={here}&sort_dir=desc", version=str(minor)).json()["clusters"]
    for found in (one, next(item for item in listed if item["uuid"] == uuid)):
        assert found[here] == "s-1"
        assert gone not in found
    assert shown(system, uuid, version=str(minor), path="bays")["stack_id"] == "s-1"


@pytest.mark.parametrize("path", COLLECTIONS)
def test_trap_18_instants_have_an_offset(system: System, path: str) -> None:
    cluster(system)
    for one in system.call("GET", f"/v1/{path}/detail?limit=5").json()[path]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", one["created_at"])
        assert datetime.fromisoformat(one["created_at"]).tzinfo is not None


def test_trap_19_health_status_reason_is_a_map(system: System) -> None:
    uuid = cluster(system)
    assert shown(system, uuid)["health_status_reason"] == {}
    item = {"op": "remove", "path": "/health_status_reason"}
    assert system.call("PATCH", f"/v1/clusters/{uuid}", [item], version="14").status_code == 202
    assert shown(system, uuid)["health_status_reason"] == {}


def test_trap_20_key_pairs(system: System) -> None:
    without: dict[str, Any] = {**MODEL, "keypair_id": None}
    answer = system.call("POST", "/v1/baymodels", without)
    assert (answer.status_code, "keypair_id" in detail(answer)) == (400, True)
    assert system.call("POST", "/v1/clustertemplates", without).status_code == 201


@pytest.mark.parametrize("path", COLLECTIONS)
async def test_trap_21_slashes(system: System, path: str) -> None:
    uuid = cluster(system)
    await put(system, uuid, "CREATE_COMPLETE")
    for where in (f"/v1/{path}/", f"/{path}", f"/{path}/detail/", f"/v1/{path}/?limit=1"):
        assert system.call("GET", where).status_code == 200
    if path in ("bays", "clusters"):
        assert system.call("GET", f"/v1/{path}/{uuid}/").status_code == 200
        assert system.call("PATCH", f"/v1/{path}/{uuid}/?rollback=True", NODES, version="3").status_code == 202


@pytest.mark.parametrize("path", COLLECTIONS)
def test_trap_23_refusals_are_always_json(system: System, path: str) -> None:
    for method, where, raw in (
        ("POST", "", b"["),
        ("POST", "", b"[]"),
        ("PATCH", "/x", b"\xff"),
        ("PUT", "/x", b"{}"),
        ("GET", "/x/y/z", None),
    ):
        answer = system.call(method, f"/v1/{path}{where}", raw=raw)
        assert 400 <= answer.status_code < 500
        assert json.loads(answer.content)["errors"]


async def test_trap_24_certificates_are_for_who_made_the_cluster(system: System) -> None:
    uuid = cluster(system)
    answer = system.call("GET", f"/v1/certificates/{uuid}", user="reader")
    assert (answer.status_code, detail(answer)) == (403, "Policy doesn't allow certificate:get to be performed.")
    for user in ("demo", "admin"):
        answer = system.call("GET", f"/v1/certificates/{uuid}", user=user)
        assert answer.status_code in (200, 404), "404: it is not made yet"


@pytest.mark.parametrize("path", ["baymodels", "clustertemplates"])
def test_trap_25_public_templates_are_used_not_changed(system: System, path: str) -> None:
    made = template(system, user="admin", public=True)
    where = f"/v1/{path}/{made['uuid']}"
    assert system.call("GET", where, user="alt").status_code == 200
    cluster(system, user="alt", cluster_template_id=made["uuid"])
    assert system.call("DELETE", where, user="alt").status_code == 403
    item = {"op": "replace", "path": "/name", "value": "mine"}
    assert system.call("PATCH", where, [item], user="alt").status_code == 403


@pytest.mark.parametrize("path", ["baymodels", "clustertemplates"])
def test_trap_26_template_in_use(system: System, path: str) -> None:
    made = template(system)
    cluster(system, cluster_template_id=made["uuid"])
    answer = system.call("DELETE", f"/v1/{path}/{made['uuid']}")
    words = f"ClusterTemplate {made['uuid']} is referenced by one or multiple clusters."
    assert (answer.status_code, detail(answer)) == (400, words)
