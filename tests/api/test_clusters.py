"""Clusters: the rows of bays under their later name (contract §1.10)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from shared.contracts.http.clusters import ClusterBrief, ClusterFull
from tests.api.harness import LATEST, System, detail, unique
from tests.api.made import cluster, put, shown, template

EVERY_VERSION = [None, *(str(minor) for minor in range(1, 15))]
ZERO = "Resizing a nodegroup to zero is not supported in the provided microversion."
BRIEF = [
    *("uuid", "name", "cluster_template_id", "keypair", "docker_volume_size", "labels", "master_flavor_id"),
    *("flavor_id", "node_count", "master_count", "create_timeout", "stack_id", "status", "health_status"),
    *("merge_labels", "links"),
]
FULL = [
    *BRIEF,
    *("labels_added", "labels_overridden", "labels_skipped", "status_reason", "health_status_reason"),
    *("discovery_url", "api_address", "coe_version", "container_version", "node_addresses", "master_addresses"),
    *("fixed_network", "fixed_subnet", "floating_ip_enabled", "master_lb_enabled", "project_id", "user_id"),
    *("created_at", "updated_at"),
]


def of_1_13(keys: list[str]) -> list[str]:
    return ["cluster_id" if key == "stack_id" else key for key in keys]


def replace(name: str, value: object) -> dict[str, Any]:
    return {"op": "replace", "path": f"/{name}", "value": value}


@pytest.mark.parametrize("version", EVERY_VERSION)
async def test_every_microversion(system: System, version: str | None) -> None:
    """Asynchronous at every one, also where bays are not; the row is there under both names at once."""
    model = template(system)
    body = {"name": unique("c"), "cluster_template_id": model["name"]}
    made = system.call("POST", "/v1/clusters", body, version=version)
    assert (made.status_code, list(made.json())) == (202, ["uuid"])
    uuid = made.json()["uuid"]
    assert made.headers["Location"] == f"{system.api_url}/v1/clusters/{uuid}"
    late = version is not None and int(version) >= 13
    one = system.call("GET", f"/v1/clusters/{uuid}", version=version).json()
    assert list(one) == (of_1_13(FULL) if late else FULL)
    assert one["cluster_template_id"] == model["uuid"]
    for path, keys in (("/v1/clusters", BRIEF), ("/v1/clusters/detail", FULL)):
        listed = system.call("GET", path, version=version).json()["clusters"]
        (found,) = [item for item in listed if item["uuid"] == uuid]
        assert list(found) == (of_1_13(keys) if late else keys)
        assert found == {key: one[key] for key in found}
    await put(system, uuid, "CREATE_COMPLETE")
    changed = system.call("PATCH", f"/v1/clusters/{uuid}/", [replace("node_count", 3)], version=version)
    assert (changed.status_code, changed.json()) == (202, {"uuid": uuid})
    assert shown(system, uuid)["status"] == "UPDATE_IN_PROGRESS"
    gone = system.call("DELETE", f"/v1/clusters/{uuid}", version=version)
    assert (gone.status_code, gone.content) == (204, b"")


def test_both_names_show_the_same_row(system: System) -> None:
    bay = system.bay(node_count=2, bay_create_timeout=7, labels={"flannel_backend": "vxlan"})
    one = shown(system, bay["uuid"], version="12")
    assert {key: one[key] for key in one.keys() & bay.keys() - {"links"}} == {
        key: bay[key] for key in one.keys() & bay.keys() - {"links"}
    }
    assert (one["cluster_template_id"], one["create_timeout"]) == (bay["baymodel_id"], 7)
    uuid = cluster(system, keypair="testkey")
    bay = shown(system, uuid, path="bays", version="1")
    assert bay["links"][0]["href"] == f"{system.api_url}/v1/bays/{uuid}"
    assert "keypair" not in bay
    assert uuid in {item["uuid"] for item in system.call("GET", "/v1/bays").json()["bays"]}
    assert system.call("DELETE", f"/v1/bays/{uuid}").status_code == 204
    assert shown(system, uuid)["status"] == "DELETE_IN_PROGRESS"


def test_stored_texts_have_exactly_the_documented_keys(system: System) -> None:
    uuid = cluster(system)
    for version, absent in (("12", "cluster_id"), ("13", "stack_id")):
        full = system.call("GET", f"/v1/clusters/{uuid}", version=version)
        ClusterFull.model_validate_json(full.content, strict=True)
        assert set(full.json()) == ClusterFull.model_fields.keys() - {absent, "faults"}
        brief = system.call("GET", "/v1/clusters?limit=1", version=version).json()["clusters"][0]
        assert set(brief) == ClusterBrief.model_fields.keys() - {absent}


def test_what_the_command_line_sends(system: System) -> None:
    """`openstack coe cluster create` (clients.md §3): the template's name as typed, and nulls."""
    model = template(system)
    body = {
        "cluster_template_id": model["name"],
        "create_timeout": 60,
        "discovery_url": None,
        "keypair": None,
        "master_count": 1,
        "name": unique("cli"),
        "node_count": 1,
        "labels": {"flannel_backend": "udp"},
        "merge_labels": True,
    }
    answer = system.call("POST", "/v1/clusters", body, headers=LATEST)
    assert answer.status_code == 202
    assert shown(system, answer.json()["uuid"])["keypair"] == "testkey"


def test_defaults(system: System) -> None:
    one = shown(system, cluster(system, name=None, create_timeout=None))
    assert re.fullmatch(r"[a-z]+-\d+-cluster", one["name"])
    assert (one["node_count"], one["master_count"], one["create_timeout"]) == (1, 1, 60)
    assert (one["merge_labels"], one["health_status"], one["health_status_reason"]) == (False, None, {})
    assert (one["labels"], one["labels_added"], one["labels_overridden"], one["labels_skipped"]) == ({}, {}, {}, {})
    assert shown(system, cluster(system, create_timeout=0))["create_timeout"] == 0


# key pairs


def test_key_pair_of_the_cluster_comes_first(system: System) -> None:
    model = template(system, keypair_id="nobody-has-this")
    assert shown(system, cluster(system, cluster_template_id=model["uuid"], keypair="testkey"))["keypair"] == "testkey"
    for body in ({}, {"keypair": "nor-this"}):
        answer = system.call("POST", "/v1/clusters", {"cluster_template_id": model["uuid"], **body})
        assert answer.status_code == 404
        name = body.get("keypair", "nobody-has-this")
        assert detail(answer) == f"Unable to find keypair {name}."


async def test_no_key_pair_at_all(system: System) -> None:
    uuid = cluster(system, cluster_template_id=template(system, keypair_id=None)["uuid"])
    assert shown(system, uuid)["keypair"] is None
    (row,) = await system.sql("SELECT spec::text FROM bays WHERE id = $1::uuid", uuid)
    assert not json.loads(row["spec"]).keys() & {"keypair_name", "ssh_public_key"}


# labels


@pytest.mark.parametrize(
    ("given", "merge", "labels", "added", "overridden", "skipped"),
    [
        ({}, True, {"a": "1", "b": "2"}, {}, {}, {}),
        ({"b": "3", "c": 4}, True, {"a": "1", "b": "3", "c": "4"}, {"c": "4"}, {"b": "2"}, {}),
        ({"b": "3", "c": 4}, False, {"b": "3", "c": "4"}, {"c": "4"}, {"b": "2"}, {"a": "1"}),
    ],
)
def test_labels_and_their_differences(
    system: System,
    given: dict[str, Any],
    merge: bool,
    labels: dict[str, str],
    added: dict[str, str],
    overridden: dict[str, str],
    skipped: dict[str, str],
) -> None:
    model = template(system, labels={"a": "1", "b": 2})
    one = shown(system, cluster(system, cluster_template_id=model["uuid"], labels=given, merge_labels=merge))
    assert (one["labels"], one["labels_added"], one["labels_overridden"]) == (labels, added, overridden)
    assert (one["labels_skipped"], one["merge_labels"]) == (skipped, merge)


def test_labels_without_effect_are_told_in_a_header_and_in_the_operation(system: System) -> None:
    body = {"cluster_template_id": template(system)["uuid"], "labels": {"flannel_bakend": "udp", "kube_tag": "v1"}}
    answer = system.call("POST", "/v1/clusters", body, version="14")
    assert answer.status_code == 202
    warnings = answer.headers.get_list("Warning")
    assert any("flannel_backend" in one for one in warnings)
    assert all(one.startswith('299 - "') for one in warnings)
    (operation,) = system.call("GET", f"/v1/clusters/{answer.json()['uuid']}/operations").json()["operations"]
    assert [f'299 - "{one}"' for one in operation["warnings"]] == warnings


# dry run


async def test_dry_run_shows_all_and_changes_nothing(system: System) -> None:
    model = template(system)["uuid"]
    body = {"name": unique("dry"), "cluster_template_id": model, "node_count": 3}
    (before,) = await system.sql("SELECT count(*) FROM bays")
    for user in ("demo", "reader"):
        answer = system.call("POST", "/v1/clusters?dry_run=true", body, user=user)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["driver"], found["resources"]["OS::Nova::Server"]) == ("k8s_fedora_atomic", 4)
        # Key pairs are a user's own, and the reader has none of that name.
        assert ("Unable to find keypair testkey" in str(found["warnings"])) == (user == "reader")
        assert found["template"].startswith("#") or "heat_template_version" in found["template"]
    (after,) = await system.sql("SELECT count(*) FROM bays")
    assert after == before
    assert system.call("GET", f"/v1/clusters/{body['name']}").status_code == 404
    refused = system.call("POST", "/v1/bays?dry_run=true", {"baymodel_id": "zzz"})
    assert refused.status_code == 400


@pytest.mark.parametrize("query", ["?dry_run", "?dry_run=", "?dry_run=maybe"])
async def test_a_dry_run_is_never_taken_for_a_real_one(system: System, query: str) -> None:
    body = {"name": unique("dry"), "cluster_template_id": template(system)["uuid"]}
    answer = system.call("POST", f"/v1/clusters{query}", body)
    assert answer.status_code == 400
    assert "field/attribute dry_run" in detail(answer)
    assert system.call("GET", f"/v1/clusters/{body['name']}").status_code == 404


# zero nodes, missing templates


@pytest.mark.parametrize("version", EVERY_VERSION)
async def test_no_nodes_from_1_10(system: System, version: str | None) -> None:
    allowed = version is not None and int(version) >= 10
    model = template(system)["uuid"]
    answer = system.call("POST", "/v1/clusters", {"cluster_template_id": model, "node_count": 0}, version=version)
    uuid = cluster(system, cluster_template_id=model)
    await put(system, uuid, "CREATE_COMPLETE")
    changed = system.call("PATCH", f"/v1/clusters/{uuid}", [replace("node_count", 0)], version=version)
    for one in (answer, changed):
        assert one.status_code == (202 if allowed else 400)
        if not allowed:
            assert detail(one) == ZERO
    assert shown(system, uuid)["node_count"] == (0 if allowed else 1)


def test_a_cluster_without_nodes_is_a_bay_too(system: System) -> None:
    uuid = cluster(system, node_count=0)
    assert shown(system, uuid, path="bays", version="1")["node_count"] == 0
    assert system.call("PATCH", f"/v1/bays/{uuid}", []).status_code == 200


@pytest.mark.parametrize("version", EVERY_VERSION)
def test_missing_template(system: System, version: str | None) -> None:
    late = version is not None and int(version) >= 10
    for ident in ("zzz", "11111111-2222-3333-4444-555555555555"):
        words = f"ClusterTemplate {ident} could not be found."
        answer = system.call("POST", "/v1/clusters", {"cluster_template_id": ident}, version=version)
        assert (answer.status_code, detail(answer)) == (404 if late else 400, words)
        answer = system.call("POST", "/v1/bays", {"baymodel_id": ident}, version=version)
        assert (answer.status_code, detail(answer)) == (400, words)


def test_hidden_templates_of_others_are_missing(system: System) -> None:
    hidden = template(system, user="admin", public=True, hidden=True)
    answer = system.call("POST", "/v1/clusters", {"cluster_template_id": hidden["uuid"]}, user="alt", version="10")
    assert answer.status_code == 404


# looking up


def test_words_of_this_name(system: System) -> None:
    name = unique("twin")
    for _ in range(2):
        cluster(system, name=name)
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", [replace("node_count", 2)])):
        answer = system.call(method, f"/v1/clusters/{name}", body)
        assert answer.status_code == 409
        assert detail(answer) == "Multiple clusters exist with same name. Please use the cluster uuid instead."
        missing = system.call(method, "/v1/clusters/fooo", body)
        assert (missing.status_code, detail(missing)) == (404, "Cluster fooo could not be found.")


def test_detail_of_one_is_no_resource(system: System) -> None:
    for path in ("clusters", "bays", "clustertemplates", "baymodels"):
        answer = system.call("GET", f"/v1/{path}/x/detail")
        assert answer.status_code == 404
        assert "%(" not in detail(answer)


@pytest.mark.parametrize("path", ["/clusters", "/clusters/", "/v1/clusters/", "/v1/clusters/?limit=5&sort_key="])
def test_slashes_without_redirect(system: System, path: str) -> None:
    answer = system.call("GET", path)
    assert answer.status_code == 200
    assert "clusters" in answer.json()


def test_reader_reads_only(system: System) -> None:
    uuid = cluster(system)
    path = f"/v1/clusters/{uuid}"
    for good in (path, "/v1/clusters", "/v1/clusters/detail"):
        assert system.call("GET", good, user="reader").status_code == 200
    resize = {"node_count": 2}
    for method, where, body, rule in (
        ("POST", "/v1/clusters", {"cluster_template_id": "x"}, "create"),
        ("PATCH", path, [replace("node_count", 2)], "update"),
        ("PATCH", path, [replace("health_status", "HEALTHY")], "update_health_status"),
        ("POST", f"{path}/actions/resize", resize, "resize"),
        ("POST", f"{path}/actions/upgrade", {"cluster_template": "x"}, "upgrade"),
        ("DELETE", path, None, "delete"),
    ):
        answer = system.call(method, where, body, user="reader", version="14")
        assert answer.status_code == 403
        assert detail(answer) == f"Policy doesn't allow cluster:{rule} to be performed."


async def test_failed_cluster_shows_its_faults(system: System) -> None:
    uuid = cluster(system)
    assert "faults" not in shown(system, uuid)
    await system.sql(
        "UPDATE bays SET status = 'UPDATE_FAILED', faults = '{\"default-worker\": \"no\"}' WHERE id = $1::uuid", uuid
    )
    assert shown(system, uuid)["faults"] == {"default-worker": "no"}
    nothing = system.call("PATCH", f"/v1/clusters/{uuid}", [])
    assert nothing.status_code == 202, "a patch of nothing starts nothing, in any state"


async def test_both_nodegroups_are_there_at_once(system: System) -> None:
    uuid = cluster(system)
    rows = await system.sql("SELECT name FROM nodegroups WHERE bay_id = $1::uuid ORDER BY seq", uuid)
    assert [row["name"] for row in rows] == ["default-master", "default-worker"]
