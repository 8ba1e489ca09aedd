"""Waiting, where it matters what happens between two questions. The API is a stand-in, Keystone is the stack's."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.cli.stand_in import BAY, Answer, StandIn, bay, operation, operations, refusal
from tests.cli.terminal import Said, Terminal
from tests.clients.support.cloud import Cloud

NAMED, BY_ID = "GET /v1/bays/b", f"GET /v1/bays/{BAY}"
OPERATIONS, EVENTS = f"{BY_ID}/operations", f"{BY_ID}/events"
RESIZE = f"POST /v1/clusters/{BAY}/actions/resize"
GONE = Answer(404, refusal(404))
ACCEPTED = Answer(202, {"uuid": BAY})


def run(terminal: Terminal, command: str, answers: Mapping[str, list[Answer]]) -> Said:
    with StandIn({NAMED: [bay()], BY_ID: [bay()], **answers}) as api:
        return terminal.run(command, {"JEROBOAM_API": api.address})


def user_id(cloud: Cloud) -> str:
    """Keystone's id of demo."""
    headers = {"X-Auth-Token": cloud.token(), "X-Subject-Token": cloud.token()}
    answer = cloud.http.get(f"{cloud.keystone_url}/auth/tokens", headers=headers)
    return str(answer.json()["token"]["user"]["id"])


def test_the_time_is_for_all_that_is_waited_for_together(terminal: Terminal) -> None:
    """Each of two operations takes less than the time, and both together more."""
    answers = {
        OPERATIONS: [
            operations(operation(2, "queued"), operation(1, "active", "create")),
            operations(operation(2, "active"), operation(1, "done", "create")),
            operations(operation(2, "done"), operation(1, "done", "create")),
        ],
        EVENTS: [
            Answer(events=(operation(1, "done", "create"),), after=0.7),
            Answer(events=(operation(2, "done"),), after=0.7),
        ],
    }
    said = run(terminal, "bay wait b --timeout 1", answers)
    assert (said.code, said.out) == (6, ""), said
    assert "Not done after 1 s." in said.err


@pytest.mark.parametrize(
    "answers", [{OPERATIONS: [GONE]}, {OPERATIONS: [operations()], BY_ID: [GONE]}], ids=["before", "after"]
)
def test_a_bay_that_goes_between_two_looks_is_gone(terminal: Terminal, answers: Mapping[str, list[Answer]]) -> None:
    said = run(terminal, "bay wait b", answers)
    assert (said.code, said.out) == (0, ""), said
    assert said.err == "The bay is gone.\n"


def test_a_bay_that_goes_while_something_else_is_waited_for_is_gone(terminal: Terminal) -> None:
    said = run(terminal, "bay wait b", {OPERATIONS: [operations(operation(1, "active"))], EVENTS: [GONE]})
    assert (said.code, said.out) == (0, ""), said
    assert "The bay is gone." in said.err


@pytest.mark.parametrize("command", ["bay wait b", "bay resize b 3 --wait"])
def test_who_is_refused_a_look_is_told_that_the_work_goes_on(terminal: Terminal, command: str) -> None:
    under_way = {OPERATIONS: [operations(operation(1, "active"))], RESIZE: [ACCEPTED]}
    said = run(terminal, command, {**under_way, EVENTS: [Answer(403, refusal(403))]})
    assert (said.code, said.out) == (4, ""), said
    assert "The work goes on." in said.err
    assert "Wait again with: jeroboam bay wait b" in said.err


def test_what_was_asked_for_goes_on_when_nobody_tells_of_it(terminal: Terminal) -> None:
    answers = {OPERATIONS: [operations(), Answer(503, refusal(503))], RESIZE: [ACCEPTED]}
    said = run(terminal, "bay resize b 3", answers)
    assert (said.code, said.out) == (5, ""), said
    assert "The work goes on." in said.err


def test_another_one_s_request_is_not_taken_for_ours(terminal: Terminal, cloud: Cloud) -> None:
    """Somebody else asked for the same between our look and our request."""
    ours = user_id(cloud)
    answers = {
        OPERATIONS: [
            operations(),
            operations(operation(3, "queued", by=ours), operation(2, "cancelled", by=ours), operation(1, "active")),
        ],
        RESIZE: [ACCEPTED],
        EVENTS: [Answer(events=(operation(1, "done"), operation(3, "failed", by=ours, error="No host.")))],
    }
    said = run(terminal, "bay resize b 3 --wait", answers)
    assert (said.code, said.out) == (1, ""), said
    assert "No host." in said.err
