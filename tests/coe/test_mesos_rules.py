"""What leaves a Mesos agent, and what does not: cases that the simulated one does not have."""

from __future__ import annotations

import pytest

from shared.coe.mesos_rules import BOUND, CAME_BACK, Step, step
from shared.coe.mesos_state import Cluster, Marathon, read_cluster, read_marathon, works
from shared.coe.reading import Doc

CLOSED_AT = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def task(id_: str, agent: str = "a", state: str = "TASK_RUNNING", **more: object) -> Doc:
    return {
        "id": id_,
        "name": "web",
        "slave_id": agent,
        "state": state,
        "resources": {"cpus": 1.0, "mem": 64.0},
        **more,
    }


def cluster(*tasks: Doc, others: tuple[Doc, ...] = (), orphans: tuple[Doc, ...] = ()) -> Cluster:
    """Agents `a`, which is to leave, and `b`, of 8 cores each."""
    agents = [
        {"id": one, "hostname": one, "pid": f"slave(1)@10.0.0.{at}:5051", "resources": {"cpus": 8, "mem": 4096}}
        for at, one in enumerate("ab", 4)
    ]
    frameworks = [{"name": "marathon", "tasks": list(tasks)}, {"name": "spark", "tasks": list(others)}]
    return read_cluster({"slaves": agents, "frameworks": frameworks, "orphan_tasks": list(orphans)}, ())


def marathon(instances: int, capacity: float, *ids: str, queue: tuple[Doc, ...] = (), **app: object) -> Marathon:
    """One app `/web` with tasks of these ids, which began before the node was closed."""
    web = {"id": "/web", "instances": instances, "upgradeStrategy": {"minimumHealthCapacity": capacity}, **app}
    tasks = [{"id": one, "appId": "/web", "stagedAt": "2025-12-31T00:00:00.000Z"} for one in ids]
    return read_marathon({"apps": [web]}, {"tasks": tasks}, {"queue": list(queue)})


def leave(of: Cluster, by: Marathon, *, force: bool = False) -> Step:
    return step(of, by, {"a": CLOSED_AT}, force=force)


@pytest.mark.parametrize(
    ("instances", "capacity", "killed"),
    [
        (1, 1.0, 1),
        (1, 0.5, 0),
        (1, 0.0, 1),
        (4, 1.0, 1),
        (4, 0.99, 0),
        (4, 0.75, 1),
        (4, 0.5, 2),
        (4, 0.0, 4),
        (3, 2 / 3, 1),
    ],
)
def test_how_many_may_go_at_a_time(instances: int, capacity: float, killed: int) -> None:
    ids = [f"t{at}" for at in range(instances)]
    made = leave(cluster(*map(task, ids)), marathon(instances, capacity, *ids))
    assert len(made.kill) == killed
    assert made.end is (killed == 0)
    assert len(leave(cluster(*map(task, ids)), marathon(instances, capacity, *ids), force=True).kill) == instances


def test_what_is_away_already_counts() -> None:
    of, by = cluster(task("t1"), task("t2", "b"), task("t3", "b", "TASK_STAGING")), marathon(3, 0.6, "t1", "t2", "t3")
    made = leave(of, by)
    assert made.kill == ()
    assert [one.reason for one in made.blockers] == ["2 of its 3 instances are healthy, and 2 must stay healthy"]


def test_why_the_next_one_waits_is_told() -> None:
    waits = {"app": {"id": "/web"}, "count": 1, "delay": {"overdue": True}}
    (told,) = leave(cluster(task("t1")), marathon(2, 1.0, "t1", queue=(waits,))).blockers
    assert told.reason.endswith("one at a time is moved; the next one waits: no agent has offered enough")


def test_an_instance_that_serves_nobody_goes_first() -> None:
    of = cluster(task("t1"), task("t2"), task("t3", "b"))
    by = marathon(3, 0.5, "t1", "t2", "t3", healthChecks=[{"path": "/"}])
    assert leave(of, by).kill == ("t1", "t2")


def test_one_that_ends_is_not_killed_again() -> None:
    made = leave(cluster(task("t1", state="TASK_KILLING")), marathon(1, 1.0, "t1"), force=True)
    assert (made.kill, made.end) == ((), False)
    assert [one.told() for one in made.blockers] == ["/web"]


def test_one_whose_data_are_there_stays() -> None:
    for force in (False, True):
        made = leave(
            cluster(task("t1")), marathon(1, 0.0, "t1", residency={"taskLostBehavior": "WAIT_FOREVER"}), force=force
        )
        assert (made.kill, made.end) == ((), True)
        assert [one.told() for one in made.blockers] == [f"/web ({BOUND})"]


def test_one_that_came_back_is_not_killed_again() -> None:
    by = read_marathon(
        {"apps": [{"id": "/web", "instances": 2}]},
        {
            "tasks": [
                {"id": "t1", "appId": "/web", "stagedAt": "2026-01-01T00:00:20.000Z"},
                {"id": "t2", "appId": "/web", "stagedAt": "2026-01-01T00:00:40.000Z"},
            ]
        },
        {"queue": []},
    )
    made = leave(cluster(task("t1"), task("t2")), by)
    assert made.kill == ("t1",)
    assert {one.told() for one in made.blockers} == {"/web", f"/web ({CAME_BACK})"}


def test_other_frameworks_move_their_own() -> None:
    of = cluster(others=(task("x"), task("y", state="TASK_FINISHED")), orphans=(task("z", framework_id="f-9"),))
    made = leave(of, marathon(0, 1.0))
    assert [one.told() for one in made.blockers] == [
        "f-9:web (it is the framework f-9's own to move)",
        "spark:web (it is the framework spark's own to move)",
    ]
    assert made.end


def test_an_app_that_is_being_removed_holds_nothing_up() -> None:
    by = read_marathon({"apps": []}, {"tasks": [{"id": "t1", "appId": "/gone"}]}, {"queue": []})
    assert leave(cluster(task("t1")), by).kill == ("t1",)


def test_what_waits_for_something_else_than_room() -> None:
    pod = {"id": "/pod", "containers": [{"resources": {"cpus": 1, "mem": 32}}, {"resources": {"cpus": 0.5, "mem": 32}}]}
    queue: tuple[Doc, ...] = (
        {"app": {"id": "/new", "cpus": 1, "mem": 64}, "count": 2, "delay": {"overdue": False, "timeLeftSeconds": 9}},
        {"pod": pod, "delay": {"overdue": True}},
    )
    found = works(cluster(), marathon(0, 1.0, queue=queue))
    assert [(one.name, one.asks.cpu, one.waiting) for one in found] == [
        ("/new", 1.0, ""),
        ("/new", 1.0, ""),
        ("/pod", 1.5, "no agent has offered enough"),
    ]


def test_a_queue_without_measure_is_cut() -> None:
    def waits(at: int, count: int) -> Doc:
        return {"app": {"id": f"/a{at}", "cpus": 1, "mem": 64}, "count": count, "delay": {"overdue": True}}

    one, many = (waits(0, 10_000),), tuple(waits(at, 10_000) for at in range(50))
    assert len(works(cluster(), marathon(0, 1.0, queue=one))) == 200
    assert len(works(cluster(), marathon(0, 1.0, queue=many))) == 2_000
    assert len(works(cluster(task("t1")), marathon(0, 1.0, queue=(waits(0, 3),)))) == 4


def test_names_without_measure_are_cut() -> None:
    long = "n" * 1_000
    of = cluster(others=(task("t1", name=long),))
    by = marathon(0, 1.0, queue=({"app": {"id": f"/{long}", "cpus": 1}, "delay": {"overdue": True}},))
    assert all(len(work.name) == 253 for work in works(of, by))
