"""Changes of a cluster's nodegroups, and what is refused of a new one (contract §1.13)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.groups import FULL, call, listed, one, patch, put
from tests.api.harness import System, detail, unique


@pytest.fixture(scope="module")
def bay(system: System) -> dict[str, Any]:
    """A bay of demo's, not touched by any test."""
    return system.bay()


@pytest.fixture
def own(system: System) -> dict[str, Any]:
    """A bay of two workers for one test."""
    return system.bay(node_count=2)


@pytest.fixture
async def live(system: System, own: dict[str, Any]) -> dict[str, Any]:
    """The same with an API, as if it were made."""
    await system.sql("UPDATE bays SET api_address = 'https://127.64.0.9:6443' WHERE id = $1", own["uuid"])
    return own


def test_a_range_is_changed(system: System, own: dict[str, Any]) -> None:
    before = one(system, own)
    answer = patch(system, own, put("/min_node_count", 1), {"op": "add", "path": "/max_node_count", "value": 5})
    assert answer.status_code == 202
    after = answer.json()
    assert after.keys() == FULL
    assert (after["min_node_count"], after["max_node_count"]) == (1, 5)
    assert after["updated_at"] is not None
    changed = {"min_node_count", "max_node_count", "updated_at"}
    assert {key: after[key] for key in FULL - changed} == {key: before[key] for key in FULL - changed}
    assert one(system, own) == after
    master = patch(system, own, put("/max_node_count", 3), ident="default-master").json()
    assert (master["min_node_count"], master["max_node_count"]) == (1, 3)
    back = patch(system, own, {"op": "remove", "path": "/max_node_count"}, {"op": "remove", "path": "/min_node_count"})
    assert (back.json()["min_node_count"], back.json()["max_node_count"]) == (0, None)


def test_a_maximum_of_zero_is_none(system: System, own: dict[str, Any]) -> None:
    assert patch(system, own, put("/max_node_count", 0)).json()["max_node_count"] is None


def test_what_changes_nothing_is_accepted(system: System, own: dict[str, Any]) -> None:
    before = one(system, own)
    for items in ([], [put("/min_node_count", 0)]):
        answer = patch(system, own, *items)
        assert (answer.status_code, answer.json()) == (202, before)


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        (
            [put("/min_node_count", 2), put("/max_node_count", 1)],
            (
                "max_node_count for default-worker is invalid "
                "(min_node_count (2) should be less or equal to max_node_count (1))."
            ),
        ),
        (
            [put("/max_node_count", 1)],
            (
                "max_node_count for default-worker is invalid (node_count (2) should be less or equal to "
                "max_node_count (1))."
            ),
        ),
        (
            [put("/min_node_count", 3)],
            (
                "min_node_count for default-worker is invalid (min_node_count (3) should be less or equal to "
                "node_count (2))."
            ),
        ),
    ],
)
def test_a_range_that_cannot_be(system: System, own: dict[str, Any], items: list[object], sentence: str) -> None:
    before = one(system, own)
    answer = patch(system, own, *items)
    assert answer.status_code == 409
    assert detail(answer) == sentence
    assert one(system, own) == before


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ([put("/node_count", 4)], "'/node_count' is an internal attribute and can not be updated"),
        ([put("/name", "x")], "'/name' is an internal attribute and can not be updated"),
        ([put("/role", "x")], "'/role' is an internal attribute and can not be updated"),
        ([put("/labels", {})], "'/labels' is an internal attribute and can not be updated"),
        ([put("/merge_labels", True)], "'/merge_labels' is an internal attribute and can not be updated"),
        (
            [{"op": "add", "path": "/foo", "value": 1}],
            "Adding a new attribute /foo to the root of the resource is not allowed.",
        ),
        ([{"op": "add", "path": "/node_labels", "value": {"a": "b"}}], "Adding a new attribute /node_labels"),
        (
            [{"op": "add", "path": "/min_node_count", "value": 1}],
            "The attribute /min_node_count has existed, please use 'replace' operation instead.",
        ),
        ([put("/min_node_count", "1")], "Wrong type. Expected '<class 'int'>', got '<class 'str'>'"),
        ([put("/min_node_count", True)], "Wrong type. Expected '<class 'int'>', got '<class 'bool'>'"),
        ([put("/max_node_count", -1)], "Value should be greater or equal to 0"),
        ([put("/max_node_count", 2**31)], "Value should be lower or equal to 2147483647"),
        ([{"op": "replace", "path": "/max_node_count"}], "'add' and 'replace' operations needs value"),
        ([{"op": "move", "path": "/a", "from": "/b"}], "Unknown attribute for argument patch: from"),
    ],
)
def test_bad_patches(system: System, bay: dict[str, Any], items: list[object], sentence: str) -> None:
    answer = patch(system, bay, *items)
    assert answer.status_code == 400
    assert sentence in detail(answer)


def test_a_patch_must_be_a_list(system: System, bay: dict[str, Any]) -> None:
    answer = call(system, "PATCH", bay, "/default-worker", {"min_node_count": 1})
    assert answer.status_code == 400
    assert "Value not a valid list" in detail(answer)
    assert detail(call(system, "PATCH", bay, "/default-worker")) == 'Missing argument: "patch"'


def test_node_labels_and_taints_begin_at_1_14(system: System, bay: dict[str, Any]) -> None:
    group = one(system, bay, version="14")
    assert group.keys() == FULL | {"node_labels", "node_taints"}
    assert (group["node_labels"], group["node_taints"]) == ({}, [])
    assert one(system, bay, version="13").keys() == FULL


@pytest.mark.parametrize(
    ("path", "value", "ident", "sentence"),
    [
        ("/node_labels", {"disk": "ssd"}, "default-worker", "Setting node_labels is not supported by this driver."),
        ("/node_labels", "{'disk': 'ssd'}", "default-worker", "Setting node_labels is not supported by this driver."),
        (
            *("/node_labels", {"kubernetes.io/arch": "arm64", "x.node.kubernetes.io/y": "z"}),
            *("default-worker", "Setting node_labels is not supported by this driver."),
        ),
        (
            *("/node_taints", [{"key": "gpu", "effect": "NoSchedule"}], "default-worker"),
            "Setting node_taints is not supported by this driver.",
        ),
        (
            *("/node_taints", "[{'key': 'gpu', 'value': 'x', 'effect': 'NoExecute'}]", "default-worker"),
            "Setting node_taints is not supported by this driver.",
        ),
        ("/node_labels", {"a": "b"}, "default-master", "Setting node_labels of a master nodegroup is not supported."),
        ("/node_labels", {"kubernetes.io/x": "y"}, "default-worker", "The prefix of kubernetes.io/x is reserved"),
        ("/node_labels", {"node-role.kubernetes.io/x": ""}, "default-worker", "is reserved for Kubernetes."),
        ("/node_labels", {"a.k8s.io/x": "y"}, "default-worker", "The prefix of a.k8s.io/x is reserved"),
        ("/node_labels", {"a b": "y"}, "default-worker", "It is no label of Kubernetes: a b=y"),
        ("/node_labels", {"a": 1}, "default-worker", "It is no label of Kubernetes: a=1"),
        ("/node_labels", "a=b", "default-worker", "Value not a valid dict: a=b"),
        ("/node_labels", "{'a': '\\ud800'}", "default-worker", "Value not a valid dict"),
        ("/node_labels", "{'a': b'b'}", "default-worker", "Value not a valid dict"),
        ("/node_labels", "{'a': '\\0'}", "default-worker", "Value not a valid dict"),
        ("/node_taints", "[{'key': '\\ud800'}]", "default-worker", "node_taints"),
        ("/node_taints", "a=b:NoSchedule", "default-worker", "node_taints"),
        ("/node_taints", [{"key": "a"}], "default-worker", "node_taints"),
        (
            *("/node_taints", [{"key": "a", "effect": "Never"}], "default-worker"),
            "Value should be one of: NoSchedule, PreferNoSchedule, NoExecute",
        ),
    ],
)
def test_no_driver_applies_them_yet(
    system: System, bay: dict[str, Any], path: str, value: object, ident: str, sentence: str
) -> None:
    for op in ("replace", "add"):
        answer = patch(system, bay, {"op": op, "path": path, "value": value}, ident=ident, version="14")
        assert answer.status_code == 400
        assert sentence in detail(answer)


def test_none_of_them_may_be_said(system: System, own: dict[str, Any]) -> None:
    items = [put("/node_labels", {}), put("/node_taints", "[]"), put("/max_node_count", 4)]
    answer = patch(system, own, *items, version="14")
    assert answer.status_code == 202
    assert (answer.json()["max_node_count"], answer.json()["node_labels"]) == (4, {})


def test_the_default_ones_stay(system: System, bay: dict[str, Any]) -> None:
    for group in listed(system, bay):
        for ident in (group["name"], group["uuid"]):
            answer = call(system, "DELETE", bay, f"/{ident}", version="14")
            assert answer.status_code == 400
            assert detail(answer) == "Deleting a default nodegroup is not supported."


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"name": "m3", "role": "master"}, 400, "Creating master nodegroups is currently not supported."),
        (
            *({"name": "default-worker"}, 409),
            "A node group with name default-worker already exists in the cluster {name}",
        ),
        (
            *({"name": "m3", "min_node_count": 5, "max_node_count": 2}, 409),
            "max_node_count for m3 is invalid (min_node_count (5) should be less or equal to max_node_count (2)).",
        ),
        (
            *({"name": "m3", "node_count": 4, "max_node_count": 2}, 409),
            "max_node_count for m3 is invalid (node_count (4) should be less or equal to max_node_count (2)).",
        ),
        (
            *({"name": "m3", "node_count": 1, "min_node_count": 2}, 409),
            "min_node_count for m3 is invalid (min_node_count (2) should be less or equal to node_count (1)).",
        ),
        ({"name": "m3", "flavor_id": "nope"}, 400, "Unable to find flavor nope."),
        ({"name": "m3", "image_id": "nope"}, 400, "Image nope could not be found."),
        (
            *({"name": "m3", "image_id": "ubuntu-mesos"}, 400),
            "Image ubuntu-mesos has os_distro ubuntu; the nodes of this cluster need fedora-atomic.",
        ),
        (
            *({"name": "m3", "labels": {"kube_tag": "v1.3.0"}}, 400),
            "Label kube_tag of a nodegroup must be its cluster's; those that may differ: availability_zone,",
        ),
        ({"name": "m3", "labels": {"availability_zone": "moon"}}, 400, "Label availability_zone is 'moon'"),
        ({"name": "m3", "labels": {"boot_volume_size": "big"}}, 400, "Label boot_volume_size is 'big'"),
        (
            *({"name": "m3", "node_taints": [{"key": "x", "effect": "NoExecute"}]}, 400),
            "node_taints is not supported by this driver. Kubernetes before 1.6 gives a node none when it registers.",
        ),
        ({"name": "m3", "node_count": 10_001}, 400, "node_count 10001 is more than a bay can have"),
        ({}, 400, "Invalid input for field/attribute name. Value: 'None'. Mandatory field missing."),
        ({"name": ""}, 400, "Value should have a minimum character requirement of 1"),
        ({"name": "a" * 256}, 400, "Value should have a maximum character requirement of 255"),
        ({"name": "m3", "node_count": -1}, 400, "Value should be greater or equal to 0"),
        ({"name": "m3", "docker_volume_size": 0}, 400, "Value should be greater or equal to 1"),
        ({"name": "m3", "labels": "a=b"}, 400, "Value not a valid dict: a=b"),
        ({"name": "m3", "status": "x"}, 400, "Cannot set read only field."),
        ({"name": "m3", "foo": 1}, 400, "Unknown attribute for argument nodegroup: foo"),
        ({"name": "m3", "node_labels": {"k8s.io/x": "y"}}, 400, "The prefix of k8s.io/x is reserved"),
        ({"name": "m3", "node_taints": [{"key": "x"}]}, 400, "node_taints"),
        ([], 400, "Value not a valid dict"),
    ],
)
def test_bad_groups(system: System, live: dict[str, Any], body: object, status: int, sentence: str) -> None:
    answer = call(system, "POST", live, "", body, version="14")
    assert answer.status_code == status
    assert sentence.format(name=live["name"]) in detail(answer)


def test_what_microversions_say_of_a_new_one(system: System, live: dict[str, Any]) -> None:
    zero = "Resizing a nodegroup to zero is not supported in the provided microversion."
    for body in ({"name": "m", "node_count": 0}, {"name": "m", "min_node_count": 0}):
        assert detail(call(system, "POST", live, "", body, version="9")) == zero
        assert call(system, "POST", live, "", {**body, "name": unique("m")}, version="10").status_code == 202
    unknown = call(system, "POST", live, "", {"name": "m", "node_labels": {"a": "b"}}, version="13")
    assert detail(unknown) == "Unknown attribute for argument nodegroup: node_labels"


def test_not_before_the_cluster_has_an_api(system: System, own: dict[str, Any]) -> None:
    answer = call(system, "POST", own, "", {"name": unique("group")})
    assert answer.status_code == 409
    assert detail(answer) == "Cluster API address is not available yet"


def test_two_ranges_at_once_never_cross(system: System, own: dict[str, Any]) -> None:
    """Each is right on its own; together they would be none, so the later one must see the earlier one."""
    lock_step = [put("/min_node_count", 2)], [put("/max_node_count", 2)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            answers = list(pool.map(lambda items: patch(system, own, *items), lock_step))
            assert [answer.status_code for answer in answers] == [202, 202]
            found = one(system, own)
            assert (found["min_node_count"], found["max_node_count"]) == (2, 2)
            patch(system, own, {"op": "remove", "path": "/max_node_count"}, put("/min_node_count", 0))
