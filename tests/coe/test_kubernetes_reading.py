"""What Kubernetes tells, in the words of the port: quantities, requests, controllers, budgets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from shared.coe.kubernetes_budgets import UNKNOWN, kept_by
from shared.coe.kubernetes_pods import Pod, read_node, read_pod
from shared.coe.kubernetes_wire import WirePod
from shared.coe.port import Resources
from shared.coe.quantities import amount

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("100m", 0.1),
        ("2", 2),
        ("1.5", 1.5),
        (".5", 0.5),
        ("250000u", 0.25),
        ("5n", 5e-9),
        ("129M", 129e6),
        ("64Mi", 64 * 1024**2),
        ("1Ki", 1024),
        ("2k", 2000),
        ("1e3", 1000),
        ("12E6", 12e6),
        ("1E", 1e18),
        ("3Ei", 3 * 1024**6),
        (4, 4),
        (None, 0),
    ],
)
def test_quantities(written: object, number: float) -> None:
    assert amount(written) == pytest.approx(number)


@pytest.mark.parametrize("written", ["", "lots", "1Xi", "Mi", "1e", "--1", "1 Gi"])
def test_what_is_no_quantity(written: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        amount(written)


def asking(cpu: str, memory: str = "0", **more: str) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}


def pod(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **meta: Any) -> Pod:
    wire = {
        "metadata": {"name": "p", "namespace": "n", **meta},
        "spec": {"nodeName": "w-0", **(spec or {})},
        "status": status or {},
    }
    found = read_pod(TypeAdapter(WirePod).validate_python(wire), NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("spec", "asks"),
    [
        pytest.param({"containers": [{}]}, Resources(), id="nothing"),
        pytest.param({"containers": [asking("1", "1Gi"), asking("500m")]}, Resources(1.5, 1024**3), id="together"),
        pytest.param(
            {"containers": [asking("1", "1Gi")], "initContainers": [asking("3"), asking("2", "2Gi")]},
            Resources(3, 2 * 1024**3),
            id="the hungriest start",
        ),
        pytest.param(
            {
                "containers": [asking("1")],
                "initContainers": [
                    asking("1", restartPolicy="Always"),
                    asking("2"),
                    asking("1", restartPolicy="Always"),
                ],
            },
            Resources(3, 0),
            id="those that stay beside",
        ),
        pytest.param(
            {"containers": [asking("1")], "overhead": {"cpu": "250m", "memory": "1Ki"}},
            Resources(1.25, 1024),
            id="overhead",
        ),
        pytest.param(
            {"containers": [asking("1", "1Ki")], **asking("4", "2Ki")}, Resources(4, 2048), id="the pod as a whole"
        ),
    ],
)
def test_what_a_pod_asks_for(spec: dict[str, Any], asks: Resources) -> None:
    assert pod(spec).asks == asks


def test_who_would_start_a_pod_again() -> None:
    owner = {"kind": "ReplicaSet", "name": "web", "controller": True}
    legacy = '{"kind":"SerializedReference","reference":{"kind":"ReplicationController","name":"web"}}'

    assert pod(ownerReferences=[{"kind": "Node"}, owner]).controller == "ReplicaSet"
    assert pod(annotations={"kubernetes.io/created-by": legacy}).controller == "ReplicationController"
    assert pod(ownerReferences=[{**owner, "controller": False}]).controller == ""
    assert pod().controller == ""


def test_what_stays_with_its_node() -> None:
    daemon = '{"reference":{"kind":"DaemonSet"}}'

    assert pod(ownerReferences=[{"kind": "DaemonSet", "controller": True}]).stays
    assert pod(annotations={"kubernetes.io/created-by": daemon}).stays
    assert pod(annotations={"kubernetes.io/config.mirror": "0"}).stays
    assert not pod(ownerReferences=[{"kind": "StatefulSet", "controller": True}]).stays


def scheduled(status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": status, "reason": reason, "message": message}]}


def test_what_waits_for_room() -> None:
    nowhere = {"nodeName": ""}
    old, young = "2026-11-23T09:00:00Z", "2026-11-23T09:59:50Z"

    assert pod(nowhere, scheduled("False", "Unschedulable", "0/3 nodes")).waiting == "0/3 nodes"
    assert pod(nowhere, scheduled("False", "Unschedulable")).waiting == "no node has room for it"
    assert pod(nowhere, scheduled("False", "SchedulingGated")).waiting == ""
    assert pod(nowhere, scheduled("False", "Unschedulable", "x"), deletionTimestamp=old).waiting == ""
    assert pod(nowhere, creationTimestamp=old).waiting == "the scheduler has found no node for it"
    assert pod(nowhere, creationTimestamp=young).waiting == ""
    assert pod({}, scheduled("False", "Unschedulable", "x")).waiting == ""


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_what_has_finished_does_not_count(phase: str) -> None:
    assert read_pod({"metadata": {"name": "p", "namespace": "n"}, "status": {"phase": phase}}, NOW) is None


def test_names_choose_no_other_path() -> None:
    hostile = read_pod({"metadata": {"name": "../../nodes/w-0", "namespace": "a/b?c"}, "status": {}}, NOW)

    assert hostile is not None
    assert hostile.path == "/api/v1/namespaces/a%2Fb%3Fc/pods/..%2F..%2Fnodes%2Fw-0"


def test_a_nodes_problem_is_told_with_its_taints() -> None:
    node = read_node(
        {
            "metadata": {"name": "w-0"},
            "spec": {"unschedulable": True, "taints": [{"key": "node.kubernetes.io/unreachable"}, {"key": "gpu"}]},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting."}],
                "capacity": {"cpu": "2", "memory": "1Gi"},
            },
        }
    )

    assert (node.ready, node.open) == (False, False)
    assert node.problem == "Kubelet stopped posting.; node.kubernetes.io/unreachable"
    assert node.capacity == Resources(2, 1024**3)
    assert read_node({"metadata": {"name": "w-1"}}).problem == "it has never reported"


def budget(name: str, selector: dict[str, Any] | None, allowed: int = 0) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": selector}, "status": {"disruptionsAllowed": allowed}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": [*values]}]}


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "2"}}, False),
        (expression("app", "In", "web", "db"), True),
        (expression("app", "NotIn", "web"), False),
        (expression("tier", "NotIn", "web"), True),
        (expression("app", "Exists"), True),
        (expression("app", "DoesNotExist"), False),
        ({}, True),
        (None, False),
    ],
)
def test_which_budget_selects(selector: dict[str, Any] | None, selects: bool) -> None:
    told = kept_by([budget("b", selector)], {"app": "web"}, empty_selects=True)

    assert told == ("PodDisruptionBudget b allows no disruption now" if selects else UNKNOWN)


def test_an_empty_selector_was_none_before_policy_v1() -> None:
    assert kept_by([budget("b", {})], {"app": "web"}, empty_selects=False) == UNKNOWN


def test_the_budget_that_is_used_up_is_named_before_others() -> None:
    mine = {"matchLabels": {"app": "web"}}

    both = [budget("z", mine), budget("a", mine), budget("roomy", mine, allowed=2)]
    assert kept_by(both, {"app": "web"}, empty_selects=True) == "PodDisruptionBudgets a, z allow no disruption now"


def test_names_and_problems_without_measure_are_cut() -> None:
    long = "n" * 1_000
    wire = {"metadata": {"name": long, "namespace": long}, "status": scheduled("False", "Unschedulable", long)}
    found = read_pod(TypeAdapter(WirePod).validate_python(wire), NOW)
    assert found is not None
    work = found.as_work()
    assert (len(found.name), len(found.namespace), len(work.waiting)) == (253, 253, 253)

    status = {"conditions": [{"type": "Ready", "status": "False", "message": long}]}
    node = read_node({"metadata": {"name": long}, "status": status})  # type: ignore[typeddict-item]
    assert (len(node.name), len(node.problem)) == (253, 253)

    mine = {"matchLabels": {"app": "web"}}
    told = kept_by([budget(long, mine)] * 100, {"app": "web"}, empty_selects=True)
    assert len(told) <= 253
