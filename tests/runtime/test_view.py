"""What people see: plain lines without a terminal, a live picture with one, a table at the end, failures in words."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from services.cli.process import explain
from services.cli.story import StoryFailed
from services.cli.supervisor import ProgramFailed
from services.cli.view import View
from shared.contracts.http.bays import OperationOut, OperationStepOut
from shared.domain.errors import CloudError
from shared.openstack.stacks import StackResource


def step(sentence: str, state: str, seconds: int | None = None) -> OperationStepOut:
    return OperationStepOut(
        name=f"create.{sentence}",
        service="provisioner",
        sentence=sentence,
        state=state,
        attempt=1,
        note=None,
        started_at="2026-11-22T10:00:00+00:00",
        finished_at=None if seconds is None else f"2026-11-22T10:00:{seconds:02}+00:00",
    )


def operation(*steps: OperationStepOut) -> OperationOut:
    return OperationOut(
        id="o1",
        seq=1,
        kind="create",
        state="active",
        error=None,
        requested_by="demo",
        created_at="2026-11-22T10:00:00+00:00",
        finished_at=None,
        steps=list(steps),
    )


def resource(name: str, status: str) -> StackResource:
    return StackResource(name, "OS::Nova::Server", status, "", "", "", None, None)


def tell(view: View) -> None:
    with view.showing(), view.stage("Create the bay [k8s]"):
        view.operation(operation(step("Render", "done", 2), step("Build", "running")))
        view.resources([resource("master", "CREATE_IN_PROGRESS"), resource("net", "CREATE_COMPLETE")])
        view.operation(operation(step("Render", "done", 2), step("Build", "done", 7)))


def test_without_a_terminal_each_step_is_one_line() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=100))
    tell(view)
    said = out.getvalue()
    assert "Create the bay [k8s]" in said
    assert said.count("Render (provisioner) 2.0 s") == 1
    assert said.count("Build (provisioner) 7.0 s") == 1
    assert "Heat: 1 of 2 resources complete" in said
    assert "\x1b" not in said


def test_at_a_terminal_a_finished_stage_leaves_one_line() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=100, force_terminal=True, _environ={"TERM": "xterm"}, highlight=False))
    tell(view)
    said = out.getvalue()
    assert "Create the bay [k8s]" in said
    assert "\x1b" in said


def test_the_table_has_every_stage_and_step_with_its_seconds() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100)
    view = View(Console(file=io.StringIO()))
    tell(view)
    console.print(view.table())
    said = out.getvalue()
    for word in ("Create the bay [k8s]", "Render", "provisioner", "2.0", "Build", "7.0", "In all"):
        assert word in said


@pytest.mark.parametrize(
    ("error", "step_name", "cause"),
    [
        (StoryFailed("Create the Heat stack", "quota exceeded.", "Ask for more."), "Create the Heat stack", "quota"),
        (ProgramFailed("api ended by itself"), "Resize", "api ended"),
        (CloudError("Heat answered 403: no", service="orchestration", status=403), "Resize", "Heat answered 403"),
        (ValueError("odd"), "Resize", "ValueError: odd"),
    ],
)
def test_a_failure_names_step_cause_and_what_to_do(error: Exception, step_name: str, cause: str) -> None:
    trouble = explain(error, "Resize", "/logs")
    assert trouble.step == step_name
    assert cause in trouble.cause
    out = io.StringIO()
    trouble.show(Console(file=out, width=100))
    for label in ("Failed:", "Cause:", "What to do:"):
        assert label in out.getvalue()
