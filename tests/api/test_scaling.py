"""A bay's scaling policy and the decisions about its size, under both names, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.harness import System, detail, unique

DEFAULTS = {
    "target_utilisation": 85,
    "scale_in_utilisation": 65,
    "quiet_seconds": 600,
    "scale_out_cooldown_seconds": 60,
    "scale_in_cooldown_seconds": 300,
    "scale_out_step": 30,
    "scale_in_step": 10,
}


@pytest.fixture
def bay(system: System) -> dict[str, Any]:
    """A bay of demo's, with two nodes and without labels."""
    return system.bay(node_count=2)


def path(bay: dict[str, Any], below: str = "scaling_policy", face: str = "clusters") -> str:
    return f"/v1/{face}/{bay['uuid']}/{below}"


def put(system: System, bay: dict[str, Any], body: object, **more: Any) -> httpx.Response:
    return system.call("PUT", path(bay), body, **more)


def values(answer: httpx.Response) -> dict[str, tuple[Any, str]]:
    assert answer.status_code == 200, answer.text
    return {name: (one["value"], one["source"]) for name, one in answer.json()["effective"].items()}


def labelled(system: System, **labels: str) -> dict[str, Any]:
    return system.bay(baymodel_id=system.baymodel(labels=labels)["uuid"], node_count=2)


@pytest.mark.parametrize("face", ["bays", "clusters"])
def test_without_a_word_a_bay_is_not_scaled(system: System, bay: dict[str, Any], face: str) -> None:
    answer = system.call("GET", path(bay, face=face))
    found = values(answer)
    assert (answer.json()["uuid"], answer.json()["nodegroup"]) == (bay["uuid"], "default-worker")
    assert answer.json()["policy"] == {}
    assert found.pop("enabled") == (False, "default")
    assert (found.pop("min_node_count"), found.pop("max_node_count")) == ((1, "default"), (3, "default"))
    assert found == {name: (value, "default") for name, value in DEFAULTS.items()}


def test_labels_count_and_the_policy_goes_before_them(system: System) -> None:
    bay = labelled(system, auto_scaling_enabled="yes", min_node_count="2", max_node_count="7")
    found = values(system.call("GET", path(bay)))
    assert [found[name] for name in ("enabled", "min_node_count", "max_node_count")] == [
        (True, "label"),
        (2, "label"),
        (7, "label"),
    ]
    found = values(put(system, bay, {"max_node_count": "9", "quiet_seconds": 0}))
    assert [found[name] for name in ("enabled", "min_node_count", "max_node_count", "quiet_seconds")] == [
        (True, "label"),
        (2, "label"),
        (9, "policy"),
        (0, "policy"),
    ]
    assert values(put(system, bay, {"enabled": False}))["enabled"] == (False, "policy")


def test_a_put_replaces_and_a_delete_leaves_the_labels(system: System, bay: dict[str, Any]) -> None:
    put(system, bay, {"enabled": True, "max_node_count": 9})
    second = put(system, bay, {"target_utilisation": 70})
    assert second.json()["policy"] == {"target_utilisation": 70}
    assert values(second)["enabled"] == (False, "default")
    for _ in range(2):
        assert system.call("DELETE", path(bay)).status_code == 204
    assert system.call("GET", path(bay, face="bays")).json()["policy"] == {}


def test_the_nodegroup_s_own_range_binds(system: System, bay: dict[str, Any]) -> None:
    group = f"/v1/clusters/{bay['uuid']}/nodegroups/default-worker"
    items = [
        {"op": "replace", "path": "/min_node_count", "value": 2},
        {"op": "add", "path": "/max_node_count", "value": 5},
    ]
    put(system, bay, {"max_node_count": 8})
    assert system.call("PATCH", group, items, version="9").status_code == 202
    found = values(system.call("GET", path(bay)))
    assert (found["min_node_count"], found["max_node_count"]) == ((2, "nodegroup"), (5, "nodegroup"))
    answer = put(system, bay, {"max_node_count": 6})
    assert answer.status_code == 409
    more = "max_node_count (6) is more than the nodegroup default-worker may have (5)"
    assert detail(answer) == f"{more}; change the nodegroup's range first."
    answer = put(system, bay, {"min_node_count": 1})
    assert (answer.status_code, detail(answer).partition(";")[0]) == (
        409,
        "min_node_count (1) is less than the nodegroup default-worker must have (2)",
    )
    assert system.call("GET", path(bay)).json()["policy"] == {"max_node_count": 8}
    assert put(system, bay, {"min_node_count": 2, "max_node_count": 5}).status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"min_node_count": 4, "max_node_count": 3}, "max_node_count (3) should be greater or equal to"),
        ({"min_node_count": 4}, None),
        ({"target_utilisation": 65}, "scale_in_utilisation (65) should be lower than target_utilisation (65)."),
        ({"target_utilisation": 101}, "Value should be lower or equal to 100"),
        ({"scale_out_step": 0}, "Value should be greater or equal to 1"),
        ({"quiet_seconds": -1}, "Value should be greater or equal to 0"),
        ({"enabled": "perhaps"}, "Value should be one of: true, false"),
        ({"nodes": 3}, "Unknown attribute for argument scaling_policy: nodes"),
        ([], "Value not a valid dict"),
    ],
)
def test_what_makes_no_sense_is_refused(system: System, bay: dict[str, Any], body: Any, said: str | None) -> None:
    answer = put(system, bay, body)
    if said is None:
        assert values(answer)["max_node_count"] == (4, "default")  # what nobody said makes room
        return
    assert (answer.status_code, said in detail(answer)) == (400, True), answer.text
    assert system.call("GET", path(bay)).json()["policy"] == {}


def test_labels_that_contradict_one_another_make_no_bay(system: System) -> None:
    model = system.baymodel(labels={"min_node_count": "5", "max_node_count": "4"})
    answer = system.call("POST", "/v1/bays", {"name": unique("bay"), "baymodel_id": model["uuid"]})
    assert answer.status_code == 400
    said = "Label max_node_count is 4; it should be greater or equal to label min_node_count, which is 5."
    assert detail(answer) == said


def test_scaling_labels_are_not_warned_of(system: System) -> None:
    labels = {"auto_scaling_enabled": "true", "min_node_count": "1", "max_node_count": "4", "autoscaler_tag": "v1.18.1"}
    body = {"name": unique("bay"), "baymodel_id": system.baymodel(labels=labels)["uuid"]}
    warned = system.call("POST", "/v1/bays", body).headers.get_list("Warning")
    assert [one for one in warned if "autoscaler_tag" not in one] == []


def test_a_bay_that_goes_takes_no_policy(system: System, bay: dict[str, Any]) -> None:
    assert system.call("DELETE", f"/v1/bays/{bay['uuid']}").status_code == 204
    answer = put(system, bay, {"enabled": True})
    assert answer.status_code == 400
    assert detail(answer) == 'Updating a cluster when status is "DELETE_IN_PROGRESS" is not supported.'


def test_who_may_what(system: System, bay: dict[str, Any]) -> None:
    for below in ("scaling_policy", "scaling_decisions"):
        assert system.call("GET", path(bay, below), user="alt").status_code == 404
        assert system.call("GET", path(bay, below), user="reader").status_code == 200
        assert system.call("GET", path(bay, below), user="admin").status_code == 200
    answer = put(system, bay, {"enabled": True}, user="reader")
    assert (answer.status_code, detail(answer)) == (403, "Policy doesn't allow scaling_policy:update to be performed.")
    assert system.call("DELETE", path(bay), user="reader").status_code == 403
    assert put(system, bay, {"enabled": True}, user="alt").status_code == 404
    assert put(system, bay, {"enabled": True}, user="admin").status_code == 200


async def test_decisions_are_shown_newest_first_and_a_hundred_at_most(system: System, bay: dict[str, Any]) -> None:
    assert system.call("GET", path(bay, "scaling_decisions")).json() == {"scaling_decisions": []}
    await system.sql(
        "INSERT INTO scaling_decisions (bay_id, nodegroup, node_count, desired, reason, seen) "
        "SELECT $1::uuid, 'default-worker', 2, n, 'because ' || n, '{\"more\": 1}' FROM generate_series(1, 120) n",
        bay["uuid"],
    )
    found = system.call("GET", path(bay, "scaling_decisions", "bays")).json()["scaling_decisions"]
    assert [one["desired"] for one in found] == list(range(120, 20, -1))
    assert (found[0]["node_count"], found[0]["reason"], found[0]["seen"]) == (2, "because 120", {"more": 1})
    assert (found[0]["operation_id"], found[0]["nodegroup"]) == (None, "default-worker")
    assert found[0]["at"].endswith("+00:00")
