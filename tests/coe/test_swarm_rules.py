"""What swarm mode's decisions make of what only a real docker says."""

from __future__ import annotations

import pytest

from shared.coe.reading import Doc
from shared.coe.swarm_rules import plan, remaining
from shared.coe.swarm_state import SwarmNode, Task, read_node, read_tasks


def node(name: str, **more: object) -> SwarmNode:
    spec = {"Role": "worker", "Availability": "active", "Labels": {}}
    resources = {"NanoCPUs": 2_000_000_000, "MemoryBytes": 2**30}
    return read_node(
        {
            "ID": name,
            "Version": {"Index": 3},
            "Spec": spec,
            "Description": {"Hostname": name, "Resources": resources},
            "Status": {"State": "ready", "Addr": "10.0.0.4"},
            **more,
        }
    )


def tasks(*told: Doc, nodes: tuple[SwarmNode, ...] = ()) -> list[Task]:
    service = {"ID": "s", "Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": 1}}}}
    usual = {"ServiceID": "s", "Slot": 1, "NodeID": "a", "Spec": {}, "DesiredState": "running"}
    full = [{**usual, "ID": f"t{at}", "Status": {"State": "running"}, **one} for at, one in enumerate(told)]
    return read_tasks([service], full, nodes)


@pytest.mark.parametrize("constraint", ["node.platform.os == linux", "node.ip == 10.0.0.0/8", "nonsense"])
def test_a_constraint_that_cannot_be_judged_forbids_nothing(constraint: str) -> None:
    a, b = node("a"), node("b")
    go, blockers = plan([a], [a, b], tasks({"Spec": {"Placement": {"Constraints": [constraint]}}}))
    assert (go, blockers) == ([a], [])


def test_the_leaving_nodes_are_no_place_to_go() -> None:
    a, b = node("a"), node("b")
    go, blockers = plan([a, b], [a, b], tasks({}))
    assert go == [b]  # nothing runs there
    assert [one.work for one in blockers] == ["web.1"]


def test_a_lost_node_is_drained_without_looking_for_room() -> None:
    a = node("a", Status={"State": "down"})
    assert plan([a], [a], tasks({}, nodes=(a,))) == ([a], [])


def test_a_waiting_task_belongs_to_the_node_that_its_place_ran_on_last() -> None:
    waiting: Doc = {
        "NodeID": None,
        "CreatedAt": "2026-01-03",
        "Status": {"State": "pending", "Err": "no suitable node (x)", "Message": "pending task scheduling"},
    }
    ended: Doc = {"Status": {"State": "shutdown"}, "DesiredState": "shutdown"}
    found = tasks({**ended, "CreatedAt": "2026-01-01"}, {**ended, "NodeID": "b", "CreatedAt": "2026-01-02"}, waiting)
    assert remaining({"a"}, found, force=False) == []
    assert [one.told() for one in remaining({"b"}, found, force=False)] == ["web.1 (no suitable node (x))"]


def test_what_a_lost_node_was_told_to_end_has_ended() -> None:
    down = node("a", Status={"State": "down"})
    (task,) = tasks({"DesiredState": "shutdown"}, nodes=(down,))
    assert not task.lives
    (task,) = tasks({"DesiredState": "shutdown"}, nodes=(node("a"),))
    assert task.lives


def test_names_of_what_has_no_service_any_more() -> None:
    (task,) = read_tasks(None, [{"ID": "t", "ServiceID": "s", "Status": {"State": "running"}, "DesiredState": "x"}], ())
    assert task.name == "s.t"


def test_a_manager_s_other_address_counts() -> None:
    found = node("a", Status={"State": "ready", "Addr": "0.0.0.0"}, ManagerStatus={"Addr": "10.0.0.9:2377"})
    assert found.seen.addresses == ("10.0.0.9",)


def test_names_and_problems_without_measure_are_cut() -> None:
    long = "n" * 1_000
    found = node(long, Status={"State": "down", "Message": long}).seen
    assert (len(found.name), len(found.problem)) == (253, 253)
    service = {"ID": "s", "Spec": {"Name": long}}
    status = {"State": "pending", "Err": f"no suitable node ({long})"}
    (task,) = read_tasks([service], [{"ID": "t", "ServiceID": "s", "Status": status, "DesiredState": "running"}], ())
    assert (len(task.name), len(task.waiting)) == (253, 253)
